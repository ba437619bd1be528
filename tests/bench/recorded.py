"""Whether a change of the house changed what people see: replies of every route, outputs of every command.

    python -m tests.bench.recorded save DIR      # before
    python -m tests.bench.recorded compare DIR   # after; exits with 1 where anything differs

Everything is asked one at a time, with a seed: of exact worlds, whose replies are the same to the last digit, and of a
service of the demo pair, where a batch changes the eighth digit of a score. Ids and times are left out, and of metrics
everything but their names.
"""

import argparse
import asyncio
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

import httpx
from click.testing import CliRunner
from rich.console import Console

from server.app import create_app
from server.identity import load_calibration
from server.keys import Keyring
from server.settings import Settings
from tests.bench.running import running
from tests.natures import Chance
from tests.server.processes import WINNOW
from tests.worlds import World

PROBLEM = "Compute 8 + 6 * 4 - 12."
VOLATILE = {"created", "date", "commit", "is_clean", "machine", "made", "told", "settings", "seconds", "queue_s"}
VOLATILE |= {"search_s", "total_s", "request_id", "url", "policy", "version", "system_fingerprint"}
"""Fields whose values no two runs share, or that say where and when a run was."""
SEED = {"problem": PROBLEM, "seed": 7, "n": 8, "temperature": 0.8, "max_tokens": 256, "early_stop": False}
STRATEGIES = ("auto", "majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts")
VARIED: dict[str, dict[str, Any]] = {
    "plain": {},
    "min": {"aggregation": "min"},
    "prod": {"aggregation": "prod"},
    "narrow": {"beam_width": 2},
    "best": {"selection": "best"},
    "majority": {"selection": "majority"},
    "lookahead": {"lookahead": 1},
    "shallow": {"max_steps": 2},
    "one": {"n": 1},
    "cut": {"max_tokens": 12},
    "system": {"system_prompt": "Be brief."},
    "confident": {"target_confidence": 0.9},
    "frugal": {"max_total_tokens": 100_000},
    "checked": {"verify": "sympy", "problem": "Solve 3*x + 4 = 19 for x."},
    "undivided": {"n": 7, "beam_width": 2},
    "bare": {"include": []},
}
MISTAKES: dict[str, Any] = {
    "no problem": {},
    "an unknown field": {"problem": PROBLEM, "budget": 4},
    "an unknown strategy": {"problem": PROBLEM, "strategy": "mcts"},
    "too large": {"problem": PROBLEM, "n": 5000},
    "too many tokens": {"problem": PROBLEM, "n": 1024, "max_tokens": 131_072},
    "no number": {"problem": PROBLEM, "temperature": "hot"},
    "too long": {"problem": "x " * 20_000},
}
CHAT = {"messages": [{"role": "user", "content": PROBLEM}], "seed": 7, "max_tokens": 128}
OPENAI: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "winnow-demo", **CHAT, "temperature": 0}),
    "chat searched": ("/v1/chat/completions", {"model": "winnow-demo@best_of_n-4", **CHAT}),
    "chat options": (
        "/v1/chat/completions",
        {"model": "winnow-demo", **CHAT, "n": 2, "search": {"strategy": "dvts", "n": 8, "early_stop": False}},
    ),
    "chat unknown": ("/v1/chat/completions", {"model": "winnow-demo@mcts-4", **CHAT}),
    "chat twice": ("/v1/chat/completions", {"model": "winnow-demo@dvts-4", **CHAT, "search": {"n": 4}}),
    "chat unused": ("/v1/chat/completions", {"model": "winnow-demo@majority-4", **CHAT, "search": {"lookahead": 2}}),
    "chat empty": ("/v1/chat/completions", {"model": "winnow-demo", "messages": []}),
    "completion": (
        "/v1/completions",
        {"model": "winnow-demo", "prompt": "1 + 1 =", "temperature": 0, "max_tokens": 16},
    ),
    "completion searched": (
        "/v1/completions",
        {"model": "winnow-demo@beam_search-4", "prompt": PROBLEM, "seed": 7, "max_tokens": 128},
    ),
    "completion stopped": ("/v1/completions", {"model": "winnow-demo@beam_search-4", "prompt": PROBLEM, "stop": "x"}),
}
STREAMS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"solve {name}": ("/solve", SEED | {"strategy": name, "stream": True}) for name in STRATEGIES},
    "chat": ("/v1/chat/completions", {"model": "winnow-demo", **CHAT, "temperature": 0, "stream": True}),
    "chat searched": (
        "/v1/chat/completions",
        {"model": "winnow-demo", **CHAT, "stream": True, "search": {"strategy": "dvts", "n": 4, "early_stop": False}},
    ),
    "completion searched": (
        "/v1/completions",
        {"model": "winnow-demo@majority-4", "prompt": PROBLEM, "seed": 7, "max_tokens": 128, "stream": True},
    ),
}
GETS = ("/healthz", "/readyz", "/v1/models", "/v1/models/winnow-demo@dvts-16", "/v1/models/nobody", "/openapi.json")
PAIRS = [{"a": "0.5", "b": r"\frac{1}{2}"}, {"a": "1", "b": "2"}, {"a": None, "b": "1"}, {"a": "x=1", "b": "1"}]
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
ROOT = str(Path(__file__).parents[2])
SMALL = ("--concurrency", "1")
NUM_WORLDS = 8


def main() -> int:
    """Save or compare; 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("save", "compare"))
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--without", default="", help="Parts to leave out, separated by commas: service,commands,calibrate."
    )
    arguments = parser.parse_args()
    without = set(filter(None, arguments.without.split(",")))
    found = dict(_help())
    found |= asyncio.run(_all_of(_worlds()))
    if "service" not in without:
        found |= asyncio.run(_service(without))
    if arguments.what == "save":
        arguments.folder.mkdir(parents=True, exist_ok=True)
        for name, text in found.items():
            (arguments.folder / _file(name)).write_text(text)
        return 0
    return _compare(arguments.folder, found, Console(width=160, soft_wrap=True))


async def _all_of(recorded: AsyncIterator[tuple[str, str]]) -> dict[str, str]:
    return {name: text async for name, text in recorded}


def _compare(folder: Path, found: dict[str, str], console: Console) -> int:
    num_different = 0
    for name, text in found.items():
        path = folder / _file(name)
        before = path.read_text() if path.exists() else ""
        if before != text and (name.startswith("world") or not _are_alike(before, text)):
            num_different += 1
            lines = unified_diff(before.splitlines(), text.splitlines(), name, name, lineterm="", n=1)
            console.print("\n".join(list(lines)[:40]), markup=False, highlight=False)
    gone = sorted({path.name for path in folder.iterdir()} - {_file(name) for name in found})
    console.print(f"{len(found)} recorded, {num_different} different; not asked for this time: {gone or 'none'}")
    return 1 if num_different else 0


def _are_alike(before: str, after: str) -> bool:
    """Compare texts whose numbers may differ by what else was in a batch of an engine."""
    numbers = [[float(found) for found in NUMBER.findall(text)] for text in (before, after)]
    if NUMBER.sub("0", before) != NUMBER.sub("0", after) or len(numbers[0]) != len(numbers[1]):
        return False
    return all(math.isclose(*pair, rel_tol=1e-5, abs_tol=1e-9) for pair in zip(*numbers, strict=True))


def _file(name: str) -> str:
    return re.sub(r"\W+", "-", name).strip("-") + ".txt"


def _help() -> Iterator[tuple[str, str]]:
    from server.cli.main import app

    for command in sorted(app.commands):
        yield (
            f"help {command}",
            CliRunner().invoke(app, [command, "--help"], terminal_width=110).output.replace(ROOT, ""),
        )


async def _worlds() -> AsyncIterator[tuple[str, str]]:
    """Searches in exact worlds, with the demo's calibration table: every digit of these is the same every time."""
    calibrated = load_calibration(Settings())
    for seed in range(NUM_WORLDS):
        app = create_app(World(Chance(seed)).models, (), Settings(), Keyring(), calibrated=calibrated)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://winnow") as client:
            for strategy in STRATEGIES:
                for name, fields in VARIED.items():
                    body = SEED | {"strategy": strategy, "verify": None} | fields | {"problem": PROBLEM, "verify": None}
                    yield f"world {seed} {strategy} {name}", _written(await client.post("/solve", json=body))
                body = SEED | {"strategy": strategy, "early_stop": True, "include": []}
                reply = (await client.post("/solve", json=body)).json()
                yield f"world {seed} {strategy} early", str(reply["answer"])


async def _service(without: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    async with running() as service, service.client() as client:
        found |= await _all_of(_replies(client))
        if "commands" not in without:
            with tempfile.TemporaryDirectory() as folder:
                found |= dict(_commands(service.url, Path(folder)))
    if not without & {"commands", "calibrate"}:
        with tempfile.TemporaryDirectory() as folder:
            found |= dict(_calibrate(Path(folder)))
    return found


async def _replies(client: httpx.AsyncClient) -> AsyncIterator[tuple[str, str]]:
    for path in GETS:
        yield f"GET {path}", _written(await client.get(path))
    for strategy in STRATEGIES:
        for name, fields in VARIED.items():
            body = SEED | {"strategy": strategy} | fields
            yield f"POST solve {strategy} {name}", _written(await client.post("/solve", json=body))
    for name, body in MISTAKES.items():
        yield f"POST solve {name}", _written(await client.post("/solve", json=body))
    yield "POST solve no JSON", _written(await client.post("/solve", content="{", headers={"content-type": "text/x"}))
    batch = {"requests": [SEED | {"strategy": "dvts"}, {"problem": ""}, SEED | {"strategy": "majority", "n": 1}]}
    yield "POST batch", _written(await client.post("/solve/batch", json=batch))
    yield "POST batch empty", _written(await client.post("/solve/batch", json={"requests": []}))
    yield "POST equivalent", _written(await client.post("/v1/answers/equivalent", json={"pairs": PAIRS}))
    for name, (path, body) in OPENAI.items():
        yield f"openai {name}", _written(await client.post(path, json=body))
    for name, (path, body) in STREAMS.items():
        yield f"stream {name}", _streamed((await client.post(path, json=body)).text)
    yield "GET nowhere", _written(await client.get("/nowhere"))
    text = (await client.get("/metrics")).text
    yield "GET metrics", "\n".join(sorted({_named(line) for line in text.splitlines() if "winnow_" in line}))


def _named(line: str) -> str:
    """The name and the labels of a sample, or what a metric is for."""
    return line if line.startswith("#") else re.sub(r'(le)="[^"]*"', "", line.rpartition(" ")[0])


def _written(response: httpx.Response) -> str:
    headers = {name: response.headers.get(name) for name in ("content-type", "retry-after")}
    return f"{response.status_code} {headers}\n{_json(response.text)}"


def _json(text: str) -> str:
    try:
        return json.dumps(_steady(json.loads(text)), indent=1, ensure_ascii=False, sort_keys=True)
    except ValueError:
        return text


def _steady(value: Any) -> Any:
    """Leave out what no two runs share."""
    if isinstance(value, dict):
        return {name: _steady(each) for name, each in value.items() if _is_steady(name, each)}
    return [_steady(each) for each in value] if isinstance(value, list) else value


def _is_steady(name: str, value: Any) -> bool:
    if name == "id":  # of a request; those of nodes and of models stay the same
        return bool(re.fullmatch(r"[\d.]+|winnow-demo.*", str(value)))
    return name not in VOLATILE or isinstance(value, dict)


def _streamed(text: str) -> str:
    """The events of a stream. Candidates grow side by side, so events are put in the order of what they are about."""
    events = []
    for block in re.split(r"\r?\n\r?\n", text.strip()):
        lines = [line for line in block.splitlines() if not line.startswith("id:")]
        data = "".join(line.removeprefix("data:").strip() for line in lines if line.startswith("data:"))
        kind = next((line for line in lines if line.startswith("event:")), "")
        about = json.loads(data) if data.startswith("{") else {}
        events.append((str(about.get("node", about.get("id", ""))) if kind else "", f"{kind}\n{_json(data)}"))
    if '"object":"chat.completion.chunk"' in text.replace(" ", "") and "search" not in text:
        return "".join(re.findall(r'"content": ?"(.*?)"[,}]', text))  # a plain stream is cut anywhere
    events = [(place if re.fullmatch(r"[\d.]*", place) else "", event) for place, event in events]
    if any(place for place, _ in events) or "reasoning_content" in text:
        events.sort()
    return "\n".join(event for _, event in events)


def _commands(url: str, folder: Path) -> Iterator[tuple[str, str]]:
    tasks = _run("tasks", "--seed", "5", "--count", "6")
    yield "command tasks", tasks
    (folder / "tasks.jsonl").write_text(tasks.partition("\n")[2])
    yield (
        "command solve",
        _run("solve", PROBLEM, "--url", url, "--seed", "7", "--n", "4", "--strategy", "best_of_n", "--json"),
    )
    table = _run(
        "solve", PROBLEM, "--url", url, "--seed", "7", "--n", "4", "--strategy", "dvts", "--early-stop", "false"
    )
    yield "command solve table", _without_times(table)
    yield "command solve refused", _run("solve", PROBLEM, "--url", url, "--strategy", "majority", "--lookahead", "2")
    out = folder / "outcomes.jsonl"
    problems = ("--problems", str(folder / "tasks.jsonl"), "--url", url, *SMALL, "--out", str(out))
    yield "command eval", _without_times(_run("eval", *problems, "--n", "1,4,8", "--plots", str(folder / "plots")))
    yield "command eval pictures", "\n".join(sorted(path.name for path in (folder / "plots").iterdir()))
    yield "command eval outcomes", "\n".join(sorted(map(_json, out.read_text().splitlines())))
    shared = folder / "shared.jsonl"
    problems = ("--problems", str(folder / "tasks.jsonl"), "--url", url, *SMALL, "--out", str(shared))
    subsampled = _run("eval", *problems, "--n", "4,8", "--subsample", "--timed", "2")
    yield "command eval subsampled", _without_times(subsampled)
    yield "command eval shared", "\n".join(sorted(map(_json, shared.read_text().splitlines())))
    yield "command eval unknown", _run("eval", "--strategies", "mcts", "--url", url)
    plan = json.loads(_run("plan", str(shared), "--budget-tokens", "4000", "--json").partition("\n")[2])
    yield "command plan", _json(json.dumps(_untimed(plan)))
    pred, gold = folder / "pred.jsonl", folder / "gold.jsonl"
    pred.write_text('{"answer": "1/2"}\n{"answer": "7"}\n')
    gold.write_text('{"answer": "0.5"}\n{"answer": "8"}\n')
    yield "command grade", _run("grade", "--gold", str(gold), "--pred", str(pred)).replace(str(folder), "")


def _untimed(plan: Any) -> Any:
    if isinstance(plan, dict):
        return {name: _untimed(each) for name, each in plan.items() if "second" not in name and name not in ("models",)}
    return [_untimed(each) for each in plan] if isinstance(plan, list) else plan


def _calibrate(folder: Path) -> Iterator[tuple[str, str]]:
    table, evidence = folder / "table.yaml", folder / "traces.jsonl"
    options = ("--held-out", "40", "--n", "4,8", "--max-tokens", "128", *SMALL)
    _run("calibrate", *options, "--evidence", str(evidence), "--out", str(table))
    steady = [
        line for line in table.read_text().splitlines() if not re.match(r"\s*(made|seconds|date|commit|machine)", line)
    ]
    yield "command calibrate table", re.sub(r"made:.*?(?=\nbudgets:)", "", "\n".join(steady), flags=re.DOTALL)
    yield "command calibrate traces", "\n".join(sorted(map(_json, evidence.read_text().splitlines())))


def _run(*arguments: str) -> str:
    """The status of a command, and what it prints."""
    done = subprocess.run([WINNOW, *arguments], capture_output=True, text=True, timeout=600, check=False)
    return f"exit {done.returncode}\n{done.stdout}{done.stderr if done.returncode else ''}"


def _without_times(text: str) -> str:
    """Leave out the columns of seconds, and folders."""
    lines = [line for line in text.splitlines() if not line.startswith("pictures in") and "│ seconds" not in line]
    return "\n".join(re.sub(r"│\s+\d+\.\d\d (?=│)", "│ - ", line) for line in lines)


if __name__ == "__main__":
    sys.exit(main())

"""A vLLM release as winnow's servers: one row of what works there, and what winnow says is missing.

    python -m tests.bench.releases PYTHON [--kv-gib 1]

PYTHON is an interpreter that has the release (`.venv/bin/python` has the pinned one). Starts two of its servers on
loopback, one after the other: the demo policy on plain vLLM, and the demo verifier with winnow's plugin, whose code is
that of this checkout. The policy draws a response to each of eight problems and is asked for verdicts by token id and
for JSON by a grammar; the verifier's scores are compared with those of the same weights in plain PyTorch. On CPUs.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import EngineUnavailableError
from models.generation import Generation
from models.interfaces import Finish, Meter, Step
from models.policy.engine_policy import EnginePolicy
from models.prm.torch_verifier import open_verifier as open_torch_verifier
from models.prm.winnow import WinnowPRM
from models.remote.engine import SCORES, RemoteEngine, open_remote_engine
from models.remote.settings import Patience, RemoteSettings
from models.vllm.settings import EngineSettings
from tests.conftest import DEMO
from tests.models.problems import PROBLEMS, respond, sampling, text_of, visible
from tests.server.processes import free_port
from tests.servers import CPU_VARIABLES, await_server

ROOT = Path(__file__).parents[2]
MODULES = ("vllm.entrypoints.launchers.api_server.entry", "vllm.entrypoints.openai.api_server")
ENTRY_POINTS = """
[vllm.general_plugins]
winnow = models.vllm.plugin:register

[vllm.endpoint_plugins]
winnow = models.vllm.endpoint:ScoresEndpoint
"""
FIND = (
    "import importlib.util as u, json\n"
    "def find(name):\n"
    "    try: return u.find_spec(name) is not None\n"
    "    except ModuleNotFoundError: return False\n"
    f"print(json.dumps([name for name in {MODULES!r} if find(name)]))"
)
FLAGS = ("--enforce-eager", "--dtype=bfloat16", "--max-model-len=1024", "--enable-prompt-tokens-details")
POOLING = ("--runner=pooling", "--block-size=32")
"""Blocks so small that the judged text fills one; 0.11 needs an extension for that."""
PATIENCE = Patience(start_s=20.0, answer_s=20.0)

console = Console(width=150)


def for_older(checkpoint: Path, place: Path) -> Path:
    """Copy a checkpoint so that transformers 4 reads it, too: the tokenizer's class by its old name."""
    copy = place / checkpoint.name
    shutil.copytree(checkpoint, copy)
    tokenizer = copy / "tokenizer_config.json"
    if tokenizer.exists():
        tokenizer.write_text(tokenizer.read_text().replace("TokenizersBackend", "PreTrainedTokenizerFast"))
    return copy


@contextlib.contextmanager
def served(python: Path, model: str, kv_gib: int, *flags: str, with_plugin: bool = False) -> Iterator[tuple[str, str]]:
    """The URL of a server of a demo model, and its release."""
    found = subprocess.run([python, "-c", FIND], capture_output=True, text=True, check=True, cwd="/")
    module, *_ = json.loads(found.stdout.splitlines()[-1])
    port = free_port()
    variables = CPU_VARIABLES | {"VLLM_CPU_KVCACHE_SPACE": str(kv_gib), "VLLM_PLUGINS": ""}
    with tempfile.TemporaryDirectory() as place:
        checkpoint = for_older(DEMO / model, Path(place))
        if with_plugin:
            metadata = Path(place) / "winnow-0.dist-info"
            metadata.mkdir()
            (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: winnow\nVersion: 0\n")
            (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
            variables |= {"VLLM_PLUGINS": "winnow", "PYTHONPATH": f"{ROOT}:{place}"}
        command = [str(python), "-m", module, "--host=127.0.0.1", f"--port={port}", f"--model={checkpoint}"]
        environment = os.environ | variables  # noqa: TID251 - of another process
        process = subprocess.Popen([*command, *FLAGS, *flags], env=environment, cwd="/")
        try:
            url = await_server(process, port)
            yield url, httpx.get(f"{url}/version").json()["version"]
        finally:
            process.terminate()
            process.wait(60)


def gaps_of(engine: RemoteEngine) -> str:
    """What winnow says is missing."""
    return "; ".join(str(gap) for replica in engine.replicas.all for gap in replica.gaps) or "nothing"


async def try_policy(url: str, prompts: PromptBuilder) -> dict[str, str]:
    """What a policy's server can do."""
    settings = RemoteSettings(DEMO / "policy", "policy", (url,), patience=PATIENCE)
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        start = time.perf_counter()
        described = (await client.get("/openapi.json")).content
        taken = time.perf_counter() - start
    async with open_remote_engine(settings, "generate") as engine:
        row = {"its description": f"{len(described) >> 10} KiB, made in {taken:.2f} s"}
        row["policy: winnow says is missing"] = gaps_of(engine)
        policy = EnginePolicy(engine, prompts, decodes=True)
        drawn = [await respond(policy, sampling(seed), problem) for seed, problem in enumerate(PROBLEMS)]
        again = [await respond(policy, sampling(seed), problem) for seed, problem in enumerate(PROBLEMS)]
        whole = sum(steps[-1].finish is Finish.END and "boxed" in text_of(steps) for steps in drawn)
        equal = sum(one == other for one, other in zip(drawn, again, strict=True))
        row["responses that end; the same again"] = f"{whole} and {equal} of {len(drawn)}"
        prompt = prompts.build(PROBLEMS[0])
        try:
            verdict = await engine.complete(prompt, Generation(max_tokens=1, temperature=0, logprob_ids=(20, 21)))
            row["verdicts in words"] = "yes" if verdict.logprobs else "no"
            row["cached tokens on the bill"] = "yes" if verdict.num_cached_tokens is not None else "no"
        except EngineUnavailableError as error:
            row["verdicts in words"] = f"no: {error}"[-60:]
        try:
            steps = await respond(policy, sampling(0, grammar=("json", json.dumps({"enum": ["one", "two"]}))))
            row["grammars"] = "yes" if json.loads(text_of(steps)) in ("one", "two") else "ignored"
        except (EngineUnavailableError, ValueError) as error:
            row["grammars"] = f"no: {type(error).__name__}"
        return row


async def try_verifier(url: str, prompts: PromptBuilder) -> dict[str, str]:
    """What a verifier's server can do, and how far its scores are from those in plain PyTorch."""
    texts = ("## Step 1: Add\n17 + 28 = 45, so 45 * 3 - 45\n\n", "## Step 2: Multiply\n45 * 3 = 135, so 135 - 45\n\n")
    steps = [Step(text, prompts.tokenizer.encode(text), Finish.STEP) for text in texts]
    settings = RemoteSettings(DEMO / "prm", "verifier", (url,), patience=PATIENCE)
    async with open_torch_verifier(EngineSettings(DEMO / "prm", "verifier"), prompts) as reference:
        expected = [await reference.score(problem, (), visible(steps), Meter()) for problem in PROBLEMS]
    async with open_remote_engine(settings, "pooling") as engine:
        row = {"verifier with the plugin: winnow says is missing": gaps_of(engine)}
        verifier, meter = WinnowPRM(engine, prompts), Meter()
        scores = [await verifier.score(problem, (), steps, meter) for problem in PROBLEMS]
        await verifier.score(PROBLEMS[0], steps[:1], steps[1:], meter)
        pairs = zip(scores, expected, strict=True)
        difference = max(abs(one - other) for pair in pairs for one, other in zip(*pair, strict=True))
        row["largest difference from PyTorch"] = f"{difference:.4f}"
        lacks = any(SCORES in replica.lacks for replica in engine.replicas.all)
        row["judged by"] = "a request for each step" if lacks else "one request for all steps"
        row["judged tokens from the cache"] = str(meter.verifier_cached_tokens)
        return row


async def main() -> None:
    """Try, and print the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", type=Path, help="Interpreter that has the release.")
    parser.add_argument("--kv-gib", type=int, default=1, help="Memory of a server's KV cache.")
    arguments = parser.parse_args()
    python = arguments.python.absolute()
    prompts = PromptBuilder(ChatTokenizer(DEMO / "policy"))
    row: dict[str, str] = {}
    trials: dict[str, Callable[[str, PromptBuilder], Awaitable[dict[str, str]]]]
    trials = {"policy": try_policy, "prm": try_verifier}
    for model, trial in trials.items():
        flags = () if model == "policy" else POOLING
        console.print(f"starting the server of the demo {model}")
        try:
            with served(python, model, arguments.kv_gib, *flags, with_plugin=model == "prm") as (url, release):
                row["release"] = release
                row |= await trial(url, prompts)
        except (AssertionError, EngineUnavailableError) as error:
            row[f"{model}: does not work"] = str(error)[:200]
    table = Table("", str(row.get("release", python)), show_lines=True)
    for name, value in row.items():
        table.add_row(name, value)
    console.print(table)


if __name__ == "__main__":
    asyncio.run(main())

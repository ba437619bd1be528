"""`winnow eval` from its options to its tables, files and pictures, on the real service."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from search.evaluation.outcomes import Outcome
from search.evaluation.results import Results
from server.cli import stopping
from server.cli.demo_tasks import demo_tasks
from server.cli.main import app
from server.cli.provenance import what_matters
from server.settings import Settings
from tests.server.processes import WINNOW


async def evaluated(client: httpx.AsyncClient, folder: Path, *options: str) -> str:
    """Run the command against the service and return what it prints."""
    out = ("--out", str(folder / "o.jsonl"), "--plots", str(folder / "plots"))
    command = [WINNOW, "eval", "--url", str(client.base_url), *out, *options]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode()


async def test_a_grid_is_measured_reported_and_drawn(client: httpx.AsyncClient, tmp_path: Path) -> None:
    options = ("--held-out", "3", "--n", "1,4", "--subsample", "--timed", "2", "--beam-width", "2")
    printed = await evaluated(client, tmp_path, *options)
    assert all(name in printed for name in ("greedy", "dvts", "best per level*", "pass@k, %", "per right answer"))
    assert {path.stem for path in (tmp_path / "plots").iterdir()} >= {"scaling", "tokens", "seconds", "levels"}
    first, *outcomes = map(json.loads, (tmp_path / "o.jsonl").read_text().splitlines())
    assert first["made"]["url"] == str(client.base_url)
    assert first["told"]["grid"]["num_seeds"] == {"1": 1, "4": 1}
    cells = {(outcome["strategy"], outcome["n"]) for outcome in outcomes}
    assert cells > {("greedy", 1), ("majority", 1), ("majority", 4), ("dvts", 1), ("dvts", 4), ("auto", 4)}
    assert len(outcomes) == 3 * len(cells)
    served = [outcome for outcome in outcomes if outcome["strategy"] == "best_of_n" and outcome["early_stop"]]
    assert len(served) == 2 * 2


async def test_searches_that_stop_when_probable_are_measured_and_kept_apart(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    options = ("--held-out", "3", "--n", "32", "--strategies", "greedy,majority,dvts", "--early-stop", "probable")
    await evaluated(client, tmp_path, *options)
    first, *outcomes = map(json.loads, (tmp_path / "o.jsonl").read_text().splitlines())
    assert (first["made"]["early_stop"], first["made"]["stop_probability"]) == ("probable", 0.95)
    assert len(outcomes) == 3 * 3
    command = [WINNOW, "eval", "--url", str(client.base_url), "--out", str(tmp_path / "o.jsonl"), *options[:-2]]
    other = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, error = await other.communicate()
    assert (other.returncode, b"early_stop" in error) == (2, True)


async def test_values_of_a_field_are_measured_apart_compared_by_problem_and_kept(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    (tmp_path / "prompt.txt").write_text("Compute, step by step.")
    options = ("--held-out", "2", "--n", "4", "--beam-width", "2", "--strategies", "greedy,best_of_n,beam_search")
    values = ("--vary", "aggregation=last,min", "--vary", f"system_prompt=,@{tmp_path / 'prompt.txt'}")
    pair = "beam_search@4,aggregation=min,system_prompt=:best_of_n@4,aggregation=min,system_prompt="
    printed = await evaluated(client, tmp_path, *options, *values, "--compare", pair)
    assert "best_of_n@4,aggregation=min,system_prompt=none" in " ".join(printed.replace("│", " ").split())
    _, *outcomes = map(json.loads, (tmp_path / "o.jsonl").read_text().splitlines())
    varied = {(outcome["strategy"], json.dumps(outcome["varied"])) for outcome in outcomes}
    assert len(outcomes) == 2 * len(varied) == 2 * (2 + 4 + 4)
    assert ("greedy", json.dumps({"system_prompt": "Compute, step by step."})) in varied
    again = await evaluated(client, tmp_path, *options, *values, "--compare", pair)
    assert again == printed
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 1 + len(outcomes) + 1


def test_a_finished_evaluation_is_shown_again_without_an_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"beam_width": 4, "temperature": 0.8, "subsample": False}
    results = Results(tmp_path / "o.jsonl", what_matters(Settings(), None, options))
    results.add(
        [Outcome(t.problem, 1, "majority", 1, 0, "7", t.answer == "7", 40, 0, 0, 1.0, True) for t in demo_tasks(0, 3)]
    )
    monkeypatch.setattr(stopping, "run", lambda *_: pytest.fail("models are started"))
    command = ["eval", "--held-out", "3", "--strategies", "majority", "--n", "1", "--out", str(tmp_path / "o.jsonl")]
    result = CliRunner().invoke(app, command)
    assert (result.exit_code, "majority@1" in result.output) == (0, True), result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--strategies", "dvts,lookahead"], "'lookahead' is not a strategy"),
        (["--n", "4,x"], "not a list such as 1,4,16"),
        (["--n", "1,4", "--seeds", "1,2,3"], "3 counts for 2 budgets"),
        (["--compare", "dvts@16"], "is not of the form STRATEGY@N:STRATEGY@N"),
        (["--problems", "."], "is a directory"),
        (["--vary", "aggregation"], "'aggregation' names no values; write FIELD=VALUE,VALUE"),
        (["--vary", "mood=good"], "'mood' cannot be varied; use beam_width, max_steps, lookahead, aggregation"),
        (["--vary", "n=1,2"], "'n' cannot be varied"),
        (["--vary", "aggregation=last,sum"], "aggregation cannot be 'sum'"),
        (["--vary", "lookahead=0,99"], "lookahead cannot be '99'"),
        (["--vary", "temperature=0.5,NaN"], "temperature cannot be 'NaN'"),
        (["--vary", "max_tokens="], "max_tokens cannot be ''"),
        (["--vary", 'steps={"tokens": 0}'], "steps cannot be"),
        (["--vary", "lookahead=0,1,0"], "lookahead: 0 is given twice"),
        (["--vary", "lookahead=0", "--vary", "lookahead=1"], "a field is given twice"),
        (["--vary", "system_prompt=@nowhere.txt"], "nowhere.txt cannot be read"),
        (["--strategies", "majority", "--vary", "aggregation=last,min"], "aggregation is read by none of majority"),
        (["--strategies", "dvts", "--vary", "beam_width=4,3"], "n = 16 is not divisible by beam_width = 3"),
        (["--compare", "dvts@16,mood=1:dvts@4"], "'mood' cannot be varied"),
        (["--early-stop", "probable"], "probable is not supported by beam_search; name others with --strategies"),
        (["--early-stop", "probable", "--strategies", "dvts", "--subsample"], "omit --subsample"),
        (["--strategies", "dvts", "--stop-probability", "0.9"], "it goes with --early-stop probable"),
        (
            ["--strategies", "dvts", "--early-stop", "probable", "--stop-probability", "1"],
            "1.0 is not between 0.5 and 1",
        ),
    ],
)
def test_options_that_make_no_sense_are_one_sentence(options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["eval", *options])
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())

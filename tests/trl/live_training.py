"""Exports of searches, loaded by `datasets` and trained on by TRL: `make test-trl`, which installs both first."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from models.checkpoints.tokenizer import TextTokenizer
from models.interfaces import Finish, Problem, Step
from models.prm.trl import TRLPRM
from server.cli.demo_tasks import demo_tasks
from server.settings import DEMO
from tests.models.scripted import ScriptedEngine
from tests.natures import Chance
from tests.server.cli.test_revote import lines, run, store
from tests.server.services import service
from tests.worlds import World

HERE = Path(__file__).parent
PYTHON = HERE / ".venv/bin/python"
NAMES = ("trl-stepwise", "preference", "preference-steps", "prompt-completion", "prm800k", "math-shepherd", "rlhflow")
OTHERS = (
    ("trl-stepwise", "trl-stepwise.parquet", ()),
    ("prompt-completion", "prompt-completion-text.jsonl", ("--text",)),
    ("preference-steps", "preference-steps-text.jsonl", ("--text",)),
)


@pytest.fixture(scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the trainers say."""
    folder = tmp_path_factory.mktemp("trl")
    search = {"strategy": "dvts", "n": 8, "beam_width": 2, "early_stop": False}
    requests = [{"problem": task.problem, "seed": seed, **search} for seed, task in enumerate(demo_tasks(0, 12))]
    async with service(World(Chance(3))) as client:
        searches = await store(client, folder, requests)
    rows = folder / "rows"
    await asyncio.to_thread(rows.mkdir)
    for name, file, options in (*((name, f"{name}.jsonl", ()) for name in NAMES), *OTHERS):
        result = await run("export", str(searches), "--format", name, "--out", str(rows / file), *options)
        assert result.exit_code == 0, result.output
    process = await asyncio.create_subprocess_exec(
        PYTHON if PYTHON.exists() else sys.executable,
        *("-W", "ignore", str(HERE / "python/train.py"), str(DEMO / "policy"), str(rows)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TRL_EXPERIMENTAL_SILENCE": "1", "HF_HUB_OFFLINE": "1"},  # noqa: TID251 - another process's
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(printed.decode().splitlines()[-1])
    return found | {"first": lines(rows / "trl-stepwise.jsonl")[0]}


def test_the_trainer_reads_the_tokens_that_its_model_is_served(told: dict[str, Any]) -> None:
    row = told["first"]
    steps = [Step(text, (), Finish.STEP) for text in row["completions"]]
    served = TRLPRM(ScriptedEngine(lambda tokens: ()), TextTokenizer(DEMO / "policy"), separator="\n\n").lay_out(
        Problem(row["prompt"]), steps
    )
    assert told["tokens"] == list(served.token_ids)


def test_every_export_loads_with_datasets(told: dict[str, Any]) -> None:
    assert told["rows"].keys() == {*(f"{name}.jsonl" for name in NAMES), *(file for _, file, _ in OTHERS)}
    assert all(number > 0 for number in told["rows"].values())
    assert told["rows"]["trl-stepwise.parquet"] == told["rows"]["trl-stepwise.jsonl"]


@pytest.mark.parametrize("trainer", ["PRMTrainer", "SFTTrainer", "DPOTrainer"])
def test_a_trainer_takes_a_step(told: dict[str, Any], trainer: str) -> None:
    steps = [step for name, step in told.items() if name.startswith(trainer)]
    assert steps
    assert all(0 < step["loss"] < 20 and step["moved"] > 0 for step in steps)

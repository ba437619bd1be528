"""`winnow eval` and `label-steps` as processes: SIGINT stops them at once, and nothing that was made is lost."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.server.processes import WINNOW

pytestmark = pytest.mark.engine

START_WITHIN_S, STOP_WITHIN_S = 120, 10
DEAF = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")
"""What a shell starts in the background is deaf to SIGINT."""


@contextmanager
def running(out: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command in the background that has written something and is far from its end."""
    command = [*DEAF, WINNOW, *words, "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    family = []
    try:
        wait_for_outcome(process, out)
        family = psutil.Process(process.pid).children(recursive=True)
        yield process
    finally:
        process.kill()
        process.wait()
        for child in psutil.wait_procs(family, timeout=STOP_WITHIN_S)[1]:
            child.kill()


def wait_for_outcome(process: subprocess.Popen[str], out: Path) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        if out.exists() and out.read_text().count("\n") > 1:
            return
        time.sleep(0.2)
    raise AssertionError(f"nothing measured within {START_WITHIN_S} s; exit code {process.poll()}")


def test_an_interrupt_ends_it_within_seconds_and_keeps_what_was_measured(tmp_path: Path) -> None:
    out = tmp_path / "outcomes.jsonl"
    with running(out, "eval", "--held-out", "500", "--strategies", "majority", "--n", "16") as process:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=STOP_WITHIN_S)
        assert process.returncode == 130
        _, alive = psutil.wait_procs(family, timeout=STOP_WITHIN_S)
        assert alive == []
    first, *outcomes = map(json.loads, out.read_text().splitlines())
    assert first["made"]["verifier_format"] == "winnow"
    assert said.splitlines()[-1] == (
        f"winnow: stopped; {len(outcomes)} outcomes are in {out}: repeat the command to resume"
    )


def test_an_interrupted_labelling_says_how_far_it_came(tmp_path: Path) -> None:
    out, problems = tmp_path / "labels.jsonl", tmp_path / "problems.jsonl"
    tasks = [{"problem": f"Compute {number} + 28.", "answer": str(number + 28)} for number in range(200)]
    problems.write_text("".join(f"{json.dumps(task)}\n" for task in tasks))
    with running(out, "label-steps", "--problems", str(problems), "--completions", "1") as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=STOP_WITHIN_S)
        assert process.returncode == 130
    number = len({json.loads(line)["problem"] for line in out.read_text().splitlines()})
    assert said.splitlines()[-1] == f"winnow: stopped; {number} problems are in {out}: repeat the command to resume"

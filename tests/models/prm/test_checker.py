"""Checkers: what any Python function may do to the service, which is nothing; and the one that reads arithmetic."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.checkpoints.prompt import PromptBuilder
from models.errors import CheckpointError, ModelError
from models.interfaces import Meter, Step, Verifier
from models.prm.checker import open_verifier
from models.prm.checkers.arithmetic import check
from models.vllm.settings import EngineSettings
from tests.models.prm.over_http import ScoresOverHTTP
from tests.models.problems import PROBLEM
from tests.models.verifier_contract import VerifierContract, steps_of
from tests.waiting import until

ARITHMETIC = "models.prm.checkers.arithmetic:check"
FOREIGN = """
import os, sys, threading, time

def share(problem, response): return min(1, len(response) / 1000) if "17" in problem else 0
def fail(problem, response): raise ValueError("no such unit")
def leave(problem, response): sys.exit(3)
def die(problem, response): os._exit(3)
def loop(problem, response):
    while True: pass
def compute(problem, response): return 10 ** 10 ** 9 > 0
def hoard(problem, response): return len(bytearray(1 << 40)) > 0
def talk(problem, response): return "yes"
def exceed(problem, response): return 1.5
def nothing(problem, response): return float("nan")
def odd(problem, response): raise Odd(1, 2)
def die_later(problem, response):
    threading.Timer(0.05, os._exit, [1]).start()
    return True

class Odd(Exception):
    def __init__(self, one, two): super().__init__(one)
number = 3
"""


@pytest.fixture(autouse=True)
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package beside the project, with an entry point."""
    (tmp_path / "foreign.py").write_text(FOREIGN)
    metadata = tmp_path / "foreign-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[winnow.checkers]\nlength = foreign:share\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def steps() -> list[Step]:
    return steps_of(lambda text: tuple(text.encode()))


async def score(name: str, prompts: PromptBuilder, steps: list[Step], timeout_s: float = 20) -> tuple[float, ...]:
    async with open_verifier(EngineSettings(Path(name), "verifier"), prompts, timeout_s=timeout_s) as verifier:
        return await verifier.score(PROBLEM, (), steps, Meter())


class TestCheckerVerifier(VerifierContract, ScoresOverHTTP):
    @pytest.fixture
    async def subject(self, prompts: PromptBuilder) -> AsyncIterator[Verifier]:
        async with open_verifier(EngineSettings(Path(ARITHMETIC), "verifier"), prompts, timeout_s=20) as verifier:
            yield verifier

    async def test_what_is_judged_is_counted(self, subject: Verifier, steps: list[Step]) -> None:
        """A checker computes no tokens."""
        meter = Meter()
        await subject.score(PROBLEM, (), steps, meter)
        assert meter == Meter()

    async def test_the_steps_from_a_false_fact_on_are_wrong(self, subject: Verifier, steps: list[Step]) -> None:
        assert await subject.score(PROBLEM, (), steps, Meter()) == (1.0, 1.0, 0.0)
        assert await subject.score(PROBLEM, steps[:2], steps[2:], Meter()) == (0.0,)


@pytest.mark.parametrize("name", ["foreign:share", "length"])
async def test_a_checker_reads_the_problem_and_the_response_so_far(
    name: str, prompts: PromptBuilder, steps: list[Step]
) -> None:
    lengths = [len("".join(step.text for step in steps[: index + 1])) for index in range(len(steps))]
    assert await score(name, prompts, steps) == pytest.approx([length / 1000 for length in lengths])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fail", "ValueError: no such unit"),
        ("leave", "SystemExit: 3"),
        ("die", "its process died"),
        ("hoard", "MemoryError"),
        ("talk", "returned 'yes', not a number from 0 to 1"),
        ("exceed", "returned 1.5"),
        ("nothing", "returned nan"),
        ("odd", "Odd: 1"),
    ],
)
async def test_a_checker_that_fails_costs_its_candidate_alone(
    name: str, message: str, prompts: PromptBuilder, steps: list[Step]
) -> None:
    with pytest.raises(ModelError, match=f"checker foreign:{name}: {message}"):
        await score(f"foreign:{name}", prompts, steps)


@pytest.mark.parametrize("name", ["loop", "compute"])
async def test_a_checker_that_takes_too_long_is_killed_and_blocks_nothing(
    name: str, prompts: PromptBuilder, steps: list[Step]
) -> None:
    num_ticks = 0
    task = asyncio.create_task(score(f"foreign:{name}", prompts, steps[:1], timeout_s=0.5))
    while not task.done():
        await asyncio.wait([task], timeout=0.02)
        num_ticks += 1
    with pytest.raises(ModelError, match=r"nothing after 0\.5 s"):
        await task
    assert num_ticks >= 20


async def test_processes_that_die_idle_are_replaced(prompts: PromptBuilder, steps: list[Step]) -> None:
    settings = EngineSettings(Path("foreign:die_later"), "verifier")
    async with open_verifier(settings, prompts, num_workers=1) as verifier:
        assert await verifier.score(PROBLEM, (), steps[:1], Meter()) == (1.0,)
        await until(lambda: not verifier._pool.active)
        await verifier.check()
        assert await verifier.score(PROBLEM, (), steps[:1], Meter()) == (1.0,)


async def test_a_cancelled_check_frees_its_place(prompts: PromptBuilder, steps: list[Step]) -> None:
    settings = EngineSettings(Path("foreign:loop"), "verifier")
    async with open_verifier(settings, prompts, num_workers=1, timeout_s=0.5) as verifier:
        tasks = [asyncio.create_task(verifier.score(PROBLEM, (), steps[:1], Meter())) for _ in range(3)]
        await asyncio.wait(tasks, timeout=0.1)
        assert verifier.num_running_requests == 3
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert verifier.num_running_requests == 0
        with pytest.raises(ModelError, match="nothing after"):
            await verifier.score(PROBLEM, (), steps[:1], Meter())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", r"neither module:function nor one of the entry points winnow.checkers \(.*length"),
        ("foreign:nothing_there", "has no attribute"),
        ("no_such_module:check", "No module named"),
        ("foreign:number", "int cannot be called"),
    ],
)
async def test_a_checker_that_is_not_there_stops_the_start(
    name: str, message: str, prompts: PromptBuilder, steps: list[Step]
) -> None:
    with pytest.raises(CheckpointError, match=message):
        await score(name, prompts, steps)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "17 + 28 = 45, so 45 * 3 - 45",
        "so 5x + 20 = 2x + 38",
        "3y - 7 = 11 and 12 = 3 + 2x and 13 + 1 = 3 * x",
        r"$2 \times 3 = 12 / 2$ and (2 + 3) * 4 = 20",
        "10 / 3 = 3.33",
        "1,200 + 34 = 1,234.",
        "x^2 + 3 = 12, 34 mod 6 + 1 = 5, 34 / 6 = 5 remainder 4",
        "f(3) + 1 = 5 and 1/0 = 3 and 50 - 20% = 40",
        "1 " * 10_000 + "= 3",
    ],
)
def test_true_facts_and_what_is_none_are_right(text: str) -> None:
    assert check("", text)


@pytest.mark.parametrize(
    "text",
    [
        "17 + 28 = 44, so 44 * 3",
        r"$3 \times 4 = 13$",
        "2 + 3 = 5 = 10 / 3",
        "10 / 3 = 3.34",
        "1,200 + 34 = 1,235.",
        "4 + 5 = 8 apples",
        "-3 + 5 = -2",
        "17 + 28 = 45. 3 + 4 = 8",
    ],
)
def test_one_false_fact_is_wrong(text: str) -> None:
    assert not check("", text)

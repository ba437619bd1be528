import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from search.answers.answer import Answer
from search.answers.pool import AnswerPool
from search.answers.reading.text import MAX_LENGTH
from search.answers.workers import Job, JobStatus, Workers
from tests.search.answers.processes import descendants, newest
from tests.search.answers.shared_data import hostile_answers, read_rows
from tests.search.answers.test_host import SLOW

ROOT = Path(__file__).parents[3]
PARENT = """
import asyncio, sys
from search.answers.pool import AnswerPool

async def main():
    async with AnswerPool(timeout_s=60) as pool:
        reading = asyncio.create_task(pool.canonicalise(sys.argv[1]))
        await pool.canonicalise("x")
        print("ready", flush=True)
        await reading

asyncio.run(main())
"""


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[AnswerPool]:
    async with AnswerPool() as pool:
        yield pool


async def test_the_answer_of_a_response_is_read(pool: AnswerPool) -> None:
    assert await pool.read(r"So it is $\boxed{\frac12}$.") == Answer(r"\frac12", "1/2")
    assert await pool.read("So it is a half.") is None


async def test_spellings_of_one_number_vote_together(pool: AnswerPool) -> None:
    answers = await asyncio.gather(*(pool.read(rf"\boxed{{{text}}}") for text in ("0.5", "1/2", r"\frac12")))
    assert len({answer.key for answer in answers if answer}) == 1


async def test_answers_are_compared_by_mathematics(pool: AnswerPool) -> None:
    assert await pool.equivalent("x^2-1", "(x-1)(x+1)")
    assert not await pool.equivalent("x^2-1", "(x-1)(x+2)")


async def test_an_answer_is_computed_once_however_often_it_is_read(pool: AnswerPool) -> None:
    before = replace(pool.counters)
    await asyncio.gather(*(pool.canonicalise(r"\sqrt{8}") for _ in range(5)))
    await pool.canonicalise(r"\sqrt{8}")
    assert pool.counters == replace(before, num_answers=before.num_answers + 6, num_cached=before.num_cached + 5)


async def test_a_reader_that_is_cancelled_leaves_the_others_their_answer(pool: AnswerPool) -> None:
    first, second = (asyncio.create_task(pool.canonicalise("2/4")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "1/2"


async def test_a_reply_that_nobody_waits_for_does_no_harm() -> None:
    asked = Workers(Job.CANONICALISE, num_workers=1, timeout_s=0.5, memory_bytes=1 << 29)
    await asked.start("0")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asked.ask(SLOW), timeout=0.1)
    assert await asked.ask("2/4") == (JobStatus.DONE, ["1/2", None])
    await asked.stop()


async def test_the_cache_forgets_the_answer_unused_for_longest() -> None:
    async with AnswerPool(num_workers=1, max_cached=2) as pool:
        for text in ("x", "y", "x", "z", "x", "y"):
            await pool.canonicalise(text)
        assert pool.counters.num_cached == 2  # both times "x"


async def test_an_integer_needs_no_worker() -> None:
    assert [await AnswerPool().canonicalise(text) for text in ("0", "-42")] == ["0", "-42"]


async def test_a_long_answer_does_not_travel(pool: AnswerPool) -> None:
    before = pool.counters.num_cached
    for _ in range(2):
        assert (await pool.canonicalise("1" * (MAX_LENGTH + 1))).startswith("long:")
    assert pool.counters.num_cached == before


async def test_a_slow_answer_compares_as_text_and_is_counted(pool: AnswerPool) -> None:
    assert await pool.equivalent(SLOW, f" {SLOW} ")
    assert pool.counters.num_timeouts == 2
    assert await pool.equivalent("0.5", "1/2")


async def test_the_event_loop_runs_while_a_worker_is_stuck(pool: AnswerPool) -> None:
    stuck = asyncio.create_task(pool.canonicalise(f"2 {SLOW}"))
    num_turns = 0
    while not stuck.done():
        await asyncio.sleep(0.01)
        num_turns += 1
    assert num_turns > 5  # in 0.5 s of the worker's


async def test_workers_start_with_the_pool_and_end_with_it() -> None:
    before = descendants()
    async with AnswerPool(num_workers=2):
        assert len(descendants() - before) > 2  # the workers and who owns them
    assert descendants() <= before


async def test_a_pool_that_is_not_entered_refuses() -> None:
    with pytest.raises(RuntimeError, match="not running"):
        await AnswerPool().canonicalise("x")


async def test_a_pool_that_was_left_refuses(pool: AnswerPool) -> None:
    async with AnswerPool(num_workers=1) as left:
        await left.canonicalise("x")
    with pytest.raises(RuntimeError, match="not running"):
        await left.canonicalise("y")


async def test_a_pool_may_be_entered_again() -> None:
    pool = AnswerPool(num_workers=1)
    with pytest.raises(RuntimeError, match="not running"):
        await pool.canonicalise("x+x")
    async with pool:
        assert await pool.equivalent("x+x", "2x")


async def test_answers_that_compare_as_text_are_counted(pool: AnswerPool) -> None:
    before = pool.counters.num_text
    for text in ("a heptagon", "3 +", "1" * (MAX_LENGTH + 1), "3+1"):
        await pool.canonicalise(text)
    assert pool.counters.num_text == before + 3


async def test_workers_that_cannot_start_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(RuntimeError, match="do not start"):
        async with AnswerPool():
            pass


async def test_a_worker_that_dies_at_work_costs_its_answer_only() -> None:
    before = descendants()
    async with AnswerPool(num_workers=1, timeout_s=60) as pool:
        asyncio.get_running_loop().call_later(0.3, lambda: newest(before).kill())
        assert (await pool.canonicalise(SLOW)).startswith("text:")
        assert pool.counters.num_failures == 1
        assert await pool.equivalent("0.5", "1/2")


async def test_a_worker_that_dies_idle_costs_nothing() -> None:
    before = descendants()
    async with AnswerPool(num_workers=1) as pool:
        newest(before).kill()
        assert await pool.equivalent("0.5", "1/2")
        assert pool.counters.num_failures == 0


async def test_a_host_that_dies_is_replaced() -> None:
    before = set(psutil.Process().children())
    async with AnswerPool(num_workers=1) as pool:
        (set(psutil.Process().children()) - before).pop().kill()
        assert await pool.equivalent("0.5", "1/2")
        assert pool.counters.num_failures == 0


async def test_a_host_that_does_not_end_is_killed() -> None:
    before = descendants()
    host = Workers(Job.CANONICALISE, num_workers=1, timeout_s=0.5, memory_bytes=1 << 29, stop_within_s=0.1)
    await host.start("0.5")
    family = descendants() - before
    for process in family:
        process.suspend()
    await host.stop()
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.resume()
    assert not psutil.wait_procs(family, timeout=5)[1]


async def test_workers_end_though_a_forked_engine_holds_their_pipes() -> None:
    before = descendants()
    async with AnswerPool(num_workers=1):
        engine = os.fork()
        if not engine:
            signal.pause()
    left = descendants() - before
    psutil.Process(engine).kill()
    assert {process.pid for process in left} == {engine}


def test_workers_end_when_their_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, SLOW], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    family = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.communicate()
    assert not psutil.wait_procs(family, timeout=10)[1]


async def test_hostile_answers_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = descendants()
    async with AnswerPool() as pool:
        for name, text in hostile_answers():
            assert await pool.canonicalise(text), name
            await pool.read(rf"\boxed{{{text}}}")
        assert pool.counters.num_timeouts == pool.counters.num_failures == 0
    assert not os.listdir(tmp_path)
    assert descendants() <= before


async def test_answers_of_math500_cost_two_workers_less_than_a_second_each() -> None:
    answers = sorted({row["answer"] for row in read_rows("math500.jsonl")})[:256]
    before = descendants()
    async with AnswerPool(num_workers=2) as pool:
        started = cpu_s(descendants() - before)
        await asyncio.gather(*map(pool.canonicalise, answers))
        assert cpu_s(descendants() - before) - started < 2


def cpu_s(processes: set[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)

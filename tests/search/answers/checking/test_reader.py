from collections.abc import AsyncIterator

import pytest

from search.answers.answer import Answer
from search.answers.checked import CheckingReader
from search.answers.checking.question import MAX_PROBLEM
from search.answers.pool import AnswerPool
from tests.search.answers.processes import descendants
from tests.search.answers.shared_data import hostile_answers

EQUATION = "Solve 2x + 3 = 10 for x."
NESTED = r"\sqrt{2}" + "".join(rf"+\sqrt{{{prime}+\sqrt{{{prime + 1}}}}}" for prime in (3, 5, 7, 11, 13, 17, 19, 23))


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[AnswerPool]:
    async with AnswerPool(num_workers=1) as pool:
        yield pool


async def test_an_answer_is_read_with_its_verdict(pool: AnswerPool) -> None:
    reader = CheckingReader(pool, EQUATION)
    assert await reader.read(r"So \boxed{3.5}.") == Answer("3.5", "7/2", is_verified=True)
    assert await reader.read(r"So \boxed{4}.") == Answer("4", "4", is_verified=False)
    assert await reader.read(r"So \boxed{unclear}.") == Answer("unclear", "text:unclear", is_verified=None)
    assert await reader.read("So it goes.") is None


async def test_what_is_too_long_is_not_checked(pool: AnswerPool) -> None:
    assert await pool.check(EQUATION, "3.5") is True
    assert await pool.check(EQUATION + " " * MAX_PROBLEM, "3.5") is None
    assert await pool.check(EQUATION, "3.5" + "0" * 600) is None


async def test_checkers_start_with_the_first_check() -> None:
    before = descendants()
    async with AnswerPool(num_workers=1) as pool:
        await pool.canonicalise("1/2")
        readers = descendants()
        await pool.check(EQUATION, "3.5")
        assert len(descendants() - readers) >= 2  # who owns the workers, and at least one of them
    assert descendants() <= before


async def test_a_check_that_takes_too_long_says_nothing_and_is_counted() -> None:
    async with AnswerPool(num_workers=1, timeout_s=0.01) as pool:
        assert await pool.check(f"Solve x^2 = {NESTED}.", NESTED) is None
        assert pool.counters.num_timeouts == 1


async def test_a_checker_holds_sympy_within_its_memory() -> None:
    before = descendants()
    async with AnswerPool(num_workers=1) as pool:
        assert await pool.check(EQUATION, "3.5")
        assert max(process.memory_info().vms for process in descendants() - before) < 1 << 29


async def test_hostile_answers_are_checked_without_harm(pool: AnswerPool) -> None:
    before = descendants()
    for _, text in hostile_answers():
        await pool.check("Solve x^2 = 4 for x.", text)
        await pool.check(f"Solve x^3 = {text}", text)
    assert await pool.check(EQUATION, "3.5") is True
    assert len(descendants()) <= len(before)

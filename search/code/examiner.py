"""Finds the programs among the candidates of one request that pass its tests.

The first in rank (by score, those not judged by their place) of the candidates that pass wins. So tests are staged: of
the programs that wait, the best-ranked is run first, and one that ranks below a program that has passed is not run, as
it can win no more. Programs of the same text are run once.

Source: Chen et al. 2022, "CodeT" (2207.10397), for tests that filter candidates; Li et al. 2022, "AlphaCode"
(2203.07814), section 4.4, for filtering by a problem's example tests before candidates are chosen.
Beyond the source: ranks of a verifier decide among programs that pass, and what need not be run.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from models.interfaces import Meter
from search.answers.answer import Answer, Trial, TrialOutcome
from search.candidate import Candidate
from search.code.block import last_program
from search.voting import Standing, standing

PASSES = "passes all tests"
"""The key of every program: those that pass are one answer, and no other can win."""

NOT_YET = Trial(TrialOutcome.UNTESTED, "the search ended before its tests did")


class Tester(Protocol):
    """Runs programs against tests."""

    num_workers: int

    async def run(self, program: str, tests: str) -> Trial:
        """Return what comes of running a program against tests. Cancelling it ends the run."""

    async def flaw_of(self, tests: str) -> str | None:
        """Say why tests cannot be compiled; None where they can be."""


class Examiner:
    """Reads the programs of candidates and runs them, for one request.

    Args:
        tester: What runs them.
        tests: Of the request. The policy never sees them.
        total_s: Seconds that all runs together may take; what is left then stays untested.
        tests_all: Whether programs are run that can win no more.
    """

    def __init__(self, tester: Tester, tests: str, *, total_s: float, tests_all: bool) -> None:
        self._tester = tester
        self._tests = tests
        self._total_s = total_s
        self._tests_all = tests_all
        self._turns = Turns(tester.num_workers)
        self._twins: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._trials: dict[str, Trial] = {}
        self._best: Standing | None = None
        self._spent_s = 0.0

    async def flaw(self) -> str | None:
        """Say why the tests cannot be run on any program; None where they can be."""
        return await self._tester.flaw_of(self._tests)

    def read(self, candidate: Candidate) -> Answer | None:
        """Return the program of a complete candidate, not tested yet; None when its response has none."""
        program = last_program(candidate.response)
        return None if program is None else Answer(program, PASSES, trial=NOT_YET)

    async def examine(self, candidate: Candidate, meter: Meter) -> Answer | None:
        """Return the program of a complete candidate with what its tests say; None when its response has none."""
        answer, rank = self.read(candidate), standing(candidate)
        if answer is None:
            return None
        program = answer.text
        async with self._twins[program], self._turns.take(rank):
            trial = self._trials.get(program) or await self._run(program, rank, meter)
        if trial.outcome is TrialOutcome.PASSED:
            self._best = min(rank, self._best or rank)
        return replace(answer, is_verified=trial.verdict, trial=trial)

    async def _run(self, program: str, rank: Standing, meter: Meter) -> Trial:
        if not self._tests_all and self._best is not None and self._best < rank:
            return Trial(TrialOutcome.UNTESTED, "a better-ranked program had passed")
        if self._spent_s >= self._total_s:
            return Trial(TrialOutcome.UNTESTED, f"the tests of the request had taken {self._total_s:g} s")
        trial = await self._tester.run(program, self._tests)
        self._spent_s += trial.seconds
        meter.test_runs += 1
        meter.test_s += trial.seconds
        if trial.outcome is not TrialOutcome.UNTESTED:
            self._trials[program] = trial
        return trial


class Turns:
    """Lets in so many at a time; of those that wait, the best-ranked first."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: list[tuple[Standing, int, asyncio.Future[None]]] = []
        self._numbers = count()

    @asynccontextmanager
    async def take(self, rank: Standing) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the end of the block."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(rank)
        try:
            yield
        finally:
            self._give_back()

    async def _wait(self, rank: Standing) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (rank, next(self._numbers), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it came at the same moment
                self._give_back()
            raise

    def _give_back(self) -> None:
        while self._waiting:
            _, _, turn = heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

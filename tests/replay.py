"""Searches again in what a search has grown: the same candidates at the same places, without an engine.

A candidate's seed is a hash of the request's seed and its place, and what a stop leaves out changes no other candidate.
So from one search of all N, recorded as a trace of `winnow calibrate`, follows what any rule of stopping would have
drawn and answered. It is the strategy itself that runs here; only its models read from the record.

Time is counted in rounds of the event loop, in each of which every candidate that grows gets `TICK` tokens: an engine
whose batch is never full.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from models.interfaces import Finish, Meter, Problem, Sampling, Step
from search.answers.answer import Answer
from search.calibration.traces import Trace, TracedCandidate
from search.expander import Models, seed_of
from search.solve import SearchResult, solve
from search.strategy import Strategy

TICK = 16


def traced(result: SearchResult, problem: str = "?", name: str = "world") -> Trace:
    """Return the record of a search."""
    lengths = {candidate.path: candidate.num_tokens for candidate in result.candidates}
    grown = tuple(
        TracedCandidate(
            path=candidate.path,
            tokens=candidate.num_tokens - lengths.get(candidate.path[:-1], 0),
            score=candidate.score,
            key=candidate.answer.key if candidate.answer else None,
            is_complete=candidate.is_complete,
            is_right=False,
        )
        for candidate in result.candidates
    )
    return Trace(problem, name, 0.0, result.meter.verifier_tokens, grown)


@dataclass(slots=True)
class Replay:
    """The models of a record.

    Attributes:
        trace: The record.
        seed: Of the search that it records.
        num_ticks: Rounds that the last replay took.
    """

    trace: Trace
    seed: int = 0
    num_ticks: int = 0
    context: int = 1_000_000
    thinks: bool = False
    template_arguments: frozenset[str] = frozenset()
    _by_seed: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        """Find the candidates by their seeds."""
        self._by_seed = {seed_of(self.seed, grown.path): i for i, grown in enumerate(self.trace.candidates)}

    async def search(self, strategy: Strategy) -> SearchResult:
        """Search again."""
        clock = asyncio.create_task(self._count())
        models = Models(self, self, self)
        try:
            return await solve(
                Problem(self.trace.problem), strategy, models, Sampling(0.8, 1.0, self.context, self.seed)
            )
        finally:
            clock.cancel()
            with suppress(asyncio.CancelledError):
                await clock

    async def _count(self) -> None:
        self.num_ticks = 0
        while True:
            await asyncio.sleep(0)
            self.num_ticks += 1

    def count_prompt_tokens(self, problem: Problem) -> int:
        return 0

    async def propose(self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        assert sampling.seed is not None
        place = self._by_seed[sampling.seed]
        grown = self.trace.candidates[place]
        for done in range(0, grown.tokens, TICK):
            await asyncio.sleep(0)
            meter.completion_tokens += min(TICK, grown.tokens - done)
        is_parent = any(other.path[:-1] == grown.path for other in self.trace.candidates[place + 1 :])
        is_growing = not grown.is_complete and (is_parent or grown.score is not None)
        finish = Finish.END if grown.is_complete else Finish.STEP if is_growing else Finish.LENGTH
        return Step(f" {place}", (place,) * grown.tokens, finish)

    async def respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        yield await self.propose(problem, prefix, sampling, meter)

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        meter.verifier_tokens += sum(len(step.token_ids) for step in steps)
        return tuple(self._grown(step.text).score or 0.0 for step in steps)

    async def read(self, response: str) -> Answer | None:
        key = self._grown(response).key
        return Answer(key, key) if key else None

    def _grown(self, text: str) -> TracedCandidate:
        return self.trace.candidates[int(text.split()[-1])]

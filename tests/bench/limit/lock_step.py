"""The strategies as reference codes run them, on the same engines: the thing to beat.

Problems go in batches that advance together. A round waits for its last step, then the verifier reads every response
from its beginning, without its cache, and nothing is generated meanwhile. A batch waits for its last problem.

Source: search-and-learn (Hugging Face), `beam_search.py` and `dvts.py`.
Beyond the source: complete beams are not grown on, and truncated ones not judged, which would cost it still more.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from models.interfaces import Finish, Meter, Problem, Sampling, Step, StepRule, Verifier
from tests.bench.judging import InFull
from tests.bench.limit.pair import BEAM_WIDTH, MAX_STEPS, Pair, Run

Beam = list[Step]
Beams = list[tuple[int, Beam]]
"""Responses under construction, each with the index of its problem."""


@dataclass(frozen=True, slots=True)
class LockStep:
    """One pass over problems.

    Attributes:
        pair: The engines.
        judge: Reads responses in full.
        problems: Searched.
        strategy: By name.
        n: N, the budget of each.
        seed: Of the pass.
        meter: Where tokens are counted.
        max_tokens: Of a response; None: as the pair has it.
        steps: Where they end; None: as the pair has it.
    """

    pair: Pair
    judge: Verifier
    problems: Sequence[Problem]
    strategy: str
    n: int
    seed: int
    meter: Meter
    max_tokens: int | None
    steps: StepRule | None

    async def advance(self, batch: Sequence[int]) -> None:
        """Solve a batch of problems."""
        if self.strategy == "weighted_best_of_n":
            drawn = (self._respond(index, place) for index in batch for place in range(self.n))
            await self._judge_all(await asyncio.gather(*drawn))
            return
        width = self.n // BEAM_WIDTH
        beams: Beams = [(index, []) for index in batch for _ in range(width)]
        for depth in range(MAX_STEPS):
            growing = (
                self._grow(index, beam, (depth * self.n + place) * BEAM_WIDTH + child)
                for place, (index, beam) in enumerate(beams)
                for child in range(BEAM_WIDTH)
            )
            grown = await asyncio.gather(*growing)
            beams = self._survivors(grown, await self._judge_all(grown), width)
            if not beams:
                return

    def _survivors(self, grown: Beams, scores: Sequence[float], width: int) -> Beams:
        """The best of each subtree (dvts), or of each problem (beam search), as long as they have not ended."""
        ranked = sorted(range(len(grown)), key=lambda place: -scores[place])
        if self.strategy == "dvts":
            subtrees = range(0, len(grown), BEAM_WIDTH)
            best = [max(range(at, at + BEAM_WIDTH), key=scores.__getitem__) for at in subtrees]
        else:
            problems = dict.fromkeys(index for index, _ in grown)
            best = [place for index in problems for place in [p for p in ranked if grown[p][0] == index][:width]]
        return [grown[place] for place in best if grown[place][1][-1].finish is Finish.STEP]

    async def _respond(self, index: int, place: int) -> tuple[int, Beam]:
        responses = self.pair.policy.respond(self.problems[index], (), self._draw(index, place, ()), self.meter)
        async with aclosing(responses) as steps:
            return index, [step async for step in steps]

    async def _grow(self, index: int, beam: Beam, place: int) -> tuple[int, Beam]:
        sampling = self._draw(index, place, beam)
        return index, [*beam, await self.pair.policy.propose(self.problems[index], beam, sampling, self.meter)]

    def _draw(self, index: int, place: int, beam: Iterable[Step]) -> Sampling:
        whole = self.pair.drawn(0, self.max_tokens, self.steps)
        num_left = whole.max_tokens - sum(len(step.token_ids) for step in beam)
        return self.pair.drawn(self.seed + index * 100_003 + place, num_left, self.steps)

    async def _judge_all(self, beams: Beams) -> list[float]:
        """Last step scores; -1 of what is truncated, or shows nothing."""
        return await asyncio.gather(*(self._judge(*each) for each in beams))

    async def _judge(self, index: int, steps: Beam) -> float:
        shown = [step for step in steps if not step.is_blank]
        if steps[-1].finish is Finish.LENGTH or not shown:
            return -1.0
        return (await self.judge.score(self.problems[index], (), shown, self.meter))[-1]


async def lock_step(
    pair: Pair,
    problems: Sequence[Problem],
    strategy: str,
    n: int,
    in_flight: int,
    *,
    max_tokens: int | None = None,
    steps: StepRule | None = None,
) -> Run:
    """Search as reference codes do, in batches of `in_flight` problems, on empty caches."""
    await pair.forget()
    judge, meter = InFull(pair.verifier), Meter()
    search = LockStep(pair, judge, problems, strategy, n, next(pair.seeds), meter, max_tokens, steps)
    start = time.perf_counter()
    for first in range(0, len(problems), in_flight):
        await search.advance(range(first, min(first + in_flight, len(problems))))
    seconds = time.perf_counter() - start
    return Run(seconds, len(problems), meter.completion_tokens, meter.verifier_tokens)

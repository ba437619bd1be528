"""Grows candidates: asks the policy for steps, the verifier for their scores, and the reader for the answer.

Knows one request: its problem, its models and its sampling. Does not know which candidates deserve to grow: that is
the strategy's business. Every child grows on its own, so that it is judged while its siblings are still being
generated; the engines do the batching across candidates, subtrees and requests.

A child that a failing model takes is reported to the observer and left out; the search goes on without it.

Source: Snell et al. 2024 (2408.03314), section 5.2, for lookahead: roll a step out by up to k further greedy steps, and
let the score at the end of the rollout stand for the step.
Beyond the source: identical responses are judged once; a truncated response is not judged, since it cannot vote.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from models.errors import ModelError
from models.interfaces import (
    AdaptableVerifier,
    Adaptation,
    AdaptationPlan,
    Finish,
    Meter,
    Policy,
    Problem,
    Sampling,
    Step,
    Verifier,
)
from search.aggregation import Aggregation
from search.answers.answer import AnswerReader
from search.candidate import Candidate
from search.observer import Loss, Observer
from search.strategy import Decision

T = TypeVar("T")
Grow = Callable[[Candidate, int], Awaitable[Candidate | None]]


@dataclass(frozen=True, slots=True)
class Models:
    """What a search works with; `verifier` is None for strategies that judge nothing."""

    policy: Policy
    verifier: Verifier | None
    reader: AnswerReader


class Expander:
    """Grows the candidates of one request.

    Args:
        problem: What the candidates answer.
        models: What proposes, judges and reads answers.
        sampling: For a whole response: `max_tokens` bounds it, and `seed` is the request's.
        aggregation: From step scores to a score.
        observer: Who is told of every growth.

    Attributes:
        adaptation: How the verifier fared that learnt from the candidates.
        decision: How the budget is spent, where a strategy decides that.
        first_root: What the first child of the root is called; a search that follows another one numbers on from it.
    """

    def __init__(
        self,
        problem: Problem,
        models: Models,
        sampling: Sampling,
        aggregation: Aggregation,
        observer: Observer,
    ) -> None:
        self.problem = problem
        self.aggregation = aggregation
        self.meter = Meter()
        self.adaptation: Adaptation | None = None
        self.first_root = 0
        self.decision: Decision | None = None
        self._models = models
        self._sampling = sampling
        self._observer = observer
        self._judgements: dict[tuple[int, tuple[int, ...]], asyncio.Future[tuple[float, ...]]] = {}

    def ceiling(self, candidate: Candidate) -> float:
        """Return the largest score the candidate can still get."""
        return candidate.score if self.aggregation.is_monotone and candidate.score is not None else 1.0

    async def expand(self, parent: Candidate, index: int, lookahead: int = 0) -> Candidate | None:
        """Grow child `index` of `parent` by one step and judge it after `lookahead` more; None when a model failed."""
        return await self._guarded(self._child(parent, index), lambda child: self._expand(child, lookahead))

    async def roll_out(
        self, parent: Candidate, index: int, is_hopeless: Callable[[Candidate], bool] | None = None
    ) -> Candidate | None:
        """Grow child `index` of `parent` to its end and judge it; None when a model failed.

        With `is_hopeless` each step is judged as soon as it is there, while the next is generated, and the child is
        stopped when it answers True.
        """

        async def grow(child: Candidate) -> Candidate:
            return await self._judge(await self._roll_out(child, is_hopeless))

        return await self._guarded(self._child(parent, index), grow)

    async def respond(self, parent: Candidate, index: int) -> Candidate | None:
        """Grow child `index` of `parent` to its end and leave it for `judge`; None when a model failed."""
        return await self._guarded(self._child(parent, index), self._roll_out)

    async def judge(self, candidate: Candidate) -> Candidate | None:
        """Judge a candidate at its end; None when a model failed."""
        return await self._guarded(candidate, self._judge)

    async def adapt(self, candidates: Sequence[Candidate], plan: AdaptationPlan) -> None:
        """Let the verifier learn from `candidates`, for this request alone; `adaptation` says how it went.

        Raises:
            EngineUnavailableError: The verifier failed.
        """
        verifier = self._models.verifier
        assert isinstance(verifier, AdaptableVerifier)  # noqa: S101 - whoever asks for adaptation has seen to it
        responses = [candidate.steps for candidate in candidates]
        adapted, self.adaptation = await verifier.adapted(self.problem, responses, plan, self.meter)
        self._models = replace(self._models, verifier=adapted)

    async def children(self, grow: Grow, parents: Sequence[Candidate], indices: range) -> list[Candidate]:
        """Grow the children `indices` of every parent at the same time; those not lost, in order."""
        return [child async for child in in_order(grow(p, i) for p in parents for i in indices) if child]

    async def close(self) -> None:
        """Stop what is still being judged for candidates that nobody waits for."""
        await _cancel(self._judgements.values())

    def _child(self, parent: Candidate, index: int) -> Candidate:
        return parent.child(index if parent.path else self.first_root + index)

    async def _guarded(self, child: Candidate, grow: Callable[[Candidate], Awaitable[Candidate]]) -> Candidate | None:
        try:
            child = await grow(child)
            if child.is_complete:
                child = child.conclude(await self._models.reader.read(child.text))
        except ModelError as error:
            self._observer.on_loss(Loss(child.path, error))
            return None
        self._observer.on_growth(child)
        return child

    async def _expand(self, child: Candidate, lookahead: int) -> Candidate:
        return await self._judge(await self._propose(child), lookahead)

    async def _roll_out(self, child: Candidate, is_hopeless: Callable[[Candidate], bool] | None = None) -> Candidate:
        steps = self._models.policy.respond(self.problem, child.steps, self._draw(child), self.meter)
        async with aclosing(steps):
            async for step in steps:
                child = child.extend(step)
                if child.is_growing:
                    self._observer.on_growth(child)
                if is_hopeless is not None and child.is_growing:
                    child = await self._judge(child)
                    if is_hopeless(child):
                        return replace(child, is_stopped=True)
        return child

    async def _propose(self, candidate: Candidate, *, greedy: bool = False) -> Candidate:
        sampling = self._draw(candidate, greedy=greedy)
        step = await self._models.policy.propose(self.problem, candidate.steps, sampling, self.meter)
        return candidate.extend(step)

    def _draw(self, candidate: Candidate, *, greedy: bool = False) -> Sampling:
        """Return the sampling of the candidate's next tokens: what is left to generate, and a seed of its own."""
        return replace(
            self._sampling,
            temperature=0.0 if greedy else self._sampling.temperature,
            max_tokens=self._sampling.max_tokens - candidate.num_tokens,
            seed=None if self._sampling.seed is None else seed_of(self._sampling.seed, candidate.path),
        )

    async def _judge(self, candidate: Candidate, lookahead: int = 0) -> Candidate:
        """Score the steps not judged yet, the last one at the end of its lookahead."""
        unjudged = candidate.unjudged_steps
        if self._models.verifier is None or candidate.finish is Finish.LENGTH or not unjudged:
            return candidate
        future = await self._look_ahead(candidate, lookahead)
        scores = await self._score(self._models.verifier, candidate, unjudged + future)
        step_scores = (*candidate.step_scores, *scores[: len(unjudged) - 1], scores[-1])
        return replace(candidate, step_scores=step_scores, score=self.aggregation.score(step_scores))

    async def _look_ahead(self, candidate: Candidate, lookahead: int) -> tuple[Step, ...]:
        ahead = candidate
        while ahead.is_growing and len(ahead.steps) < len(candidate.steps) + lookahead:
            ahead = await self._propose(ahead, greedy=True)
        future = ahead.steps[len(candidate.steps) :]
        return tuple(step for step in future if not step.is_blank and step.finish is not Finish.LENGTH)

    async def _score(self, verifier: Verifier, candidate: Candidate, steps: tuple[Step, ...]) -> tuple[float, ...]:
        prefix = candidate.steps[: len(candidate.step_scores)]
        key = len(prefix), tuple(token for step in (*prefix, *steps) for token in step.token_ids)
        if key in self._judgements:
            self.meter.verifier_cached_tokens += sum(len(step.token_ids) for step in steps)
        else:
            judgement = verifier.score(self.problem, prefix, steps, self.meter)
            self._judgements[key] = asyncio.ensure_future(judgement)
        return await asyncio.shield(self._judgements[key])


def seed_of(seed: int, path: tuple[int, ...]) -> int:
    """Return the seed of the candidate at `path`: another one for every place in the tree, below 2**48."""
    digest = hashlib.blake2b(repr((seed, path)).encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big")


async def in_order(awaitables: Iterable[Awaitable[T]]) -> AsyncGenerator[T, None]:
    """Run all at the same time and yield their results in the order given; closing it cancels the rest."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        for task in tasks:
            yield await task
    finally:
        await _cancel(tasks)


async def _cancel(tasks: Iterable[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""Grows candidates: asks the policy for steps, the verifier for their scores, and the reader for the answer.

Knows one request: its problem, its models and its sampling. Does not know which candidates deserve to grow: that is
the strategy's business. Every child grows on its own, so that it is judged while its siblings are still being
generated; the engines do the batching across candidates, subtrees and requests.

A child that a failing model takes is reported to the observer and left out; the search goes on without it.

Source: Snell et al. 2024 (2408.03314), section 5.2, for lookahead: roll a step out by up to k further greedy steps, and
let the score at the end of the rollout stand for the step.
Beyond the source: identical responses are judged once; a truncated response is not judged, since it cannot vote.
Thoughts before an answer are not judged unless that is asked for: verifiers are made for short solutions, and some
cannot read so much. What is behind them is judged without them, except by a verifier that reads how confident the
policy was: that one is shown everything.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, TypeVar

from models.errors import ModelError
from models.interfaces import Finish, Meter, Policy, Problem, ReadsConfidences, Sampling, Step, Verifier
from search.aggregation import Aggregation
from search.answers.answer import Answer, AnswerReader
from search.candidate import Candidate
from search.code.examiner import Examiner, Tester
from search.observer import Choice, Decision, Loss, Observer
from search.stopping import Stop
from search.voting import rank

T = TypeVar("T")
Grow = Callable[[Candidate], Awaitable[Candidate]]
Judgements = dict[tuple[int, int, tuple[int, ...]], asyncio.Future[tuple[float, ...]]]
"""By verifier, number of steps judged before, and tokens."""


@dataclass(frozen=True, slots=True)
class Models:
    """What a search works with.

    Attributes:
        policy: Proposes steps.
        verifier: Judges them; None for strategies that judge nothing.
        reader: Reads the answers of responses.
        tester: Runs programs; None where this service runs none.
        examiner: Takes the reader's place in a search whose answers are programs.
    """

    policy: Policy
    verifier: Verifier | None
    reader: AnswerReader
    tester: Tester | None = None
    examiner: Examiner | None = None


@dataclass(frozen=True, slots=True)
class Expander:
    """Grows the candidates of one request.

    Attributes:
        problem: What the candidates answer.
        models: What proposes, judges and reads answers.
        sampling: For a whole response: `max_tokens` bounds it, and `seed` is the request's.
        aggregation: From step scores to a score.
        observer: Who is told of every growth.
        meter: Where tokens are counted.
        judges_thoughts: Whether thoughts are judged, and so searched step by step; otherwise they come with the first
            step of the answer.
        thinks: Whether the policy is asked to think; None: as the problem says. A verifier reads the problem as it is,
            so that scores with and without thoughts can be compared.
        first_root: What child 0 of the root is called.
        first_steps: Children of the root that were grown by one step, as a tree search does.
        stops: How searches ended that may stop when their answer is probable.
    """

    problem: Problem
    models: Models
    sampling: Sampling
    aggregation: Aggregation
    observer: Observer
    meter: Meter = field(default_factory=Meter)
    judges_thoughts: bool = False
    thinks: bool | None = None
    first_root: int = 0
    first_steps: list[Candidate] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    _judgements: Judgements = field(default_factory=dict)

    def after(self, num_roots: int) -> "Expander":
        """Return the expander of a search that follows one with `num_roots` children of the root, and numbers on."""
        return replace(self, first_root=self.first_root + num_roots)

    def thinking(self, thinks: bool | None) -> "Expander":
        """Return the expander that asks the policy to think, or not to; None leaves it as it is."""
        return self if thinks is None else replace(self, thinks=thinks)

    def judged_by(self, verifier: Verifier | None) -> "Expander":
        """Return the expander whose candidates another verifier judges, or none."""
        return replace(self, models=replace(self.models, verifier=verifier))

    def judging_thoughts(self) -> "Expander":
        """Return the expander that scores the steps of thoughts, too, where the verifier is shown them anyway."""
        return replace(self, judges_thoughts=True) if self._is_shown_thoughts else self

    def aside(self, observer: Observer, meter: Meter) -> "Expander":
        """Return the expander that tells another observer, and counts apart; what was judged already is known to it."""
        return replace(self, observer=observer, meter=meter)

    def tell(self, decision: Decision) -> None:
        """Tell the observer what the strategy has decided."""
        self.observer.on_decision(decision)

    def keep(self, number: int, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Return the `number` best of candidates, and tell the observer which of the others are not continued."""
        ranked = rank(candidates)
        if len(ranked) > number:
            self.observer.on_choice(Choice(ranked, number))
        return ranked[:number]

    def ceiling(self, candidate: Candidate) -> float:
        """Return the largest score the candidate can still get."""
        return candidate.score if self.aggregation.is_monotone and candidate.score is not None else 1.0

    async def expand(self, children: Iterable[Candidate], lookahead: int = 0) -> list[Candidate]:
        """Grow `children` by one step each, at the same time, and judge each after `lookahead` further steps.

        Returns:
            Those that no failing model took, in order.
        """
        return await _grown(self.step(child, lookahead) for child in children)

    async def step(self, child: Candidate, lookahead: int = 0) -> Candidate | None:
        """Grow one child by one step and judge it after `lookahead` further steps; None when a model failed."""

        async def grow(child: Candidate) -> Candidate:
            return await self._judge(await self._propose(child), lookahead)

        grown = await self._guarded(self._numbered(child), grow)
        if grown and len(grown.path) == 1:
            self.first_steps.append(grown)
        return grown

    async def roll_out(self, children: Iterable[Candidate]) -> list[Candidate]:
        """Grow `children` to their ends, at the same time, and judge them; those not lost, in order."""
        return await _grown(map(self.respond, children))

    async def respond(
        self, child: Candidate, is_hopeless: Callable[[Candidate], bool] | None = None
    ) -> Candidate | None:
        """Grow one child to its end and judge it; None when a model failed.

        With `is_hopeless` each step is judged as soon as it is there, while the next is generated, and the child is
        stopped when it answers True.
        """

        async def grow(child: Candidate) -> Candidate:
            return await self._judge(await self._respond(child, is_hopeless))

        return await self._guarded(self._numbered(child), grow)

    async def judge(self, candidate: Candidate) -> Candidate | None:
        """Judge a candidate at its end; None when a model failed."""
        return await self._guarded(candidate, self._judge)

    def is_judged(self, step: Step) -> bool:
        """Tell whether a verifier is shown a step: not one that shows nothing, nor thoughts that are not judged."""
        return not step.is_blank and (self.judges_thoughts or not step.is_thinking)

    @property
    def _is_shown_thoughts(self) -> bool:
        verifier = self.models.verifier
        return isinstance(verifier, ReadsConfidences) and verifier.reads_thoughts

    def _is_shown(self, step: Step) -> bool:
        """Tell whether the verifier is shown a step, and not only those that it is to judge."""
        return self.is_judged(step) or (self._is_shown_thoughts and not step.is_blank)

    async def close(self) -> None:
        """Stop what is still being judged for candidates that nobody waits for."""
        await cancel_all(self._judgements.values())

    def _numbered(self, child: Candidate) -> Candidate:
        """Number the children of the root on from those of the search before."""
        first, *rest = child.path
        return child if rest else replace(child, path=(self.first_root + first,))

    async def _guarded(self, child: Candidate, grow: Grow) -> Candidate | None:
        try:
            child = await grow(child)
            if child.is_complete:
                child = replace(child, answer=await self._answer(child))
        except ModelError as error:
            self.observer.on_loss(Loss(child.path, error))
            return None
        self.observer.on_growth(child)
        return child

    async def _answer(self, child: Candidate) -> Answer | None:
        examiner = self.models.examiner
        if examiner is None:
            return await self.models.reader.read(child.response)
        self.observer.on_growth(replace(child, answer=examiner.read(child)))  # its tests may outlast the search
        return await examiner.examine(child, self.meter)

    async def _respond(self, child: Candidate, is_hopeless: Callable[[Candidate], bool] | None = None) -> Candidate:
        steps = self.models.policy.respond(self._asked, child.steps, self._draw(child), self.meter)
        async with aclosing(steps):
            async for step in steps:
                child = child.extend(step)
                if child.is_growing:
                    self.observer.on_growth(child)
                if is_hopeless is not None and child.is_growing:
                    child = await self._judge(child)
                    if is_hopeless(child):
                        return replace(child, is_stopped=True)
        return child

    async def _propose(self, candidate: Candidate, *, greedy: bool = False) -> Candidate:
        """Grow a candidate until it has a step more that can be judged, or ends."""
        if self.models.policy.thinks and not self.judges_thoughts and not any(map(self.is_judged, candidate.steps)):
            return await self._open(candidate, greedy=greedy)
        while True:
            sampling = self._draw(candidate, greedy=greedy)
            step = await self.models.policy.propose(self._asked, candidate.steps, sampling, self.meter)
            candidate = candidate.extend(step)
            if not candidate.is_growing or self.is_judged(step):
                return candidate

    async def _open(self, candidate: Candidate, *, greedy: bool) -> Candidate:
        """Grow a candidate to its first step that can be judged, in one generation: thoughts have many steps."""
        sampling = self._draw(candidate, greedy=greedy)
        steps = self.models.policy.respond(self._asked, candidate.steps, sampling, self.meter)
        async with aclosing(steps):
            async for step in steps:
                candidate = candidate.extend(step)
                if self.is_judged(step):
                    break
                if candidate.is_growing:
                    self.observer.on_growth(candidate)
        return candidate

    @property
    def _asked(self) -> Problem:
        return self.problem.thinking(self.thinks)

    def _draw(self, candidate: Candidate, *, greedy: bool = False) -> Sampling:
        """Return the sampling of the candidate's next tokens: what is left to generate, and a seed of its own."""
        return replace(
            self.sampling,
            temperature=0.0 if greedy else self.sampling.temperature,
            max_tokens=self.sampling.max_tokens - candidate.num_tokens,
            seed=None if self.sampling.seed is None else seed_of(self.sampling.seed, candidate.path),
        )

    async def _judge(self, candidate: Candidate, lookahead: int = 0) -> Candidate:
        """Score the steps not judged yet, the last one at the end of its lookahead."""
        last = max((place for place, step in enumerate(candidate.unjudged_steps, 1) if self.is_judged(step)), default=0)
        if self.models.verifier is None or candidate.finish is Finish.LENGTH or not last:
            return candidate
        new = candidate.unjudged_steps[:last]
        shown = tuple(filter(self._is_shown, new))
        future = await self._look_ahead(candidate, lookahead)
        scores = await self._score(self.models.verifier, candidate, shown + future)
        own = iter((*scores[: len(shown) - 1], scores[-1]))
        by_step = [(step, next(own) if self._is_shown(step) else None) for step in new]
        step_scores = (*candidate.step_scores, *(score if self.is_judged(step) else None for step, score in by_step))
        judged = [score for score in step_scores if score is not None]
        return replace(candidate, step_scores=step_scores, score=self.aggregation.score(judged))

    async def _look_ahead(self, candidate: Candidate, lookahead: int) -> tuple[Step, ...]:
        ahead = candidate
        while ahead.is_growing and len(ahead.steps) < len(candidate.steps) + lookahead:
            ahead = await self._propose(ahead, greedy=True)
        future = ahead.steps[len(candidate.steps) :]
        return tuple(step for step in future if self._is_shown(step) and step.finish is not Finish.LENGTH)

    async def _score(self, verifier: Verifier, candidate: Candidate, steps: tuple[Step, ...]) -> tuple[float, ...]:
        prefix = tuple(filter(self._is_shown, candidate.steps[: len(candidate.step_scores)]))
        if self.sampling.num_logprobs:  # the same tokens may have been sampled with another confidence
            return await verifier.score(self.problem, prefix, steps, self.meter)
        key = id(verifier), len(prefix), tuple(chain.from_iterable(step.token_ids for step in (*prefix, *steps)))
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


async def _grown(growths: Iterable[Awaitable[Candidate | None]]) -> list[Candidate]:
    return [child async for child in in_order(growths) if child]


async def in_order(awaitables: Iterable[Awaitable[T]]) -> AsyncGenerator[T, None]:
    """Run all at the same time and yield their results in the order given; closing it cancels the rest."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        for task in tasks:
            yield await task
    finally:
        await cancel_all(tasks)


async def cancel_all(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks and wait until they have ended."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

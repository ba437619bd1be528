"""Step labels for problems whose answers are known and whose steps nobody has labelled: Monte-Carlo rollouts.

The policy answers a problem R times. From the end of every step it is sampled on K times more, and the step's label is
the share of those completions that reach the right answer. The last step of a complete response needs no completions:
it is right or wrong. One that was cut at the token limit has reached nothing.

Every response and completion flows on its own: a step's completions start as soon as the step ends. Steps that several
responses share (a peaked policy repeats itself) are labelled once.

Source: Wang et al. 2024, Math-Shepherd (2312.08935), section 3.3, soft estimation.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from typing import Any

from models.interfaces import PARAGRAPHS, Finish, Meter, Policy, Problem, Sampling, Step, StepRule, response_of
from models.labels.response import LabelledResponse

Grade = Callable[[str, str], Awaitable[bool | None]]
"""Says whether a response reaches an answer; None if it states none that is read."""


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """What is sampled.

    Attributes:
        num_responses: R, responses to a problem.
        num_completions: K, completions from every step's end.
        temperature: Of both.
        top_p: Of both.
        max_tokens: Longest response, its prefix included.
        seed: The same seed, policy and problem give the same labels, whatever else is labelled.
        steps: Where steps end.
    """

    num_responses: int = 8
    num_completions: int = 8
    temperature: float = 0.8
    top_p: float = 1.0
    max_tokens: int = 2048
    seed: int = 0
    steps: StepRule = PARAGRAPHS


class StepLabeller:
    """Labels problems, many at the same time.

    Attributes:
        meter: Counts what was sampled.
        grade: Says whether a response reaches the right answer.
        plan: What is sampled.

    Args:
        policy: Is sampled.
        grade: Says whether a response reaches the right answer.
        plan: What is sampled.
        concurrency: Generations at the same time.
    """

    def __init__(self, policy: Policy, grade: Grade, plan: RolloutPlan, concurrency: int) -> None:
        self.meter = Meter()
        self.grade = grade
        self.plan = plan
        self._policy = policy
        self._places = asyncio.Semaphore(concurrency)

    async def label(self, problem: Problem, answer: str, family: str | None = None) -> list[LabelledResponse]:
        """Sample R responses to a problem and label the steps of their answers: a verifier sees no thoughts.

        Raises:
            ContextOverflowError: The problem leaves no room for a response.
            EngineUnavailableError: The engine died or refused the request.
        """
        rollouts = _Rollouts(self, problem, answer)
        responses = [asyncio.ensure_future(rollouts.respond(index)) for index in range(self.plan.num_responses)]
        try:
            labelled = await asyncio.gather(*responses)
        finally:
            await _cancel([*responses, *rollouts.labels.values()])
        behind = [([step for step in steps if not step.is_thinking], labels, read) for steps, labels, read in labelled]
        return [
            LabelledResponse(
                problem=problem.text,
                answer=answer,
                steps=tuple(step.text for step in steps),
                token_ids=tuple(step.token_ids for step in steps),
                labels=labels,
                is_complete=steps[-1].finish is Finish.END,
                system_prompt=problem.system_prompt,
                family=family,
                states_answer=states_answer,
            )
            for steps, labels, states_answer in behind
            if steps
        ]

    async def sample(
        self, problem: Problem, prefix: Sequence[Step], draw: int, on_step: Callable[[Step], None]
    ) -> None:
        """Sample the rest of a response, as soon as there is a place; `draw` tells its draws behind `prefix` apart."""
        ids = [step.token_ids for step in prefix]
        sampling = Sampling(
            temperature=self.plan.temperature,
            top_p=self.plan.top_p,
            max_tokens=self.plan.max_tokens - sum(map(len, ids)),
            seed=Random(f"{self.plan.seed} {problem} {ids} {draw}").getrandbits(48),
            steps=self.plan.steps,
        )
        async with self._places, aclosing(self._policy.respond(problem, prefix, sampling, self.meter)) as steps:
            async for step in steps:
                on_step(step)


class _Rollouts:
    """The rollouts of one problem; `labels` are those of its prefixes, by their token ids."""

    def __init__(self, labeller: StepLabeller, problem: Problem, answer: str) -> None:
        self.labels: dict[tuple[int, ...], asyncio.Future[float]] = {}
        self._labeller = labeller
        self._problem = problem
        self._answer = answer

    async def respond(self, index: int) -> tuple[list[Step], tuple[float, ...], bool]:
        """Sample response `index`; its steps, their labels and whether it states an answer."""
        steps: list[Step] = []
        labels: list[asyncio.Future[float]] = []

        def on_step(step: Step) -> None:
            steps.append(step)
            if not step.is_thinking:
                labels.append(self._label(tuple(steps)))

        await self._labeller.sample(self._problem, (), -1 - index, on_step)
        return steps, tuple(await asyncio.gather(*labels)), await self._grade(steps) is not None

    def _label(self, prefix: tuple[Step, ...]) -> asyncio.Future[float]:
        key = tuple(token_id for step in prefix for token_id in step.token_ids)
        if key not in self.labels:
            self.labels[key] = asyncio.ensure_future(self._share(prefix))
        return self.labels[key]

    async def _share(self, prefix: tuple[Step, ...]) -> float:
        if prefix[-1].finish is not Finish.STEP:
            return float(await self._grade(prefix) is True)
        num_completions = self._labeller.plan.num_completions
        completions = [asyncio.ensure_future(self._complete(prefix, draw)) for draw in range(num_completions)]
        try:
            return sum(await asyncio.gather(*completions)) / num_completions
        finally:
            await _cancel(completions)

    async def _complete(self, prefix: tuple[Step, ...], draw: int) -> bool:
        steps = [*prefix]
        await self._labeller.sample(self._problem, prefix, draw, steps.append)
        return await self._grade(steps) is True

    async def _grade(self, steps: Sequence[Step]) -> bool | None:
        if steps[-1].finish is not Finish.END:
            return None
        return await self._labeller.grade(response_of(steps), self._answer)


async def _cancel(tasks: Iterable[asyncio.Future[Any]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

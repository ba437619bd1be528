"""Problems of the demo's kind, and how the tests draw responses to them."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing

from models.interfaces import PARAGRAPHS, Meter, Policy, Problem, Sampling, Step, StepRule

PROBLEMS = tuple(
    map(
        Problem,
        (
            "Compute (17 + 28) * 3 - 45.",
            "Compute 5 * (9 - 4) + 12.",
            "Solve 5 * (x + 4) = 2x + 38 for x.",
            "Solve 3x - 7 = 11 for x.",
            "A sequence starts 2, 5, 9, 14. What is term 7?",
            "Tom has 12 apples. Tom buys 4 bags of 3 apples. How many apples does Tom have?",
            "Compute 1/2 + 1/3.",
            "Compute 30 - 4 * 5 + 2.",
        ),
    )
)
PROBLEM = PROBLEMS[0]

Response = tuple[Problem, list[Step]]


def sampling(
    seed: int | None = 0,
    *,
    temperature: float = 0.8,
    max_tokens: int = 300,
    steps: StepRule = PARAGRAPHS,
    grammar: tuple[str, str] | None = None,
) -> Sampling:
    return Sampling(temperature, 1.0, max_tokens, seed, steps, grammar=grammar)


async def respond(
    policy: Policy, how: Sampling, problem: Problem = PROBLEM, prefix: Sequence[Step] = (), meter: Meter | None = None
) -> list[Step]:
    async with aclosing(policy.respond(problem, prefix, how, meter or Meter())) as steps:
        return [step async for step in steps]


async def respond_often(policy: Policy, number: int) -> list[Response]:
    """Draw responses to all problems in turn, at the same time."""
    problems = [PROBLEMS[seed % len(PROBLEMS)] for seed in range(number)]
    responses = await asyncio.gather(
        *(respond(policy, sampling(seed), problem) for seed, problem in enumerate(problems))
    )
    return list(zip(problems, responses, strict=True))


def text_of(steps: Iterable[Step]) -> str:
    return "".join(step.text for step in steps)


def ids_of(steps: Iterable[Step]) -> list[int]:
    return [token_id for step in steps for token_id in step.token_ids]


def visible(steps: Iterable[Step]) -> list[Step]:
    return [step for step in steps if not step.is_blank]

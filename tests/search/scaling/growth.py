"""A world whose law is known: how often a problem is solved at N is what the world says, problem by problem."""

import random
from collections.abc import Callable, Iterable
from typing import Any

from search.evaluation.outcomes import Outcome

PERSISTENCE = 0.7
"""Share of the (problem, N) that go by the problem's own hardness; the others by chance."""


def power_law(floor: float, ceiling: float, exponent: float) -> Callable[[int], float]:
    return lambda n: float(ceiling - (ceiling - floor) * n**-exponent)


def grow(
    strategy: str, accuracy: Callable[[int], float], budgets: Iterable[int], num_problems: int, seed: int = 0
) -> list[Outcome]:
    """Every problem at every budget; 100 tokens generated and 50 judged a candidate, and a tenth of a second."""
    draw = random.Random(f"{seed} {strategy}")
    hardness = [draw.random() for _ in range(num_problems)]
    outcomes = []
    for n in budgets:
        for place, own in enumerate(hardness):
            hard = own if draw.random() < PERSISTENCE else draw.random()
            costs: dict[str, Any] = {
                "completion_tokens": 100 * n,
                "verifier_tokens": 50 * n,
                "verifier_cached_tokens": 0,
            }
            outcomes.append(
                Outcome(f"p{place}", None, strategy, n, 0, None, hard < accuracy(n), seconds=n / 10, **costs)
            )
    return outcomes

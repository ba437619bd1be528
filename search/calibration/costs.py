"""What searches cost: tokens and seconds, spread over problems, and on straight lines in N between known budgets."""

import statistics
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

REACH = 4
"""How many times the largest measured budget is looked at."""

MIN_VALUES = 10
"""Fewer say nothing of a tenth of all."""


class Spread(NamedTuple):
    """A quantity over problems.

    Attributes:
        low: What one problem in ten stays below.
        expected: The mean.
        high: What one problem in ten exceeds.
    """

    low: float
    expected: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float], digits: int = 9) -> Self:
        """Return the spread of at least `MIN_VALUES` values."""
        tenths = statistics.quantiles(values, n=10)  # eight in ten of all that come lie between the outer two
        return cls(*(round(value, digits) for value in (tenths[0], statistics.fmean(values), tenths[-1])))

    @classmethod
    def over(cls, values: Sequence[float]) -> Self:
        """Return the spread of values that are all there are, at least one."""
        tenths = statistics.quantiles([*values] * 2 if len(values) == 1 else values, n=10, method="inclusive")
        return cls(tenths[0], statistics.fmean(values), tenths[-1])


@dataclass(frozen=True, slots=True)
class Cost:
    """What a search takes.

    Attributes:
        completion: Tokens generated.
        verifier: Tokens that the verifier computes.
        seconds: Of the search, without the queue.
    """

    completion: Spread
    verifier: Spread
    seconds: Spread

    @classmethod
    def of(cls, spent: Iterable[tuple[float, float, float]]) -> Self:
        """Return what searches took that spent so many tokens of each kind, and seconds."""
        completion, verifier, seconds = zip(*spent, strict=True)
        return cls(Spread.of(completion, 1), Spread.of(verifier, 1), Spread.of(seconds, 3))


def between(n: int, known: Mapping[int, float]) -> float | None:
    """Return a value at `n`, known at two budgets at least: on a line between them, in proportion to N beyond all."""
    budgets = sorted(known)
    if len(budgets) < 2:
        return None
    nearest = min(max(n, budgets[0]), budgets[-1])
    if nearest != n:
        return known[nearest] * n / nearest
    above = bisect_left(budgets, n)
    if budgets[above] == n:
        return known[n]
    low, high = budgets[above - 1], budgets[above]
    return known[low] + (known[high] - known[low]) * (n - low) / (high - low)


def cost_at(n: int, known: Mapping[int, Cost]) -> Cost | None:
    """Return the cost of a budget; None where it is too far from those that are known."""
    if n in known:
        return known[n]
    if len(known) < 2 or n > REACH * max(known):
        return None
    kinds = (field.name for field in fields(Cost))
    return Cost(*(_spread_at(n, {size: getattr(cost, kind) for size, cost in known.items()}) for kind in kinds))


def _spread_at(n: int, known: Mapping[int, Spread]) -> Spread:
    at = [between(n, {size: spread[place] for size, spread in known.items()}) or 0.0 for place in range(3)]
    return Spread(*at)

"""Confidence intervals by resampling problems. The order in which problems ended does not move them.

Source: Efron 1979, "Bootstrap methods: another look at the jackknife"; percentile intervals.
"""

import random
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

RESAMPLES = 2000


class Interval(NamedTuple):
    """A mean, or a ratio of sums, and the interval that holds it with the confidence asked for."""

    mean: float
    low: float
    high: float


def bootstrap(values: Sequence[float], confidence: float = 0.95, seed: int = 0) -> Interval:
    """Return the mean of at least one value and its percentile interval over resampled problems.

    For a paired comparison pass the differences, problem by problem.
    """
    return _interval(statistics.fmean(values), resampled(sorted(values), seed), confidence)


def resampled(values: Sequence[float], seed: int = 0) -> list[float]:
    """Return the means of `RESAMPLES` resamples of at least one value."""
    draw = random.Random(seed)
    return [statistics.fmean(draw.choices(values, k=len(values))) for _ in range(RESAMPLES)]


def bootstrap_ratio(values: Sequence[float], others: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the sum of `values` over that of `others`, paired by problem, and its interval likewise.

    Args:
        values: At least one.
        others: As many, above 0.
        confidence: In (0, 1).
    """
    draw, pairs = random.Random(0), sorted(zip(values, others, strict=True))
    ratios = [_ratio(draw.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES)]
    return _interval(_ratio(pairs), ratios, confidence)


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    return sum(value for value, _ in pairs) / sum(other for _, other in pairs)


def _interval(mean: float, resampled: Iterable[float], confidence: float) -> Interval:
    ordered = sorted(resampled)
    tail = round(RESAMPLES * (1 - confidence) / 2)
    return Interval(mean, ordered[tail], ordered[-1 - tail])

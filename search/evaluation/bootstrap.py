"""Confidence intervals by resampling problems.

Source: Efron 1979, "Bootstrap methods: another look at the jackknife"; percentile intervals.
"""

import random
import statistics
from collections.abc import Sequence
from typing import NamedTuple

RESAMPLES = 2000


class Interval(NamedTuple):
    """A mean and the interval that holds it with the confidence asked for."""

    mean: float
    low: float
    high: float


def bootstrap(values: Sequence[float], confidence: float = 0.95, seed: int = 0) -> Interval:
    """Return the mean of at least one value and its percentile interval over resampled problems.

    For a paired comparison pass the differences, problem by problem.
    """
    draw = random.Random(seed)
    means = sorted(statistics.fmean(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    tail = round(RESAMPLES * (1 - confidence) / 2)
    return Interval(statistics.fmean(values), means[tail], means[-1 - tail])

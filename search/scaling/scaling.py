"""How accuracy grows with compute: power laws with a floor and a ceiling, fitted to a handful of budgets.

    accuracy(c) = ceiling - (ceiling - floor) * c ** -exponent

where c is compute in units of the smallest budget, and the same law for the log-odds of accuracy. The floor is not
fitted: it is the accuracy at the smallest budget. The ceiling lies between the floor and 1 (`CEILING` for log-odds).
For each exponent of a grid the best ceiling has a closed form, weighted least squares clipped into its bounds, so that
nothing iterates, no start matters and the same numbers give the same law.

Three to five budgets do not tell a power law from another curve. A forecast therefore asks three shapes in equal parts:
both laws, and a path that bends at random between the budgets. Where the three disagree its interval is wide.

Every array begins with an axis of resamples, B; J is the number of budgets above the smallest.

Source: floor, power and ceiling as in "Scaling laws" since Hestness et al. 2017, "Deep learning scaling is predictable,
empirically"; intervals by Efron's bootstrap. Beyond the source: the three shapes.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EXPONENTS = np.geomspace(0.02, 3, 80)
"""The grid: from nearly a straight line in log(c) to a rise that one budget more has ended."""

CEILING = 0.999
"""Of the law in log-odds, which have no end of their own."""

BEND = 4.0
"""Between two budgets, t of the way in log(c), a path has grown by t ** b with b from 1 / BEND to BEND."""

PACE = (-0.5, 1.0)
"""Beyond the largest budget a path goes on at the last pace times a factor between these: it falls, stays or rises."""

DOUBLINGS = 16
"""How far `worth_until` looks."""


class Scale(StrEnum):
    """What follows the power law."""

    ACCURACY = "accuracy"
    LOG_ODDS = "log-odds"


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """A power law for every resample, in units of its scale.

    Attributes:
        scale: What follows it.
        floor: (B,) At c = 1.
        gain: (B,) Ceiling less floor, not negative.
        exponent: (B,) Above 0.
    """

    scale: Scale
    floor: Array
    gain: Array
    exponent: Array

    def at(self, compute: float) -> Array:
        """Return the accuracies (B,) at `compute`, at least 1."""
        return _accuracy(self.scale, self.floor + self.gain * (1 - compute**-self.exponent))

    @property
    def ceiling(self) -> Array:
        """(B,) The accuracy that is never reached."""
        return _accuracy(self.scale, self.floor + self.gain)

    def worth_until(self, gain: float) -> Array:
        """Return the compute (B,) beyond which no doubling gains `gain` any more, at most 2 ** `DOUBLINGS`."""
        accuracies = np.stack([self.at(2.0**power) for power in range(DOUBLINGS + 1)])
        powers = np.arange(1.0, DOUBLINGS + 1)[:, None]
        last: Array = np.where(np.diff(accuracies, axis=0) >= gain, powers, 0.0).max(axis=0)
        return np.exp2(last)


def fit_law(scale: Scale, accuracies: Array, compute: Array, deviations: Array, num_problems: int) -> Law:
    """Fit a law to every resample.

    Args:
        scale: What follows it.
        accuracies: (B, 1 + J) At the smallest budget, then at the others; J at least 1.
        compute: (1 + J,) Of these budgets, 1 for the smallest, rising.
        deviations: (1 + J,) Standard deviations of the accuracies, above 0: what a residual weighs.
        num_problems: That were measured: accuracies of 0 and 1 are half a problem away from it in log-odds.
    """
    weights = deviations[1:] ** -2.0
    values = _scaled(scale, accuracies, num_problems)
    floor, rises = values[:, :1], values[:, 1:] - values[:, :1]
    reach = 1 - compute[1:, None] ** -EXPONENTS  # (J, exponents)
    if scale is Scale.LOG_ODDS:  # the delta method; what is best is decided among accuracies, below
        middle = accuracies[:, 1:].mean(axis=0).clip(0.5 / (num_problems + 1), 1 - 0.5 / (num_problems + 1))
        slopes = weights * (middle * (1 - middle)) ** 2
        top = np.log(CEILING / (1 - CEILING))
    else:
        slopes, top = weights, 1.0
    gains = np.clip((rises * slopes) @ reach / (slopes @ reach**2), 0.0, np.maximum(top - floor, 0.0))
    fitted = _accuracy(scale, floor[:, :, None] + gains[:, None, :] * reach)
    misfits = np.einsum("bje,j->be", (fitted - accuracies[:, 1:, None]) ** 2, weights)
    best = misfits.argmin(axis=1)
    return Law(scale, floor[:, 0], gains[np.arange(len(gains)), best], EXPONENTS[best])


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Accuracies as they were measured, with a guess of what lies between and beyond.

    Attributes:
        accuracies: (B, 1 + J).
        compute: (1 + J,) Rising from 1.
        bend: (B,) Exponents of the way between two budgets.
        pace: (B,) Factors of the last pace, beyond the largest budget.
    """

    accuracies: Array
    compute: Array
    bend: Array
    pace: Array

    def at(self, compute: float) -> Array:
        """Return the accuracies (B,) at `compute`, at least 1."""
        right = int(np.clip(np.searchsorted(self.compute, compute), 1, len(self.compute) - 1))
        low, high = self.compute[right - 1 : right + 1]
        way = np.log(compute / low) / np.log(high / low)
        share = 1 + self.pace * (way - 1) if way > 1 else way**self.bend
        start, end = self.accuracies[:, right - 1], self.accuracies[:, right]
        accuracies: Array = np.clip(start + share * (end - start), 0.0, 1.0)
        return accuracies


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What accuracy may be at budgets that were not measured."""

    laws: tuple[Law, Law]
    path: Path

    def at(self, compute: float) -> Array:
        """Return draws (3 B,) of the accuracy at `compute`."""
        return np.concatenate([shape.at(compute) for shape in (*self.laws, self.path)])


def fit_forecast(
    accuracies: Array, compute: Array, deviations: Array, num_problems: int, random: np.random.Generator
) -> Forecast:
    """Fit the three shapes; arguments as for `fit_law`, and where the bends are drawn from."""
    first, second = (fit_law(scale, accuracies, compute, deviations, num_problems) for scale in Scale)
    bend = BEND ** random.uniform(-1, 1, len(accuracies))
    return Forecast((first, second), Path(accuracies, compute, bend, random.uniform(*PACE, len(accuracies))))


def _scaled(scale: Scale, accuracies: Array, num_problems: int) -> Array:
    if scale is Scale.ACCURACY:
        return accuracies
    half = 0.5 / (num_problems + 1)
    inside = accuracies.clip(half, 1 - half)
    log_odds: Array = np.log(inside / (1 - inside))
    return log_odds


def _accuracy(scale: Scale, values: Array) -> Array:
    return values if scale is Scale.ACCURACY else 1 / (1 + np.exp(-values))

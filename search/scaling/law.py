"""A power law of accuracy in compute, and by how much it errs where it was not measured.

    accuracy(c) = ceiling - (ceiling - floor) * c ** -exponent

where c is compute in units of the smallest budget. The floor is not fitted: it is the accuracy there. The error is the
largest of those made on each other budget by the law that is fitted without it.

Source: floor, power and ceiling as in Hestness et al. 2017, "Deep learning scaling is predictable, empirically".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares  # type: ignore[import-untyped]  # it has no types

MIN_BUDGETS = 4
"""A law without one of them has still its floor and as many others as parameters."""

EXPONENTS = (0.02, 3.0)
"""From nearly a straight line in log(c) to a rise that one budget more has ended."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Law:
    """How accuracy grows.

    Attributes:
        smallest: Compute at the floor.
        floor: Accuracy there.
        ceiling: Accuracy that is never reached, from the floor to 1.
        exponent: Within `EXPONENTS`.
        error: Largest error on a budget that was left out, in [0, 1].
    """

    smallest: float
    floor: float
    ceiling: float
    exponent: float
    error: float = 0.0

    def at(self, compute: float) -> float:
        """Return the accuracy at `compute`, which is at least the smallest."""
        return float(_law(compute / self.smallest, self.floor, self.ceiling, self.exponent))


def fit_law(compute: Sequence[float], accuracies: Sequence[float]) -> Law | None:
    """Return the law of some budgets; None where they are too few or do not rise.

    Args:
        compute: Of each budget, the smallest first.
        accuracies: Measured there, in [0, 1].
    """
    units = np.array(compute, float) / compute[0]
    values = np.array(accuracies, float)
    if len(units) < MIN_BUDGETS or not (np.diff(units) > 0).all():
        return None
    others = (np.delete(np.arange(len(units)), place) for place in range(1, len(units)))
    laws = [_fit(units[kept], values[kept]) for kept in others]
    errors = [
        abs(_law(unit, values[0], *law) - value) for unit, value, law in zip(units[1:], values[1:], laws, strict=True)
    ]
    ceiling, exponent = _fit(units, values)
    return Law(compute[0], float(values[0]), ceiling, exponent, float(max(errors)))


def _fit(units: Array, values: Array) -> tuple[float, float]:
    """Return ceiling and exponent by least squares."""
    floor = values[0]
    if floor >= 1:
        return 1.0, 1.0

    def misfit(parameters: Array) -> Array:
        return _law(units[1:], floor, *parameters) - values[1:]

    start = (float(np.clip(values.max(), (1 + floor) / 2, 1)), 0.5)
    bounds = ((floor, EXPONENTS[0]), (1.0, EXPONENTS[1]))
    ceiling, exponent = least_squares(misfit, start, bounds=bounds, x_scale=(0.1, 1.0)).x
    return float(ceiling), float(exponent)


def _law(c: Array | float, floor: float, ceiling: float, exponent: float) -> Array:
    return np.asarray(ceiling - (ceiling - floor) * np.power(c, -exponent))

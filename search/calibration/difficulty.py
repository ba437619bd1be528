"""How hard problems are, and how well that is predicted.

Oracle difficulty is pass@1, the share of independent responses that are right: its quintiles, and the absolute bins of
50 to 100, 10 to 50 and 0 to 10 %. Predicted difficulty is how sure the probe of a plan is.

Source: Snell et al. 2024 (2408.03314), section 3.2, for quintiles of pass@1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr  # type: ignore[import-untyped]  # it has no types

from search.calibration.budgets import Grid, Plan
from search.calibration.choosing import NUM_BINS, STOP, Numbers, confidences, cross_validate

EDGES = (0.5, 0.1)
"""Least pass@1 of the absolute bins, but for the last."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """How well a probe predicts difficulty.

    Attributes:
        correlation: Spearman's, of pass@1 and the confidence of the probe, in [-1, 1].
        same_bin: Share of problems in the same quintile by both; 0.2 by chance.
        near_bin: Share at most one quintile apart; 0.52 by chance.
        same_absolute: Share in the same of the absolute bins, the confidence read as pass@1.
        loss: Accuracy with oracle quintiles less that with predicted ones, cross-validated, in points.
    """

    correlation: float
    same_bin: float
    near_bin: float
    same_absolute: float
    loss: float


def pass_at_1(grid: Grid) -> Numbers:
    """Return the share of each problem's responses that are right, (P,)."""
    return np.array([np.mean([grown.is_right for grown in trace.candidates]) for trace in grid.responses])


def assess(grid: Grid, plan: Plan) -> Prediction:
    """Compare what the probe of a plan predicts with the oracle."""
    oracle, predicted = pass_at_1(grid), confidences(plan.allocations[STOP], plan.confidence)
    distance = np.abs(_quintiles(oracle) - _quintiles(predicted))
    absolute = [np.digitize(values, EDGES[::-1]) for values in (oracle, predicted)]
    with_oracle = cross_validate(plan.allocations, oracle)
    return Prediction(
        correlation=float(spearmanr(oracle, predicted).statistic),
        same_bin=float((distance == 0).mean()),
        near_bin=float((distance <= 1).mean()),
        same_absolute=float((absolute[0] == absolute[1]).mean()),
        loss=100 * float(with_oracle.right.mean() - plan.expected.right.mean()),
    )


def _quintiles(values: Numbers) -> NDArray[np.intp]:
    """Return the place of each value, 0 to 4; ties in the order of the problems."""
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    quintiles: NDArray[np.intp] = ranks * NUM_BINS // len(values)
    return quintiles

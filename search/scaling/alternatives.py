"""Every strategy at every budget, of every pair of models: how accurate, how sure, at what cost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from search.evaluation.bootstrap import Interval
from search.evaluation.grid import GREEDY, Point
from search.evaluation.outcomes import Evaluation
from search.scaling.costs import Cost, Costs
from search.scaling.evidence import Evidence, resample
from search.scaling.scaling import Array, Forecast, Law, Scale
from search.strategies import MAX_N, one_sample, strategies

NUM_RESAMPLES = 1000
NUM_SHAPES = 3
"""Of a forecast; what was measured is repeated so often, so that all draws compare one with one."""

REACH = 4
"""How many times the largest measured budget is looked at."""

WORTH = 0.01
"""Share of problems that a doubling of compute has to gain to be worth it."""


class Basis(StrEnum):
    """Where an accuracy comes from."""

    MEASURED = "measured"
    BETWEEN = "between measured"
    BEYOND = "beyond measured"


class Axis(StrEnum):
    """What counts as compute."""

    N = "n"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True, eq=False)
class Alternative:
    """What one could do.

    Attributes:
        models: Name of the pair.
        point: Strategy and N.
        request: Fields of `POST /solve` that ask for it.
        basis: Where the accuracy comes from.
        accuracy: From 0 to 1, with its 95 % interval.
        draws: (D,) Of the accuracy; draw d of all alternatives is of the same resampled problems.
        cost: Per problem.
    """

    models: str
    point: Point
    request: dict[str, Any]
    basis: Basis
    accuracy: Interval
    draws: Array
    cost: Cost


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """How a strategy of a pair of models grows.

    Attributes:
        models: Name of the pair.
        strategy: Its name.
        budgets: Measured, rising.
        compute: Of these, in units of the axis.
        forecast: What lies between and beyond; None for too few budgets.
        laws: Of all problems as they were measured; empty without a forecast.
    """

    models: str
    strategy: str
    budgets: tuple[int, ...]
    compute: tuple[float, ...]
    forecast: Forecast | None
    laws: tuple[Law, ...]


class Survey:
    """All alternatives and all curves.

    Args:
        evaluations: One a pair of models, at least one.
        axis: What the curves are drawn against.
        max_n: Largest N to look at; None: `REACH` times the largest measured.
        seed: Of the resamples.
    """

    def __init__(
        self, evaluations: Sequence[Evaluation], axis: Axis = Axis.N, max_n: int | None = None, seed: int = 0
    ) -> None:
        problems = list(dict.fromkeys(o.problem for each in evaluations for o in each.outcomes))
        counts = resample(len(problems), NUM_RESAMPLES, seed)
        self.axis = axis
        self.num_problems = len(problems)
        self.alternatives: list[Alternative] = []
        self.curves: list[Curve] = []
        self.warnings: list[str] = []
        for evaluation in evaluations:
            evidence = Evidence(evaluation.outcomes, problems, counts, seed)
            costs = Costs(evaluation.outcomes)
            self._warn(evaluation, evidence)
            for strategy in evidence.strategies:
                curve = self._curve(evaluation, evidence, costs, strategy)
                self.curves.append(curve)
                for n in _grid(curve, evaluation.made, max_n):
                    self.alternatives.append(_alternative(evaluation, evidence, costs, curve, n, axis))

    def _warn(self, evaluation: Evaluation, evidence: Evidence) -> None:
        num_problems = len({outcome.problem for outcome in evaluation.outcomes})
        if num_problems < self.num_problems:
            self.warnings.append(
                f"{evaluation.name} was asked {num_problems} of all {self.num_problems} problems: "
                "pairs of models that were asked different problems do not compare well"
            )
        for strategy in evidence.strategies:
            for n in evidence.budgets(strategy):
                measured = evidence.num_problems(Point(strategy, n))
                if measured < num_problems:
                    point = f"{evaluation.name}: {Point(strategy, n)}"
                    self.warnings.append(f"{point} was measured on {measured} of {num_problems} problems")

    def _curve(self, evaluation: Evaluation, evidence: Evidence, costs: Costs, strategy: str) -> Curve:
        budgets = tuple(evidence.budgets(strategy))
        compute = tuple(compute_of(self.axis, costs, Point(strategy, n)) for n in budgets)
        forecast = evidence.forecast(strategy, budgets, compute)
        laws = tuple(evidence.law(scale, strategy, budgets, compute) for scale in Scale) if forecast else ()
        return Curve(evaluation.name, strategy, budgets, compute, forecast, laws)


def compute_of(axis: Axis, costs: Costs, point: Point) -> float:
    """Return the compute of a point in units of the axis."""
    return float(point.n) if axis is Axis.N else costs.at(point).tokens


def summarise(draws: Array, middle: float | None = None) -> Interval:
    """Return the median, or `middle`, and the 95 % interval of draws."""
    low, median, high = np.quantile(draws, [0.025, 0.5, 0.975])
    return Interval(float(median) if middle is None else middle, float(low), float(high))


def _grid(curve: Curve, made: dict[str, Any], max_n: int | None) -> Iterable[int]:
    """Return the budgets to look at: the measured ones, and with a forecast the powers of two up to the largest."""
    measured = {n for n in curve.budgets if n <= (max_n or n)}
    if curve.forecast is None:
        return sorted(measured)
    largest = min(max_n or REACH * curve.budgets[-1], MAX_N)
    powers = {2**power for power in range(MAX_N.bit_length()) if curve.budgets[0] <= 2**power <= largest}
    if _has_beams(curve.strategy):
        powers = {n for n in powers if n % _beam_width(made, n) == 0}
    return sorted(powers | measured)


def _alternative(
    evaluation: Evaluation, evidence: Evidence, costs: Costs, curve: Curve, n: int, axis: Axis
) -> Alternative:
    point = Point(curve.strategy, n)
    request = _request(point, evaluation.made)
    if curve.forecast is None or n in curve.budgets:
        draws = np.tile(evidence.draws(point), NUM_SHAPES)
        accuracy, basis = summarise(draws, evidence.accuracy(point)), Basis.MEASURED
    else:
        draws = curve.forecast.at(max(compute_of(axis, costs, point) / curve.compute[0], 1.0))
        accuracy, basis = summarise(draws), Basis.BETWEEN if n < curve.budgets[-1] else Basis.BEYOND
    return Alternative(evaluation.name, point, request, basis, accuracy, draws, costs.at(point))


def _request(point: Point, made: dict[str, Any]) -> dict[str, Any]:
    if point.strategy == GREEDY:
        return {"strategy": one_sample().name, "n": 1, "temperature": 0.0}
    sampling = {"temperature": made["temperature"]} if "temperature" in made else {}
    tree = {"beam_width": _beam_width(made, point.n)} if _has_beams(point.strategy) else {}
    return {"strategy": point.strategy, "n": point.n, **tree, **sampling}


def _has_beams(name: str) -> bool:
    return name != GREEDY and strategies()[name].has_beams


def _beam_width(made: dict[str, Any], n: int) -> int:
    return min(int(made.get("beam_width", 4)), n)

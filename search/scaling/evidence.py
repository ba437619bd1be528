"""What the outcomes of one pair of models say about accuracy: measured, resampled by problem, and forecast.

Every strategy with N = 1 is one sample, so what was measured at N = 1 for any of them is the floor of all.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from search.evaluation.grid import GREEDY, Point
from search.evaluation.outcomes import Outcome
from search.scaling.scaling import Array, Forecast, Law, Scale, fit_forecast, fit_law

MIN_BUDGETS = 3
"""A curve with its floor needs so many."""


def resample(num_problems: int, num_resamples: int, seed: int) -> Array:
    """Return how often each of `num_problems` is in each resample, (B, problems)."""
    random = np.random.default_rng(seed)
    counts = random.multinomial(num_problems, np.full(num_problems, 1 / num_problems), size=num_resamples)
    return counts.astype(np.float64)


class Evidence:
    """Accuracies by strategy and budget.

    Args:
        outcomes: Of one pair of models; those of other problems than `problems` are left out.
        problems: Which to look at, in the order of `counts`.
        counts: (B, problems) Resamples. Files of the same problems share them, so that they compare problem by problem.
        seed: Of what the forecasts draw.
    """

    def __init__(self, outcomes: Iterable[Outcome], problems: Sequence[str], counts: Array, seed: int = 0) -> None:
        self._counts = counts
        self._seed = seed
        self._right: dict[Point, Array] = {}
        self._asked: dict[Point, Array] = {}
        places = {problem: place for place, problem in enumerate(problems)}
        for outcome in outcomes:
            if (place := places.get(outcome.problem)) is not None:
                for point in self._fills(outcome):
                    self._right.setdefault(point, np.zeros(len(places)))[place] += outcome.is_correct
                    self._asked.setdefault(point, np.zeros(len(places)))[place] += 1
        self.strategies = list(dict.fromkeys(point.strategy for point in self._asked if point.strategy))

    @staticmethod
    def _fills(outcome: Outcome) -> list[Point]:
        """Its own point, and the floor of all, which has no strategy."""
        own = Point(outcome.strategy, outcome.n)
        return [own, Point("", 1)] if outcome.n == 1 and outcome.strategy != GREEDY else [own]

    def budgets(self, strategy: str) -> list[int]:
        """Return the budgets of a strategy, rising; with 1 where any strategy has it."""
        own = {point.n for point in self._asked if point.strategy == strategy}
        shared = {1} if Point("", 1) in self._asked and strategy != GREEDY else set()
        return sorted(own | shared)

    def num_problems(self, point: Point) -> int:
        """Return how many problems a point was measured on."""
        return int(np.count_nonzero(self._asked[self._source(point)]))

    def accuracy(self, point: Point) -> float:
        """Return the share of right answers: the mean over problems of the mean over seeds."""
        shares = self._shares(point)
        return float(np.nanmean(shares))

    def deviation(self, point: Point) -> float:
        """Return the standard deviation, over problems, of the mean over seeds; never 0, as for half a problem."""
        shares = self._shares(point)
        return max(float(np.nanstd(shares)), float(np.sqrt(0.5 / self.num_problems(point))))

    def draws(self, point: Point) -> Array:
        """Return the accuracy in every resample, (B,); the measured one where a resample has no problem of it."""
        shares = self._shares(point)
        known = ~np.isnan(shares)
        sizes = self._counts @ known.astype(np.float64)
        sums = self._counts @ np.where(known, shares, 0.0)
        draws: Array = np.where(sizes > 0, sums / np.maximum(sizes, 1), self.accuracy(point))
        return draws

    def forecast(self, strategy: str, budgets: Sequence[int], compute: Sequence[float]) -> Forecast | None:
        """Fit the shapes to `budgets`, which took `compute`.

        Returns:
            None for fewer budgets than `MIN_BUDGETS`, and where more budget is not more compute.
        """
        if len(budgets) < MIN_BUDGETS or any(before >= after for before, after in pairwise(compute)):
            return None
        points = [Point(strategy, n) for n in budgets]
        random = np.random.default_rng([self._seed, *strategy.encode()])
        accuracies = np.stack([self.draws(point) for point in points], axis=1)
        return fit_forecast(accuracies, *self._scales(points, compute), random)

    def law(self, scale: Scale, strategy: str, budgets: Sequence[int], compute: Sequence[float]) -> Law:
        """Fit one law to the accuracies as they were measured: one resample, that of all problems."""
        points = [Point(strategy, n) for n in budgets]
        return fit_law(scale, np.array([[self.accuracy(p) for p in points]]), *self._scales(points, compute))

    def _scales(self, points: Sequence[Point], compute: Sequence[float]) -> tuple[Array, Array, int]:
        deviations = [self.deviation(point) / self.num_problems(point) ** 0.5 for point in points]
        units = np.array(compute, dtype=np.float64) / compute[0]
        return units, np.array(deviations), min(map(self.num_problems, points))

    def _source(self, point: Point) -> Point:
        return Point("", 1) if point.n == 1 and point.strategy != GREEDY else point

    def _shares(self, point: Point) -> Array:
        source = self._source(point)
        asked = self._asked[source]
        shares: Array = np.where(asked > 0, self._right[source] / np.maximum(asked, 1), np.nan)
        return shares

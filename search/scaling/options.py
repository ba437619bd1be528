"""Every configuration at every budget, of every pair of models: how accurate, how sure, at what cost.

What was measured is as it was measured. Between and beyond the measured budgets a law says the accuracy; how sure that
is follows from the law's error and from the noise of the nearest measurement. Costs lie on straight lines in N between
the budgets, and grow in proportion to N beyond.
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm  # type: ignore[import-untyped]  # it has no types

from search.calibration.costs import REACH, between
from search.evaluation.bootstrap import Interval, resampled
from search.evaluation.grid import GREEDY, Configuration, Point
from search.evaluation.outcomes import Evaluation
from search.evaluation.report import Report
from search.scaling.law import Array, Law, fit_law
from search.strategies import MAX_N, flat, one_sample, strategies

TINY = 1e-9
QUANTILES = (np.arange(1000) + 0.5) / 1000


class Cost(NamedTuple):
    """Of a problem, in the mean; None where it is not known.

    Attributes:
        generated: Tokens of the policy.
        judged: Tokens that the verifier computed.
        cached: Tokens that it read from its cache.
        seconds: From request to reply, beside the others of the evaluation.
        seconds_tail: What 95 % of the problems do not exceed.
    """

    generated: float | None
    judged: float | None
    cached: float | None
    seconds: float | None
    seconds_tail: float | None

    @property
    def tokens(self) -> float:
        """Generated and judged; infinite where one is not known."""
        return float("inf") if self.generated is None or self.judged is None else self.generated + self.judged


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """What a request may ask for.

    Attributes:
        models: Name of the pair.
        point: Configuration and N.
        request: Fields of `POST /solve` that ask for it.
        is_measured: Whether the accuracy was; otherwise a law says it.
        accuracy: From 0 to 1, with its 95 % interval.
        draws: Of the accuracy: means of resampled problems, or what the law may be off by.
        cost: Per problem.
    """

    models: str
    point: Point
    request: dict[str, Any]
    is_measured: bool
    accuracy: Interval
    draws: Array
    cost: Cost

    def chance(self, accuracy: float) -> float:
        """Return the share of draws that reach an accuracy."""
        return float(np.mean(self.draws >= accuracy))


@dataclass(frozen=True, slots=True)
class Curve:
    """How a configuration of a pair of models grows.

    Attributes:
        models: Name of the pair.
        configuration: Which.
        budgets: Measured, rising.
        compute: Of these: N, or tokens generated and judged.
        law: None for too few budgets.
    """

    models: str
    configuration: Configuration
    budgets: tuple[int, ...]
    compute: tuple[float, ...]
    law: Law | None


class Survey:
    """All options and curves of an evaluation.

    Args:
        evaluation: Of one pair of models.
        by_tokens: Fit laws against tokens instead of N.
        max_n: Largest N to look at; None: `REACH` times the largest measured.
        seed: Of the resamples.
    """

    def __init__(self, evaluation: Evaluation, *, by_tokens: bool, max_n: int | None, seed: int) -> None:
        self.name = evaluation.name
        self.problems = {outcome.problem for outcome in evaluation.outcomes}
        self.options: list[Option] = []
        self.curves: list[Curve] = []
        self.warnings: list[str] = []
        self._made, self._by_tokens, self._seed = evaluation.made, by_tokens, seed
        self._report = Report(evaluation.outcomes)
        for point in self._report.points:
            if (measured := len(self._report.shares(point))) < len(self.problems):
                self.warnings.append(
                    f"{self.name}: {point} was measured on {measured} of {len(self.problems)} problems"
                )
        for configuration in self._report.configurations:
            self._look_at(configuration, max_n)

    def _look_at(self, configuration: Configuration, max_n: int | None) -> None:
        sources = self._sources(configuration)
        budgets = tuple(sorted(sources))
        costs = {n: self._measured_cost(configuration, source) for n, source in sources.items()}
        compute = tuple(costs[n].tokens if self._by_tokens else float(n) for n in budgets)
        shares = {n: [share / 100 for share in self._report.shares(source).values()] for n, source in sources.items()}
        means = {n: statistics.fmean(values) for n, values in shares.items()}
        law = fit_law(compute, [means[n] for n in budgets]) if np.isfinite(compute).all() else None
        self.curves.append(Curve(self.name, configuration, budgets, compute, law))
        draws = {n: np.array(resampled(values, self._seed)) for n, values in shares.items()}
        for n in (n for n in budgets if max_n is None or n <= max_n):
            self._add(configuration.at(n), costs[n], means[n], draws[n], is_measured=True)
        if law is None:
            return
        for n in self._others(configuration, budgets, max_n):
            cost = Cost(*(_known_between(n, {size: known[kind] for size, known in costs.items()}) for kind in range(5)))
            mean = law.at(cost.tokens if self._by_tokens else n)
            noise = np.std(draws[min(budgets, key=lambda size: abs(size - n))])
            spread = np.clip(norm.ppf(QUANTILES, mean, max(np.hypot(law.error, noise), TINY)), 0, 1)
            self._add(configuration.at(n), cost, mean, spread, is_measured=False)

    def _add(self, point: Point, cost: Cost, mean: float, draws: Array, *, is_measured: bool) -> None:
        low, high = np.quantile(draws, [0.025, 0.975])
        accuracy = Interval(mean, float(low), float(high))
        self.options.append(Option(self.name, point, self._request(point), is_measured, accuracy, draws, cost))

    def _sources(self, configuration: Configuration) -> dict[int, Point]:
        """Where each budget was measured: one sample is the same for every strategy but greedy."""
        ones = [point for point in self._report.points if point.n == 1 and point.strategy != GREEDY]
        shared = [point for point in ones if point.varied == configuration.varied]
        found = {1: shared[0]} if shared and configuration.strategy != GREEDY else {}
        return found | {point.n: point for point in self._report.points if point.configuration == configuration}

    def _others(self, configuration: Configuration, budgets: tuple[int, ...], max_n: int | None) -> list[int]:
        """The powers of two that were not measured and that the strategy can spend."""
        largest = min(max_n or REACH * budgets[-1], MAX_N)
        powers = {2**power for power in range(MAX_N.bit_length()) if budgets[0] < 2**power <= largest}
        return sorted(
            n for n in powers - {*budgets} if n % self._request(configuration.at(n)).get("beam_width", 1) == 0
        )

    def _request(self, point: Point) -> dict[str, Any]:
        if point.strategy == GREEDY:
            return {"strategy": one_sample().name, "n": 1, "temperature": 0.0, **dict(point.varied)}
        request: dict[str, Any] = {"strategy": point.strategy, "n": point.n}
        if strategies()[point.strategy].has_beams:
            request["beam_width"] = int(self._made.get("beam_width", 4))
        request |= {name: self._made[name] for name in ("temperature",) if name in self._made} | dict(point.varied)
        return request | ({"beam_width": min(request["beam_width"], point.n)} if "beam_width" in request else {})

    def _measured_cost(self, configuration: Configuration, source: Point) -> Cost:
        """What a point cost; where that of a request of its own is not known, what the same responses cost another."""
        judges = configuration.strategy != GREEDY and strategies()[configuration.strategy].judges
        names = [row.name for row in flat() if row.judges or not judges]
        alike = [Point(name, source.n, source.varied) for name in names if configuration.strategy in names]
        found = [cost for point in (source, *alike) if (cost := self._report.cost(point))]
        judged, cached = (
            next((value for cost in found if (value := getattr(cost, kind)) is not None), None) if judges else 0.0
            for kind in ("judged", "cached")
        )
        if judges and judged is None and source.n == 1:
            judged, cached = found[0].generated, 0.0  # one response is judged as a whole
        return Cost(found[0].generated, judged, cached, found[0].seconds, found[0].seconds_tail)


def _known_between(n: int, costs: Mapping[int, float | None]) -> float | None:
    return between(n, {size: value for size, value in costs.items() if value is not None})

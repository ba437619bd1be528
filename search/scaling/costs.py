"""What a strategy costs at a budget: means per problem as measured, and a guess for budgets that were not measured.

A kind of cost between two measured budgets is read off the straight line between them in log(N) and log(cost); beyond
them the line goes on, never falling and never rising faster than N. What was subsampled from another search has tokens
generated and nothing else. Of the rest is known: a strategy may judge nothing; those that draw independent responses
judge the same ones; at N = 1 a response is judged as a whole, with nothing in the cache yet.

It knows nothing of early stopping, by which a service spends less.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log

from search.evaluation.grid import GREEDY, Point
from search.evaluation.outcomes import Outcome
from search.strategies import flat, strategies

TAIL = 0.95
"""Share of problems that take no longer than `Cost.seconds_tail`."""


def _judges(name: str) -> bool:
    return name != GREEDY and strategies()[name].judges


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one problem, in the mean.

    Attributes:
        generated: Tokens of the policy.
        judged: Tokens that the verifier computed; None where that is not known.
        cached: Tokens that it read from its cache; None likewise.
        seconds: From request to reply, beside the others of the evaluation; None likewise.
        seconds_tail: That `TAIL` of the problems do not exceed; None likewise.
        is_measured: Whether all of it was, at this point.
    """

    generated: float
    judged: float | None
    cached: float | None
    seconds: float | None
    seconds_tail: float | None
    is_measured: bool

    @property
    def tokens(self) -> float:
        """Generated and judged: what was computed."""
        return self.generated + (self.judged or 0.0)


class Costs:
    """The costs of every strategy of a pair of models."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        groups: dict[Point, list[Outcome]] = defaultdict(list)
        for outcome in outcomes:
            groups[Point(outcome.strategy, outcome.n)].append(outcome)
        self._anchors: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
        self._single: dict[str, float] = {}
        for point, group in groups.items():
            for kind, value in _means(group).items():
                self._anchors[point.strategy][kind][point.n] = value
        self._learn_single()

    def at(self, point: Point) -> Cost:
        """Return the cost at a point of a strategy that was measured somewhere."""
        values = {kind: self._at(point, kind) for kind in ("generated", "judged", "cached", "seconds", "seconds_tail")}
        generated = values.pop("generated")
        is_measured = all(self._is_measured(point, kind) for kind in ("generated", *values))
        return Cost(generated or 0.0, **values, is_measured=is_measured)

    def _at(self, point: Point, kind: str) -> float | None:
        if not _judges(point.strategy) and kind in ("judged", "cached"):
            return 0.0
        anchors = self._known(point.strategy, kind)
        if kind in self._single and point.strategy != GREEDY:
            anchors = {1: self._single[kind], **anchors}
        return _interpolate(anchors, point.n) if anchors else None

    def _is_measured(self, point: Point, kind: str) -> bool:
        unjudged = not _judges(point.strategy) and kind in ("judged", "cached")
        return unjudged or point.n in self._anchors[point.strategy][kind]

    def _known(self, strategy: str, kind: str) -> Mapping[int, float]:
        """Return a strategy's own measurements, filled up with those of the strategies that draw the same responses."""
        known: dict[int, float] = {}
        alike = [row for row in flat() if row.judges or kind not in ("judged", "cached")]
        if any(row.name == strategy for row in flat()):
            for row in alike:
                known |= self._anchors[row.name][kind]
        return known | self._anchors[strategy][kind]

    def _learn_single(self) -> None:
        """Find what one sample costs, whichever strategy draws it."""
        for kind in ("generated", "judged", "cached", "seconds", "seconds_tail"):
            judges = kind in ("judged", "cached")
            measured = {name: kinds[kind] for name, kinds in self._anchors.items() if not judges or _judges(name)}
            found = {name: anchors[1] for name, anchors in measured.items() if 1 in anchors}
            if single := [value for name, value in found.items() if name != GREEDY] or list(found.values()):
                self._single[kind] = statistics.fmean(single)
        judging = next(row.name for row in flat() if row.judges)
        judged, cached = (self._known(judging, kind) for kind in ("judged", "cached"))
        if "judged" not in self._single and (both := judged.keys() & cached.keys()):
            largest = max(both)
            self._single |= {"judged": (judged[largest] + cached[largest]) / largest, "cached": 0.0}


def _means(group: list[Outcome]) -> dict[str, float]:
    means = {"generated": statistics.fmean(outcome.completion_tokens for outcome in group)}
    columns: dict[str, list[float | None]] = {
        "judged": [outcome.verifier_tokens for outcome in group],
        "cached": [outcome.verifier_cached_tokens for outcome in group],
        "seconds": [outcome.seconds for outcome in group],
    }
    for kind, column in columns.items():
        if values := sorted(value for value in column if value is not None):
            means[kind] = statistics.fmean(values)
            if kind == "seconds":
                means["seconds_tail"] = values[min(int(TAIL * len(values)), len(values) - 1)]
    return means


def _interpolate(anchors: Mapping[int, float], n: int) -> float:
    """Return the cost at `n`, by the two anchors around it or, beyond all, by the last two."""
    if n in anchors:
        return anchors[n]
    budgets = sorted(anchors)
    if len(budgets) == 1:
        return anchors[budgets[0]] * n / budgets[0]
    low, high = next((pair for pair in pairwise(budgets) if n < pair[1]), (budgets[-2], budgets[-1]))
    if min(anchors[low], anchors[high]) <= 0:  # no logarithm: a straight line instead
        return max(anchors[low] + (anchors[high] - anchors[low]) * (n - low) / (high - low), 0.0)
    slope = log(anchors[high] / anchors[low]) / log(high / low)
    nearest = low if n < high else high
    return anchors[nearest] * exp(min(max(slope, 0.0), 1.0) * log(n / nearest))

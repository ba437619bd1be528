"""What was measured, in numbers.

Every interval is a 95 % bootstrap over problems, of each problem's mean over seeds.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from search.evaluation.bootstrap import Interval, bootstrap, bootstrap_ratio
from search.evaluation.calibration_error import expected_calibration_error
from search.evaluation.grid import Point, names
from search.evaluation.outcomes import Outcome
from search.evaluation.pass_at_k import pass_at_k
from search.strategies import Row, flat, trees

TAIL = 0.95
MIN_CONFIDENCES = 100
"""Fewer confidences say nothing about their calibration."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Means per problem.

    Attributes:
        num_problems: Problems that they are means of.
        generated: Tokens of the policy.
        judged: Tokens that the verifier computed; None where no request was made for this point alone.
        cached: Tokens judged from its cache; None likewise.
        seconds: From request to reply; None likewise.
        seconds_tail: What 95 % of the problems do not exceed; None likewise.
    """

    num_problems: int
    generated: float
    judged: float | None
    cached: float | None
    seconds: float | None
    seconds_tail: float | None

    @property
    def tokens(self) -> float | None:
        """Generated and judged."""
        return None if self.judged is None else self.generated + self.judged


class Report:
    """Outcomes by configuration and budget.

    Args:
        outcomes: At least one; configurations of a strategy come in their order.
    """

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self._outcomes: dict[Point, list[Outcome]] = defaultdict(list)
        for outcome in outcomes:
            self._outcomes[outcome.cell.point].append(outcome)
        seen = list(dict.fromkeys(point.configuration for point in self._outcomes))
        self.configurations = sorted(seen, key=lambda each: names().index(each.strategy))
        self.points = sorted(
            self._outcomes, key=lambda point: (self.configurations.index(point.configuration), point.n)
        )
        self.budgets = sorted({point.n for point in self.points})
        self.levels = sorted({o.level for group in self._outcomes.values() for o in group if o.level is not None})
        self._served = self._served_alike()
        self._accuracies: dict[tuple[Point, int | None], Interval] = {}

    def num_seeds(self, point: Point) -> int:
        """Return the number of seeds at a point."""
        return len({outcome.seed for outcome in self._outcomes[point]})

    def calibration_error(self, point: Point) -> float | None:
        """Return the expected calibration error of the confidences told, in [0, 1]; None where too few were."""
        told = [(o.confidence, o.is_correct) for o in self._outcomes[point] if o.confidence is not None]
        return expected_calibration_error(told) if len(told) >= MIN_CONFIDENCES else None

    def accuracy(self, point: Point, level: int | None = None) -> Interval | None:
        """Return the share of right answers, %, of all problems or of a level's; None without a measurement."""
        if (point, level) not in self._accuracies and (shares := self.shares(point, level)):
            self._accuracies[point, level] = bootstrap(list(shares.values()))
        return self._accuracies.get((point, level))

    def difference(self, left: Point, right: Point) -> Interval | None:
        """Return the accuracy of `left` less that of `right`, in points, problem by problem; None without both."""
        ours, theirs = self.shares(left), self.shares(right)
        pairs = [ours[problem] - theirs[problem] for problem in ours if problem in theirs]
        return bootstrap(pairs) if pairs else None

    def pass_at(self, k: int, level: int | None = None) -> Interval | None:
        """Return pass@k, %, from all responses whose answers were seen; None where no problem has k of them.

        Responses drawn with varied fields are left out.
        """
        counts: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
        for outcome in (each for point in self._points(_names(flat())) for each in self._outcomes[point]):
            if outcome.num_right is not None and level in (None, outcome.level):
                counts[outcome.problem][outcome.seed] = (outcome.n, outcome.num_right)
        sums = [[sum(column) for column in zip(*by_seed.values(), strict=True)] for by_seed in counts.values()]
        shares = [100 * pass_at_k(n, c, k) for n, c in sums if n >= k]
        return bootstrap(shares) if shares else None

    def cost(self, point: Point) -> Cost | None:
        """Return what a point cost, where that can be had as a service would bill it; None without a measurement."""
        group = self._outcomes.get(point)
        if not group:
            return None
        served = [outcome for outcome in group if outcome.is_served and outcome.problem in self._served]
        group = served or [outcome for outcome in group if outcome.seconds is not None] or group
        return Cost(
            num_problems=len({outcome.problem for outcome in group}),
            generated=statistics.fmean(outcome.completion_tokens for outcome in group),
            judged=_mean(outcome.verifier_tokens for outcome in group),
            cached=_mean(outcome.verifier_cached_tokens for outcome in group),
            seconds=_mean(outcome.seconds for outcome in group),
            seconds_tail=_tail(outcome.seconds for outcome in group),
        )

    def tokens_per_correct(self, point: Point) -> float | None:
        """Return the tokens generated and judged for each right answer; None without a right one or the tokens."""
        cost, accuracy = self.cost(point), self.accuracy(point)
        if cost is None or cost.tokens is None or not accuracy or not accuracy.mean:
            return None
        return 100 * cost.tokens / accuracy.mean

    def generated_share(self, left: Point, right: Point) -> Interval | None:
        """Return the tokens generated by `left`, of those by `right` on the same problems; None without both.

        Responses that were asked for once for several points count in each of them, without early stopping.
        """
        ours, theirs = (self._means(point, lambda outcome: outcome.completion_tokens) for point in (left, right))
        problems = sorted(ours.keys() & theirs.keys())
        if not problems:
            return None
        return bootstrap_ratio([ours[problem] for problem in problems], [theirs[problem] for problem in problems])

    def ladder(self, n: int) -> list[tuple[Point, Point]]:
        """Return the comparisons of the strategies measured at `n`, each with the next: the better tree search last."""
        points = [point for point in self._points(_names(flat())) if point.n == n]
        if tree := self._best(_names(trees()), n):
            points.append(tree)
        return [(right, left) for left, right in pairwise(points)]

    def variations(self) -> list[tuple[Point, Point]]:
        """Return the comparisons of every configuration with the first of its strategy, at every budget of both."""
        first: dict[tuple[str, int], Point] = {}
        usual = [(point, first.setdefault((point.strategy, point.n), point)) for point in self.points]
        return [(point, other) for point, other in usual if point != other]

    def best_single(self, n: int) -> Point | None:
        """Return the strategy with the highest accuracy at `n`, with hindsight; `auto` is none."""
        return self._best(_names((*flat(), *trees())), n)

    def shares(self, point: Point, level: int | None = None) -> Mapping[str, float]:
        """Return the share of right answers over the seeds, %, by problem."""
        return self._means(point, lambda outcome: 100.0 * outcome.is_correct, level)

    def _means(self, point: Point, value: Callable[[Outcome], float], level: int | None = None) -> Mapping[str, float]:
        """Means over the seeds, by problem."""
        by_problem: dict[str, list[float]] = defaultdict(list)
        for outcome in self._outcomes.get(point, ()):
            if level in (None, outcome.level):
                by_problem[outcome.problem].append(value(outcome))
        return {problem: statistics.fmean(values) for problem, values in by_problem.items()}

    def _points(self, names: Iterable[str]) -> list[Point]:
        """Those of some strategies with nothing varied."""
        return [point for point in self.points if point.strategy in names and not point.varied]

    def _best(self, names: Iterable[str], n: int) -> Point | None:
        points = [Point(name, n) for name in names if Point(name, n) in self._outcomes]
        return max(points, key=lambda point: statistics.fmean(self.shares(point).values()), default=None)

    def _served_alike(self) -> frozenset[str]:
        """The problems on which every point with requests of its own has one, so that costs can be compared."""
        served = [{o.problem for o in group if o.is_served} for group in self._outcomes.values()]
        return frozenset.intersection(*map(frozenset, filter(None, served))) if any(served) else frozenset()


def _names(rows: Iterable[Row]) -> list[str]:
    return [row.name for row in rows]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _tail(values: Iterable[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[min(int(TAIL * len(known)), len(known) - 1)] if known else None

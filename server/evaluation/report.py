"""Tables of what was measured. Every interval is a 95 % bootstrap over problems, of each problem's mean over seeds."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from rich.table import Table

from search.evaluation.bootstrap import Interval, bootstrap
from server.evaluation.plan import STRATEGIES, TREES
from server.evaluation.results import Outcome


class Point(NamedTuple):
    """A strategy at a budget."""

    strategy: str
    n: int

    def __str__(self) -> str:
        return f"{self.strategy}@{self.n}"


class Report:
    """Outcomes by strategy and budget.

    Args:
        outcomes: At least one.
    """

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self._outcomes: dict[Point, list[Outcome]] = defaultdict(list)
        for outcome in outcomes:
            self._outcomes[Point(outcome.strategy, outcome.n)].append(outcome)
        self.strategies = [name for name in STRATEGIES if any(point.strategy == name for point in self._outcomes)]
        self.budgets = sorted({point.n for point in self._outcomes})
        self.levels = sorted({o.level for group in self._outcomes.values() for o in group if o.level is not None})

    def accuracy(self, point: Point, level: int | None = None) -> Interval | None:
        """Return the share of right answers, %, of all problems or of a level's; None without a measurement."""
        shares = self._shares(point, level)
        return bootstrap(list(shares.values())) if shares else None

    def difference(self, left: Point, right: Point) -> Interval | None:
        """Return the accuracy of `left` less that of `right`, in points, problem by problem; None without both."""
        ours, theirs = self._shares(left), self._shares(right)
        pairs = [ours[problem] - theirs[problem] for problem in ours if problem in theirs]
        return bootstrap(pairs) if pairs else None

    def accuracy_table(self, title: str) -> Table:
        """Lay out accuracies, a strategy a row and a budget a column."""
        table = Table("accuracy, %", *(f"N = {n}" for n in self.budgets), title=title)
        for name in self.strategies:
            cells = (self.accuracy(Point(name, n)) for n in self.budgets)
            table.add_row(name, *("" if cell is None else _written(cell) for cell in cells))
        return table

    def cost_table(self) -> Table:
        """Lay out means per problem of what each measured point cost, those that were not subsampled in full."""
        table = Table("a problem", "seeds", title="tokens and seconds, means per problem")
        for column in ("generated", "judged", "from cache", "latency, s"):
            table.add_column(column, justify="right")
        for point in sorted(self._outcomes, key=lambda point: (STRATEGIES.index(point.strategy), point.n)):
            group = self._outcomes[point]
            table.add_row(
                str(point),
                str(len({outcome.seed for outcome in group})),
                _mean(group, lambda outcome: outcome.completion_tokens, "{:,.0f}"),
                _mean(group, lambda outcome: outcome.verifier_tokens, "{:,.0f}"),
                _mean(group, lambda outcome: outcome.verifier_cached_tokens, "{:,.0f}"),
                _mean(group, lambda outcome: outcome.seconds, "{:.2f}"),
            )
        return table

    def difference_table(self, pairs: Sequence[tuple[Point, Point]]) -> Table:
        """Lay out paired differences."""
        table = Table("difference", "points", title="paired by problem")
        for left, right in pairs:
            difference = self.difference(left, right)
            table.add_row(f"{left} - {right}", _written(difference, "+") if difference else "not measured")
        return table

    def ladder(self, n: int) -> list[tuple[Point, Point]]:
        """Return the comparisons of the strategies measured at `n`, each with the next: the better tree search last."""
        points = [Point(name, n) for name in self.strategies if Point(name, n) in self._outcomes and name not in TREES]
        points = [point for point in points if point.strategy != "greedy"]
        if tree := self.better_tree(n):
            points.append(tree)
        return [(right, left) for left, right in pairwise(points)]

    def better_tree(self, n: int) -> Point | None:
        """Return the tree search with the higher accuracy at `n`."""
        trees = [(self.accuracy(Point(name, n)), Point(name, n)) for name in TREES]
        measured = [(accuracy.mean, point) for accuracy, point in trees if accuracy]
        return max(measured)[1] if measured else None

    def _shares(self, point: Point, level: int | None = None) -> dict[str, float]:
        by_problem: dict[str, list[float]] = defaultdict(list)
        for outcome in self._outcomes.get(point, ()):
            if level in (None, outcome.level):
                by_problem[outcome.problem].append(100.0 * outcome.is_correct)
        return {problem: statistics.fmean(shares) for problem, shares in by_problem.items()}


def _written(interval: Interval, sign: str = "") -> str:
    return f"{interval.mean:{sign}.1f} ({interval.low:{sign}.1f} to {interval.high:{sign}.1f})"


def _mean(group: Sequence[Outcome], cost: Callable[[Outcome], float | None], form: str) -> str:
    costs = [value for outcome in group if (value := cost(outcome)) is not None]
    return form.format(statistics.fmean(costs)) if costs else ""

"""How the seconds of one problem alone grow with N, with M, and with the length of the responses."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from rich.table import Table

from models.interfaces import Problem
from tests.bench.limit.pair import BEAM_WIDTH, Pair, Run, strategy
from tests.bench.limit.part import Bar, Job, median, spread, table

SEARCHES = 64
"""What the budgets of one measurement add up to, where one search does not take more: fast ones are repeated."""


@dataclass(slots=True)
class Point:
    """Runs of one size."""

    strategy: str
    n: int
    beam_width: int
    max_tokens: int | None = None
    runs: list[Run] = field(default_factory=list)

    async def measure(self, pair: Pair, problem: Problem) -> None:
        """Search for a problem, alone on the engines, more than once where that is quick."""
        way = strategy(self.strategy, self.n, self.beam_width)
        for _ in range(max(SEARCHES // self.n, 1)):
            run, _, _ = await pair.search([problem], way, 1, max_tokens=self.max_tokens)
            self.runs.append(run)

    @property
    def seconds(self) -> list[float]:
        """Of each search."""
        return [run.seconds for run in self.runs]


class Growth:
    """Sizes of one kind.

    Args:
        by: What grows: "N", "M" or "tokens of a response".
        problem: Searched for.
        points: The smallest first, of each strategy.
    """

    def __init__(self, by: str, problem: Problem, points: Sequence[Point]) -> None:
        self.by = by
        self.points = points
        self._problem = problem

    def jobs(self, pair: Pair) -> list[Job]:
        """A job a point."""
        return [
            Job(
                f"{point.strategy}, {self.by} = {self.size(point)}",
                partial(point.measure, pair, self._problem),
            )
            for point in self.points
        ]

    def size(self, point: Point) -> int:
        """How large a point is."""
        return {"N": point.n, "M": point.beam_width}.get(self.by) or point.max_tokens or 0

    def of(self, strategy: str) -> list[Point]:
        """Measured points of a strategy."""
        return [point for point in self.points if point.strategy == strategy and point.runs]

    def tables(self) -> list[Table]:
        """A row a point."""
        fixed = {"N": f"M = {BEAM_WIDTH}", "M": f"N = {self.points[0].n}"}.get(self.by, f"N = {self.points[0].n}")
        shown = table(
            f"Growth with {self.by}, {fixed}: one problem, alone",
            *("strategy", self.by, "seconds", "tokens", "seconds for 1,000 tokens", "times the seconds of the first"),
        )
        for name in dict.fromkeys(point.strategy for point in self.points):
            for point in self.of(name):
                first, seconds = self.of(name)[0], point.seconds
                shown.add_row(
                    name,
                    f"{self.size(point):,}",
                    spread(seconds),
                    spread([run.completion_tokens for run in point.runs], 0),
                    spread([1000 / run.tokens_a_second for run in point.runs], 3),
                    f"{median(seconds) / median(first.seconds):.1f}",
                )
        return [shown]

    def bars(self) -> list[Bar]:
        """Seconds grow no faster than N."""
        if self.by != "N":
            return []
        found = []
        for name in dict.fromkeys(point.strategy for point in self.points):
            measured = self.of(name)
            if len(measured) > 1:
                first, last = measured[0], measured[-1]
                ratio = median(last.seconds) / median(first.seconds) / (last.n / first.n)
                found.append(
                    Bar(f"{name}: seconds from N = {first.n} to {last.n:,} / linear", ratio, 1, is_ceiling=True)
                )
        return found

    def raw(self) -> Any:
        """Every run."""
        return {"by": self.by, "points": [asdict(point) for point in self.points]}

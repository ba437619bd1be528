"""What the parts of the benchmark have in common: jobs that are repeated while there is time, tables, bars."""

import math
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rich.box import MARKDOWN
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that something must reach, or must not exceed.

    Attributes:
        what: Is measured.
        value: The median.
        bar: What it must reach.
        is_ceiling: Whether it must not exceed the bar.
    """

    what: str
    value: float
    bar: float
    is_ceiling: bool = False

    @property
    def verdict(self) -> str:
        """Whether it is met, and by how much it is missed."""
        is_met = self.value <= self.bar if self.is_ceiling else self.value >= self.bar
        return "met" if is_met else f"missed by {abs(self.value / self.bar - 1):.0%}"


@dataclass(slots=True)
class Job:
    """A measurement that can be repeated.

    Attributes:
        name: For the progress.
        measure: Takes it once, and keeps what it found.
        seconds: That it took last; None before the first time.
        times: How often it was taken.
    """

    name: str
    measure: Callable[[], Awaitable[None]]
    seconds: float | None = None
    times: int = 0

    async def run(self) -> None:
        """Take it."""
        start = time.perf_counter()
        await self.measure()
        self.seconds, self.times = time.perf_counter() - start, self.times + 1


class Part(Protocol):
    """One question of the benchmark."""

    def tables(self) -> Sequence[Table]:
        """Tables of what was measured."""

    def bars(self) -> Sequence[Bar]:
        """What has a bar."""

    def raw(self) -> Any:
        """Every run, for JSON."""


async def repeat(jobs: Sequence[Job], until: float, report: Callable[[str], None], most: int = 100) -> None:
    """Run jobs in turn, again and again, until the next one would not end in time; at most `most` rounds."""
    for _ in range(most):
        for job in jobs:
            if time.perf_counter() + (job.seconds or 0.0) > until:
                return
            report(f"{job.name}, run {job.times + 1}")
            await job.run()


def table(title: str, *heads: str) -> Table:
    """A table that can be pasted into a page."""
    return Table(*heads, title=title, box=MARKDOWN)


def bars_table(bars: Sequence[Bar]) -> Table:
    """What has a bar, and whether it is met."""
    shown = table("It must show", "what", "median", "bar", "")
    for bar in bars:
        bound = "at most" if bar.is_ceiling else "at least"
        shown.add_row(bar.what, f"{bar.value:.3g}", f"{bound} {bar.bar:g}", bar.verdict)
    return shown


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Write the median, and the range of several."""
    if not values:
        return ""
    middle = f"{statistics.median(values):,.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def median(values: Sequence[float]) -> float:
    """The median; not a number of none."""
    return statistics.median(values) if values else math.nan

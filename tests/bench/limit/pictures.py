"""Pictures of the benchmark: throughput and latency against load, and seconds against N."""

from pathlib import Path

from matplotlib.figure import Figure

from search.strategies import strategies
from tests.bench.limit.growth import Growth
from tests.bench.limit.load import STRATEGY, Load, N
from tests.bench.limit.part import median

DPI = 110
COLOUR, GREY = "#0072B2", "#999999"
"""Okabe and Ito's, as in all pictures of the project."""


def draw_load(load: Load, path: Path) -> None:
    """Problems a second and the latency of half and of 95 % of the requests, against the requests at once."""
    levels = [level for level in load.levels if level.windows]
    numbers = [level.num_clients for level in levels]
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    figure.suptitle(f"winnow serve under load: {STRATEGY}, N = {N}, the demo pair on a CPU", fontsize="medium")
    speed, latency = figure.subplots(1, 2, sharex=True)
    middle, ranges = _with_ranges([level.throughput for level in levels])
    speed.errorbar(numbers, middle, ranges, marker="o", markersize=4, capsize=2, color=COLOUR)
    speed.set_ylabel("problems/s")
    for percent, line in ((50, "-"), (95, "--")):
        middle, ranges = _with_ranges([level.seconds(percent) for level in levels])
        latency.errorbar(
            numbers,
            middle,
            ranges,
            marker="o",
            markersize=4,
            capsize=2,
            color=COLOUR,
            linestyle=line,
            label=f"p{percent}",
        )
    latency.set_ylabel("seconds to a reply")
    latency.legend(fontsize="small")
    for axes in (speed, latency):
        axes.set_xscale("log", base=2)
        axes.set_xticks(numbers, [str(number) for number in numbers])
        axes.minorticks_off()
        axes.set_xlabel("requests at once")
        axes.set_ylim(0)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=DPI)


def draw_growth(growth: Growth, path: Path) -> None:
    """Seconds of a problem against what grows, both on logarithmic axes, a line a strategy."""
    names = [name for name in dict.fromkeys(point.strategy for point in growth.points) if growth.of(name)]
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axes = figure.add_subplot()
    for name in names:
        points = growth.of(name)
        sizes = [growth.size(point) for point in points]
        middle, ranges = _with_ranges([point.seconds for point in points])
        colour = strategies()[name].colour
        axes.errorbar(sizes, middle, ranges, marker="o", markersize=4, capsize=2, color=colour, label=name)
        linear = [middle[0] * size / sizes[0] for size in sizes]
        axes.plot(
            sizes, linear, color=GREY, linewidth=0.8, linestyle=":", label="linear" if name == names[-1] else None
        )
    sizes = sorted({growth.size(point) for name in names for point in growth.of(name)})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel(growth.by)
    axes.set_ylabel("seconds of one problem, alone")
    axes.set_title(f"Growth with {growth.by}", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=DPI)


def _with_ranges(values: list[list[float]]) -> tuple[list[float], list[list[float]]]:
    """Medians, and how far the ranges reach below and above."""
    middle = [median(each) for each in values]
    below = [each - min(runs) for each, runs in zip(middle, values, strict=True)]
    above = [max(runs) - each for each, runs in zip(middle, values, strict=True)]
    return middle, [below, above]

"""Pictures of what accuracy costs: against tokens and against seconds, with the Pareto front."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from search.evaluation.grid import Configuration, Point
from search.evaluation.palette import DASHES, Dashes, colour_of, places_of, shapes_of
from search.evaluation.pareto import pareto_front
from search.evaluation.plots import DPI
from search.evaluation.report import Cost, Report

Costs = Callable[[Cost], float | None]
FRONT = "0.75"


def plot_tokens(report: Report, path: Path, title: str) -> None:
    """Draw accuracy against tokens generated and judged."""
    _plot(report, lambda cost: cost.tokens, path, title, "tokens generated and judged a problem, mean")


def plot_seconds(report: Report, path: Path, title: str) -> None:
    """Draw accuracy against the time from request to reply."""
    _plot(report, lambda cost: cost.seconds, path, title, "seconds from request to reply, mean")


def priced(report: Report, price: Costs) -> dict[Point, tuple[float, float]]:
    """Return cost and accuracy, %, of the points for which both are known."""
    found = {}
    for point in report.points:
        cost, accuracy = report.cost(point), report.accuracy(point)
        value = price(cost) if cost else None
        if value is not None and accuracy:
            found[point] = (value, accuracy.mean)
    return found


def _plot(report: Report, price: Costs, path: Path, title: str, label: str) -> None:
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.add_subplot()
    points, marks = priced(report, price), shapes_of(report.budgets)
    _draw_front(axes, points)
    dashes = {each: DASHES[place % len(DASHES)] for each, place in places_of(report.configurations).items()}
    for each, line in dashes.items():
        own = {point: place for point, place in points.items() if point.configuration == each}
        style: dict[str, Any] = {"color": colour_of(each.strategy), "linestyle": line}
        axes.plot(*zip(*own.values(), strict=True) if own else ([], []), linewidth=1, **style)
        for point, place in own.items():
            axes.plot(*place, **style, marker=marks[point.n], markersize=7, markeredgecolor="white", zorder=3)
    axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.set_ylabel("accuracy, %")
    axes.set_title(title, fontsize="medium")
    axes.grid(alpha=0.3, which="both")
    figure.legend(handles=_legend(points, marks, dashes), loc="outside right upper", fontsize="small")
    figure.savefig(path, dpi=DPI)


def _draw_front(axes: Axes, points: dict[Point, tuple[float, float]]) -> None:
    """Mark those that nothing cheaper equals, and what can be had for each cost."""
    front = [points[point] for point in pareto_front(points)]
    if front:
        costs, gains = zip(*front, strict=True)
        axes.step(costs, gains, where="post", color=FRONT, linewidth=5, zorder=1)
        axes.plot(costs, gains, "o", markersize=15, markerfacecolor="none", markeredgecolor="0.5", zorder=2)


def _legend(points: Iterable[Point], marks: Mapping[int, str], dashes: Mapping[Configuration, Dashes]) -> list[Line2D]:
    """Colours are strategies, dashes their configurations, shapes budgets."""
    drawn = dict.fromkeys(point.configuration for point in points)
    colours = [
        Line2D([], [], color=colour_of(each.strategy), linestyle=dashes[each], linewidth=2, label=str(each))
        for each in drawn
    ]
    shapes = [Line2D([], [], color="0.3", marker=mark, linestyle="none", label=f"N = {n}") for n, mark in marks.items()]
    front = Line2D([], [], color=FRONT, linewidth=5, marker="o", markersize=10, markerfacecolor="none")
    front.set(markeredgecolor="0.5", label="Pareto front")
    return [*colours, *shapes, front]

"""Pictures of what was measured, as the Hugging Face blog draws them: accuracy against N, and by difficulty level."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from server.evaluation.report import Point, Report

COLOURS = {
    "greedy": "0.5",
    "majority": "tab:gray",
    "best_of_n": "tab:orange",
    "weighted_best_of_n": "tab:red",
    "beam_search": "tab:blue",
    "dvts": "tab:green",
}
DODGE = 1.03
"""Factor in N between neighbouring lines, so that equal ones do not hide each other."""


def plot_scaling(report: Report, path: Path, title: str) -> None:
    """Draw accuracy against N, a line a strategy, with 95 % intervals."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    _draw_lines(report, axes, None)
    axes.set_title(title)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=130)


def plot_levels(report: Report, path: Path, title: str) -> None:
    """Draw the same for each difficulty level, side by side."""
    figure = Figure(figsize=(3 * len(report.levels), 3.6), layout="constrained")
    panels = figure.subplots(1, len(report.levels), sharey=True, squeeze=False)[0]
    for level, axes in zip(report.levels, panels, strict=True):
        _draw_lines(report, axes, level)
        axes.set_title(f"level {level}")
        axes.label_outer()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize="small")
    figure.suptitle(title)
    figure.savefig(path, dpi=130)


def _draw_lines(report: Report, axes: Axes, level: int | None) -> None:
    for place, name in enumerate(report.strategies):
        measured = [(n, report.accuracy(Point(name, n), level)) for n in report.budgets]
        points = [(n, accuracy) for n, accuracy in measured if accuracy]
        if name == "greedy":
            axes.axhline(points[0][1].mean, color=COLOURS[name], linestyle=":", label="greedy")
            continue
        means = [accuracy.mean for _, accuracy in points]
        errors = [
            [accuracy.mean - accuracy.low for _, accuracy in points],
            [accuracy.high - accuracy.mean for _, accuracy in points],
        ]
        axes.errorbar(
            [n * DODGE**place for n, _ in points],
            means,
            errors,
            color=COLOURS[name],
            marker="o",
            markersize=4,
            capsize=2,
            label=name,
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(report.budgets, [str(n) for n in report.budgets])
    axes.set_xlabel("N, budget")
    axes.set_ylabel("accuracy, %")
    axes.grid(alpha=0.3)

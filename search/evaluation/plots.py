"""Pictures of accuracy, as the Hugging Face blog draws them: against N, by difficulty level, and compute-optimal."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search.evaluation.bootstrap import Interval
from search.evaluation.compute_optimal import compute_optimal
from search.evaluation.grid import GREEDY, Configuration
from search.evaluation.palette import DASHES, HATCHES, OPTIMAL, colour_of, places_of
from search.evaluation.report import Report
from search.strategies import by_table, flat, trees

DPI = 130
DODGE = 1.03
"""Factor in N between neighbouring lines, so that equal ones do not hide each other."""


def plot_scaling(report: Report, path: Path, title: str) -> None:
    """Draw accuracy against N, a line a strategy, with 95 % intervals."""
    figure, axes = _one(title, "N, budget", report.budgets)
    dashes = places_of(report.configurations)
    for place, each in enumerate(report.configurations):
        if each.strategy == GREEDY:
            _draw_greedy(report, axes, each, dashes[each] + 2)
        else:
            line = DASHES[dashes[each] % len(DASHES)]
            _draw_line(axes, _measured(report, each), place, colour_of(each.strategy), str(each), line)
    _finish(figure, axes, path)


def plot_optimal(report: Report, path: Path, title: str) -> None:
    """Draw the curve of the strategy that suits each level best, over all strategies, and what chooses beside it."""
    figure, axes = _one(title, "N, budget", report.budgets)
    singles = [Configuration(row.name) for row in (*flat(), *trees())]
    for each in report.configurations:
        if each in singles:
            points, colour = _measured(report, each), colour_of(each.strategy)
            means = [accuracy.mean for _, accuracy in points]
            axes.plot([n for n, _ in points], means, color=colour, alpha=0.7, linewidth=1, label=str(each))
    optimal = [(n, accuracy) for n in report.budgets if (accuracy := compute_optimal(report, n))]
    _draw_line(axes, optimal, 0, OPTIMAL, "best for each level, cross-fitted")
    choosing = [Configuration(row.name) for row in by_table()]
    for each in (each for each in choosing if each in report.configurations):
        _draw_line(axes, _measured(report, each), 1, colour_of(each.strategy), str(each))
    _finish(figure, axes, path)


def plot_pass_at_k(report: Report, path: Path, title: str) -> None:
    """Draw pass@k against k, of all problems and of each level."""
    figure, axes = _one(title, "k, responses", report.budgets)
    axes.set_ylabel("pass@k, %")
    shade = colormaps["viridis"]
    for place, level in enumerate(report.levels):
        colour = shade(0.9 * place / max(len(report.levels) - 1, 1))
        _draw_line(axes, _passed(report, level), place + 1, colour, f"level {level}")
    _draw_line(axes, _passed(report, None), 0, "black", "all problems")
    _finish(figure, axes, path)


def plot_levels(report: Report, path: Path, title: str) -> None:
    """Draw accuracy as bars, a panel a level, a group a budget and a bar a strategy, with 95 % intervals."""
    figure = Figure(figsize=(2.2 + 2.6 * len(report.levels), 4), layout="constrained")
    panels = figure.subplots(1, len(report.levels), sharey=True, squeeze=False)[0]
    budgets = [n for n in report.budgets if n > 1] or report.budgets
    barred = [each for each in report.configurations if each.strategy != GREEDY]
    greedy = [each for each in report.configurations if each.strategy == GREEDY]
    hatches = places_of(barred)
    for level, axes in zip(report.levels, panels, strict=True):
        for place, each in enumerate(barred):
            hatch = HATCHES[hatches[each] % len(HATCHES)]
            _draw_bars(report, axes, level, budgets, each, (place + 0.5) / len(barred) - 0.5, 0.84 / len(barred), hatch)
        for place, each in enumerate(greedy):
            _draw_greedy(report, axes, each, place + 2, level)
        axes.set_title(f"level {level}")
        axes.set_xticks(range(len(budgets)), [str(n) for n in budgets])
        axes.set_xlabel("N, budget")
        axes.grid(axis="y", alpha=0.3)
    panels[0].set_ylabel("accuracy, %")
    panels[0].set_ylim(0, 105)
    handles = dict(zip(*panels[0].get_legend_handles_labels()[::-1], strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=7, fontsize="small")
    figure.suptitle(title)
    figure.savefig(path, dpi=DPI)


def _draw_bars(
    report: Report,
    axes: Axes,
    level: int,
    budgets: Sequence[int],
    configuration: Configuration,
    shift: float,
    width: float,
    hatch: str,
) -> None:
    points = [(place, report.accuracy(configuration.at(n), level)) for place, n in enumerate(budgets)]
    known = [(place + 0.84 * shift, accuracy) for place, accuracy in points if accuracy]
    accuracies = [accuracy for _, accuracy in known]
    axes.bar(
        [place for place, _ in known],
        [accuracy.mean for accuracy in accuracies],
        width,
        yerr=_errors(accuracies),
        color=colour_of(configuration.strategy),
        hatch=hatch,
        error_kw={"elinewidth": 0.8},
        label=str(configuration),
    )


def _draw_greedy(report: Report, axes: Axes, greedy: Configuration, dashes: int, level: int | None = None) -> None:
    accuracy = report.accuracy(greedy.at(1), level)
    if accuracy:
        line = DASHES[dashes % len(DASHES)]
        axes.axhline(accuracy.mean, color=colour_of(GREEDY), linestyle=line, label=str(greedy))


def _draw_line(
    axes: Axes, points: Sequence[tuple[int, Interval]], place: int, colour: object, label: str, line: str = "-"
) -> None:
    accuracies = [accuracy for _, accuracy in points]
    axes.errorbar(
        [n * DODGE**place for n, _ in points],
        [accuracy.mean for accuracy in accuracies],
        _errors(accuracies),
        color=colour,
        linestyle=line,
        marker="o",
        markersize=4,
        capsize=2,
        label=label,
    )


def _errors(accuracies: Sequence[Interval]) -> list[list[float]]:
    """How far the intervals reach below and above."""
    return [[each.mean - each.low for each in accuracies], [each.high - each.mean for each in accuracies]]


def _measured(report: Report, configuration: Configuration) -> list[tuple[int, Interval]]:
    return _known(report.budgets, lambda n: report.accuracy(configuration.at(n)))


def _passed(report: Report, level: int | None) -> list[tuple[int, Interval]]:
    return _known(report.budgets, lambda k: report.pass_at(k, level))


def _known(budgets: Sequence[int], accuracy: Callable[[int], Interval | None]) -> list[tuple[int, Interval]]:
    return [(n, found) for n in budgets if (found := accuracy(n))]


def _one(title: str, label: str, budgets: Sequence[int]) -> tuple[Figure, Axes]:
    """Return a picture of one panel, its axis that of budgets."""
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize="medium")
    axes.set_xscale("log", base=2)
    axes.set_xticks(budgets, [str(n) for n in budgets])
    axes.set_xlabel(label)
    axes.set_ylabel("accuracy, %")
    return figure, axes


def _finish(figure: Figure, axes: Axes, path: Path) -> None:
    """The legend stands beside the lines, not on them."""
    axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    figure.savefig(path, dpi=DPI)

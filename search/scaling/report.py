"""The choice as people read it, tables and a picture, and as machines do, an object."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

from search.calibration.costs import REACH
from search.evaluation.palette import DASHES, colour_of
from search.scaling.choice import Choice, Requirement
from search.scaling.law import MIN_BUDGETS
from search.scaling.options import Curve, Option


def option_table(chosen: Option, options: Iterable[Option], requirement: Requirement) -> Table:
    """Lay out the chosen option, and the others below it; "?" marks what was not measured."""
    chance = () if requirement.accuracy is None else ("chance, %",)
    table = Table("models", "", "N", "accuracy, %", *chance, "generated", "judged", "from cache", "s", "95 % within, s")
    for each in (chosen, *(each for each in options if each is not chosen)):
        mean, low, high = (100 * value for value in each.accuracy)
        mark = "" if each.is_measured else "?"
        own = [] if requirement.accuracy is None else [f"{100 * each.chance(requirement.accuracy):.0f}"]
        costs = [
            "" if value is None else f"{mark}{value:,.{2 * (place > 2)}f}" for place, value in enumerate(each.cost)
        ]
        accuracy = f"{mean:.1f}{mark} ({low:.1f} to {high:.1f})"
        name, n = str(each.point.configuration), str(each.point.n)
        table.add_row(each.models, name, n, accuracy, *own, *costs, style="bold" if each is chosen else None)
    return table


def curve_table(curves: Sequence[Curve]) -> Table:
    """Lay out the laws, and by how much they err on a budget that was left out."""
    title = "accuracy = ceiling - (ceiling - floor) c ** -exponent; c: compute in units of the smallest"
    table = Table("models", "", "measured at N", "floor, %", "ceiling, %", "exponent", "errs by, points", title=title)
    for curve in curves:
        law = curve.law
        values = [f"needs {MIN_BUDGETS} N"]
        if law:
            values = [
                f"{100 * law.floor:.1f}",
                f"{100 * law.ceiling:.1f}",
                f"{law.exponent:.2f}",
                f"{100 * law.error:.1f}",
            ]
        table.add_row(curve.models, str(curve.configuration), ", ".join(map(str, curve.budgets)), *values)
    return table


def as_record(
    requirement: Requirement,
    choice: Choice,
    options: Iterable[Option],
    curves: Iterable[Curve],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return everything for machines."""
    return {
        "requirement": asdict(requirement),
        "is_met": choice.is_met,
        "reason": choice.reason,
        "recommendation": _option(choice.option),
        "options": [_option(each) for each in options],
        "curves": [
            {
                "models": curve.models,
                "strategy": curve.configuration.strategy,
                "varied": dict(curve.configuration.varied),
                "budgets": curve.budgets,
                "law": asdict(curve.law) if curve.law else None,
            }
            for curve in curves
        ],
        "warnings": warnings,
    }


def _option(each: Option) -> dict[str, Any]:
    tokens = each.cost.tokens
    return {
        "models": each.models,
        "request": each.request,
        "is_measured": each.is_measured,
        "accuracy": {"estimate": each.accuracy.mean, "low": each.accuracy.low, "high": each.accuracy.high},
        "cost": each.cost._asdict() | {"tokens": tokens if np.isfinite(tokens) else None},
    }


def plot_curves(curves: Sequence[Curve], options: Sequence[Option], path: Path) -> None:
    """Draw what was measured, with 95 % intervals, and the laws, as wide as they err."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    models = list(dict.fromkeys(curve.models for curve in curves))
    for curve in curves:
        style: dict[str, Any] = {"color": colour_of(curve.configuration.strategy)}
        style["linestyle"] = DASHES[models.index(curve.models) % len(DASHES)]
        own = [
            each.accuracy
            for each in options
            if each.is_measured and (each.models, each.point.configuration) == (curve.models, curve.configuration)
        ]
        errors = [[each.mean - each.low for each in own], [each.high - each.mean for each in own]]
        means, label = [each.mean for each in own], f"{curve.models} {curve.configuration}"
        axes.errorbar(
            curve.compute[: len(own)], means, errors, color=style["color"], marker="o", capsize=2, ls="", label=label
        )
        if law := curve.law:
            compute = np.geomspace(law.smallest, REACH * curve.compute[-1])
            accuracies = np.array([law.at(each) for each in compute])
            axes.plot(compute, accuracies, linewidth=1, **style)
            axes.fill_between(
                compute, accuracies - law.error, accuracies + law.error, color=style["color"], alpha=0.12, linewidth=0
            )
    axes.set_xscale("log", base=2)
    axes.set_xlabel("compute: N, or tokens generated and judged")
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=130)

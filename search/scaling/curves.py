"""The curves of `winnow plan`: what was measured, with intervals, and the bands of what was not."""

from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from search.scaling.alternatives import REACH, Axis, Basis, Survey

MARKERS = "osD^v"
"""One a pair of models."""

NUM_POINTS = 120


def plot_curves(survey: Survey, path: Path) -> None:
    """Draw accuracy against compute: points with 95 % intervals, medians and 95 % bands of the forecasts."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    markers = dict(zip(dict.fromkeys(curve.models for curve in survey.curves), cycle(MARKERS), strict=False))
    colours = {name: f"C{place}" for place, name in enumerate(dict.fromkeys(each.strategy for each in survey.curves))}
    for curve in survey.curves:
        colour = colours[curve.strategy]
        name = f"{curve.models} {curve.strategy}" if len(markers) > 1 else curve.strategy
        measured = {
            each.point.n: each.accuracy
            for each in survey.alternatives
            if (each.models, each.point.strategy) == (curve.models, curve.strategy) and each.basis is Basis.MEASURED
        }
        means = [measured[n].mean for n in curve.budgets]
        errors = [[measured[n].mean - measured[n].low for n in curve.budgets]]
        errors += [[measured[n].high - measured[n].mean for n in curve.budgets]]
        marker = markers[curve.models]
        axes.errorbar(
            curve.compute, means, errors, color=colour, marker=marker, markersize=4, capsize=2, ls="", label=name
        )
        if curve.forecast:
            units = np.geomspace(1, REACH * curve.compute[-1] / curve.compute[0], NUM_POINTS)
            low, middle, high = np.quantile([curve.forecast.at(unit) for unit in units], [0.025, 0.5, 0.975], axis=1)
            axes.plot(units * curve.compute[0], middle, color=colour, linewidth=1)
            axes.fill_between(units * curve.compute[0], low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set_xscale("log", base=2 if survey.axis is Axis.N else 10)
    axes.set_xlabel("N, budget" if survey.axis is Axis.N else "tokens a problem, generated and judged")
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=130)

"""Which pictures are drawn of what was measured."""

from pathlib import Path

from search.evaluation.compute_optimal import compute_optimal
from search.evaluation.frontier import plot_seconds, plot_tokens
from search.evaluation.plots import plot_levels, plot_optimal, plot_pass_at_k, plot_scaling
from search.evaluation.report import Report


def draw_all(report: Report, folder: Path, title: str) -> None:
    """Draw every picture for which there is something to show."""
    plot_scaling(report, folder / "scaling.png", title)
    plot_tokens(report, folder / "tokens.png", title)
    plot_seconds(report, folder / "seconds.png", title)
    if report.levels:
        plot_levels(report, folder / "levels.png", title)
    if any(compute_optimal(report, n) for n in report.budgets):
        plot_optimal(report, folder / "compute_optimal.png", title)
    if report.pass_at(1):
        plot_pass_at_k(report, folder / "pass_at_k.png", title)

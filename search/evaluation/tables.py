"""Tables of what was measured."""

from collections.abc import Sequence

from rich.table import Table

from search.evaluation.bootstrap import Interval
from search.evaluation.compute_optimal import choices, compute_optimal
from search.evaluation.grid import Point
from search.evaluation.report import Report


def accuracy_table(report: Report, title: str) -> Table:
    """Lay out accuracies, a strategy a row and a budget a column; then what no vote can do better than."""
    table = Table("accuracy, %", *(f"N = {n}" for n in report.budgets), title=title)
    for each in report.configurations:
        table.add_row(str(each), *(_written(report.accuracy(each.at(n))) for n in report.budgets))
    optimal = [compute_optimal(report, n) for n in report.budgets]
    if any(optimal):
        table.add_row("best per level*", *map(_written, optimal))
        table.caption = "* chosen on one half of the problems and measured on the other"
    return table


def pass_table(report: Report) -> Table | None:
    """Lay out pass@k, over all problems and by level; None where it was not measured."""
    if report.pass_at(1) is None:
        return None
    table = Table("pass@k, %", *(f"k = {k}" for k in report.budgets), title="at least one of k responses is right")
    table.add_row("all", *(_written(report.pass_at(k)) for k in report.budgets))
    for level in report.levels:
        table.add_row(f"level {level}", *(_written(report.pass_at(k, level)) for k in report.budgets))
    return table


def cost_table(report: Report) -> Table:
    """Lay out means per problem of what each point cost."""
    table = Table(title="tokens and seconds, means per problem")
    table.add_column("a problem", no_wrap=True)
    for column in ("seeds", "problems", "generated", "judged", "cached", "latency, s", "per right answer"):
        table.add_column(column, justify="right")
    for point in report.points:
        cost = report.cost(point)
        if cost:
            table.add_row(
                str(point),
                str(report.num_seeds(point)),
                str(cost.num_problems),
                _number(cost.generated),
                _number(cost.judged),
                _number(cost.cached),
                _number(cost.seconds, "{:.2f}"),
                _number(report.tokens_per_correct(point)),
            )
    return table


def confidence_table(report: Report) -> Table | None:
    """Lay out how well replies knew whether they were right; None where none said so."""
    errors = {point: error for point in report.points if (error := report.calibration_error(point)) is not None}
    if not errors:
        return None
    stated = dict.fromkeys(point.configuration for point in errors)
    table = Table("calibration error of confidence", *(f"N = {n}" for n in report.budgets))
    for each in stated:
        found = [errors.get(each.at(n)) for n in report.budgets]
        table.add_row(str(each), *("" if error is None else f"{error:.3f}" for error in found))
    return table


def choice_table(report: Report) -> Table | None:
    """Lay out the strategy with the highest accuracy for each level and budget; None where there is no choice."""
    chosen = {n: best for n in report.budgets if n > 1 and (best := choices(report, n))}
    if not chosen:
        return None
    table = Table("best with hindsight", *(f"N = {n}" for n in chosen))
    for level in report.levels:
        table.add_row(f"level {level}", *(best.get(level, "") for best in chosen.values()))
    return table


def difference_table(report: Report, pairs: Sequence[tuple[Point, Point]]) -> Table:
    """Lay out paired differences, and the tokens that the one generated, of those of the other."""
    table = Table("difference", "points", "tokens generated", title="paired by problem")
    for left, right in pairs:
        share = report.generated_share(left, right)
        told = f"x {share.mean:.2f} ({share.low:.2f} to {share.high:.2f})" if share else ""
        table.add_row(f"{left} - {right}", _written(report.difference(left, right), "+") or "not measured", told)
    return table


def _written(interval: Interval | None, sign: str = "") -> str:
    return f"{interval.mean:{sign}.1f} ({interval.low:{sign}.1f} to {interval.high:{sign}.1f})" if interval else ""


def _number(value: float | None, form: str = "{:,.0f}") -> str:
    return "" if value is None else form.format(value)

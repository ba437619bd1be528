"""Advice as people read it, tables, and as machines do, an object."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from rich.table import Table

from search.evaluation.bootstrap import Interval
from search.scaling.advice import Advice, Wish, chance_of
from search.scaling.alternatives import WORTH, Alternative, Axis, Basis, Curve, Survey, summarise
from search.scaling.evidence import MIN_BUDGETS
from search.scaling.scaling import DOUBLINGS, Scale

MARKS = {Basis.MEASURED: "", Basis.BETWEEN: "~", Basis.BEYOND: "?"}
"""Behind an accuracy that was not measured; "~" also before costs that were not."""

COSTS = (("generated", "{:,.0f}"), ("judged", "{:,.0f}"), ("cached", "{:,.0f}"), ("seconds", "{:.2f}"))


def advice_table(advice: Advice, others: Sequence[Alternative], wish: Wish, *, has_models: bool) -> Table:
    """Lay out what to do, and below it the others."""
    table = Table(
        "", "N", "accuracy, %", title="the answer and others" if advice.is_possible else "the nearest and others"
    )
    if wish.accuracy is not None:
        table.add_column("chance, %", justify="right")
    for column in ("generated", "judged", "from cache", "s", "95 % within, s"):
        table.add_column(column, justify="right")
    for each in (advice.chosen, *others):
        name = f"{each.models}\n{each.point.strategy}" if has_models else each.point.strategy
        chance = [] if wish.accuracy is None else [f"{100 * chance_of(each, wish.accuracy):.0f}"]
        style = "bold" if each is advice.chosen else None
        table.add_row(name, str(each.point.n), _accuracy(each), *chance, *_costs(each), style=style)
    return table


def curve_table(survey: Survey, *, has_models: bool) -> Table:
    """Lay out the laws: ceilings and exponents, and where no doubling is worth it any more."""
    unit = "N" if survey.axis is Axis.N else "tokens"
    title = f"v(c) = ceiling - (ceiling - floor) c ** -exponent, c = {unit} / the smallest {unit}"
    table = Table("", "measured at N", "v", "floor, %", "ceiling, %", "exponent", title=title)
    table.add_column(f"no gain beyond {unit}")
    for curve in survey.curves:
        models = f"{curve.models}\n" if has_models else ""
        name, budgets = f"{models}{curve.strategy}", ", ".join(map(str, curve.budgets))
        if not curve.laws:
            table.add_row(name, budgets, f"needs {MIN_BUDGETS} N")
        for scale, law in law_records(curve).items():
            ceiling, exponent = _interval(law.ceiling, "{:.1f}", 100), _interval(law.exponent, "{:.2f}")
            limit = curve.compute[0] * 2**DOUBLINGS
            table.add_row(name, budgets, scale, f"{100 * law.floor:.1f}", ceiling, exponent, _worth(law, limit))
            name = budgets = ""
    return table


class LawRecord(NamedTuple):
    """The parameters of a law, from 0 to 1 where they are accuracies, with their 95 % intervals."""

    floor: float
    ceiling: Interval
    exponent: Interval
    worth_until: Interval


def law_records(curve: Curve) -> dict[Scale, LawRecord]:
    """Return the laws of a curve."""
    if curve.forecast is None:
        return {}
    return {
        law.scale: LawRecord(
            float(law.at(1.0)[0]),
            summarise(drawn.ceiling, float(law.ceiling[0])),
            summarise(drawn.exponent, float(law.exponent[0])),
            summarise(drawn.worth_until(WORTH) * curve.compute[0], float(law.worth_until(WORTH)[0]) * curve.compute[0]),
        )
        for law, drawn in zip(curve.laws, curve.forecast.laws, strict=True)
    }


def as_record(survey: Survey, wish: Wish, advice: Advice) -> dict[str, Any]:
    """Return everything for machines."""
    return {
        "wish": asdict(wish),
        "is_possible": advice.is_possible,
        "chance": advice.chance,
        "reason": advice.reason,
        "recommendation": _alternative(advice.chosen),
        "alternatives": [_alternative(each) for each in survey.alternatives],
        "curves": [_curve(curve) for curve in survey.curves],
        "compute": survey.axis,
        "worth": WORTH,
        "num_problems": survey.num_problems,
        "warnings": survey.warnings,
    }


def _alternative(each: Alternative) -> dict[str, Any]:
    return {
        "models": each.models,
        "request": each.request,
        "strategy": each.point.strategy,
        "n": each.point.n,
        "basis": each.basis,
        "accuracy": _named(each.accuracy),
        "cost": asdict(each.cost) | {"tokens": each.cost.tokens},
    }


def _curve(curve: Curve) -> dict[str, Any]:
    laws = {
        scale: {name: _named(value) if isinstance(value, Interval) else value for name, value in law._asdict().items()}
        for scale, law in law_records(curve).items()
    }
    return {"models": curve.models, "strategy": curve.strategy, "budgets": curve.budgets, "laws": laws}


def _named(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.mean, "low": interval.low, "high": interval.high}


def _accuracy(each: Alternative) -> str:
    mean, low, high = (100 * value for value in each.accuracy)
    return f"{mean:.1f}{MARKS[each.basis]} ({low:.1f} to {high:.1f})"


def _costs(each: Alternative) -> list[str]:
    values = [(getattr(each.cost, name), form) for name, form in (*COSTS, ("seconds_tail", "{:.2f}"))]
    mark = "" if each.cost.is_measured else "~"
    return ["" if value is None else mark + form.format(value) for value, form in values]


def _interval(interval: Interval, form: str, factor: float = 1) -> str:
    mean, low, high = (form.format(factor * value) for value in interval)
    return f"{mean} ({low} to {high})"


def _worth(law: LawRecord, limit: float) -> str:
    if law.worth_until.low >= limit:
        return f"over {limit:,.0f}"
    return "{} ({} to {})".format(*(f"over {v:,.0f}" if v >= limit else f"{v:,.0f}" for v in law.worth_until))

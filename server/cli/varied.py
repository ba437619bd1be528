"""`--vary FIELD=VALUE,VALUE`: fields of a request, and the values that are compared."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from models.spelling import did_you_mean
from search.errors import HyperparameterError
from search.evaluation.grid import GREEDY, Value, can_vary, configurations, reads
from search.strategies import conversions, strategies
from server.refusals import allowed_instead
from server.schemas import SolveRequest, StepsIn


class VariedField(click.ParamType[tuple[str, tuple[Value, ...]]]):
    """A field of a request and at least one value: FIELD=VALUE,VALUE."""

    name = "varied field"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[Value, ...]]:
        """Read it."""
        if isinstance(value, tuple):
            return value
        field, separator, texts = value.partition("=")
        if not separator:
            self.fail(f"{value!r} names no values; write FIELD=VALUE,VALUE", param, ctx)
        try:
            values = tuple(read_value(field, text) for text in texts.split(","))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if repeated := [each for each in values if values.count(each) > 1]:
            self.fail(f"{field}: {repeated[0]} is given twice", param, ctx)
        return field, values


def read_value(field: str, text: str) -> Value:
    """Read a value of a field as a request would carry it; @FILE is the text of a file, nothing is null.

    Raises:
        ValueError: The field cannot be varied, or cannot have this value.
    """
    if field not in can_vary():
        allowed = f"use {', '.join(can_vary())}"
        raise ValueError(f"{field!r} cannot be varied; {did_you_mean(field, can_vary(), allowed)}")
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{field}: {text[1:]} cannot be read: {error}") from error
    candidates: list[Any] = [text] if text else [None]
    with suppress(ValueError):
        candidates.append(json.loads(text))  # a number, or steps
    for candidate in candidates:
        try:
            request = SolveRequest.model_validate({"problem": "1 + 1", field: candidate})
        except ValidationError as error:
            allowed = allowed_instead(SolveRequest, [field], {field: candidate})
            message = f"{error.errors()[0]['msg']}{allowed}"
        else:
            value: Value = getattr(request, field)
            return json.dumps(value.shown()) if isinstance(value, StepsIn) else value
    raise ValueError(f"{field} cannot be {text!r}: {message}")


def collect(
    fields: Sequence[tuple[str, tuple[Value, ...]]], chosen: Sequence[str], budgets: Sequence[int], beam_width: int
) -> dict[str, tuple[Value, ...]]:
    """Return the values by field.

    Args:
        fields: As they were given.
        chosen: Strategies that are measured.
        budgets: N at which they are.
        beam_width: M where that is not varied.

    Raises:
        click.BadParameter: A field is given twice or read by no strategy, or a search cannot run with a value.
    """
    varied = dict(fields)
    if len(varied) < len(fields):
        raise click.BadParameter("a field is given twice; write its values in one list", param_hint="--vary")
    for field in varied:
        if not any(reads(name, field) for name in chosen):
            raise click.BadParameter(f"{field} is read by none of {', '.join(chosen)}", param_hint="--vary")
    for each in configurations(chosen, varied):
        if each.strategy != GREEDY and each.varied and (row := strategies()[each.strategy]).fallback is None:
            for n in budgets:
                values: dict[str, Any] = {"beam_width": beam_width, **dict(each.varied)}
                try:
                    row.build(n, **conversions(values | {"beam_width": min(values["beam_width"], n)}))
                except HyperparameterError as error:
                    raise click.BadParameter(f"{each.at(n)}: {error}", param_hint="--vary") from error
    return varied

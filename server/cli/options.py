"""Command-line options made from a pydantic model, so that each is described, named and checked in one place."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from pydantic import BaseModel

from models.files import parse_object

Command = TypeVar("Command", bound=Callable[..., Any])


class JsonObject(click.ParamType[dict[str, Any]]):
    """A field that holds fields, written as JSON."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        try:
            return parse_object(value.encode())
        except ValueError as error:
            self.fail(f"{error}", param, ctx)


class Values(click.Choice[Any]):
    """Values of which some are no texts, spelt as in JSON."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = {value if isinstance(value, str) else json.dumps(value): value for value in values}
        super().__init__(list(self._values))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return self._values[super().convert(value, param, ctx)]


TYPES: dict[str, click.ParamType[Any]] = {
    "integer": click.INT,
    "number": click.FLOAT,
    "boolean": click.BOOL,
    "object": JsonObject(),
}


def options_of(model: type[BaseModel], leave_out: frozenset[str] = frozenset()) -> Callable[[Command], Command]:
    """Decorate a command with an option for every field of `model`; None is an option that was not given."""
    whole = model.model_json_schema()
    schemas, definitions = whole["properties"], whole.get("$defs", {})

    def decorate(command: Command) -> Command:
        for name in reversed([name for name in schemas if name not in leave_out]):
            command = _option(name, schemas[name], definitions)(command)
        return command

    return decorate


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _option(name: str, schema: dict[str, Any], definitions: dict[str, Any]) -> Callable[[Command], Command]:
    kind = schema.get("anyOf", [schema])[0]
    kind = definitions.get(kind.get("$ref", "").rpartition("/")[2], kind)
    accepts = Values(kind["enum"]) if "enum" in kind else TYPES.get(kind.get("type", "string"), click.STRING)
    description = schema.get("description", name.replace("_", " ").capitalize() + ".")
    default = schema.get("default")
    shown = f"{description}  [default: {'none' if default is None else default}]"
    return click.option(f"--{name.replace('_', '-')}", name, type=accepts, default=None, help=shown)

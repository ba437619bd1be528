"""Command-line options made from a pydantic model, so that each is described, named and checked in one place."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from pydantic import BaseModel

from models.files import parse_object
from models.spelling import did_you_mean

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


class Choice(click.Choice[Any]):
    """One of several words; a word that is like one of them is told so."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        message, meant = (
            super().get_invalid_choice_message(value, ctx),
            did_you_mean(str(value), map(str, self.choices)),
        )
        return f"{message} {meant[0].upper()}{meant[1:]}" if meant else message


class Values(Choice):
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


HEADINGS = ("Options", "Arguments")


class Option(click.Option):
    """An option that help lists under a heading.

    Args:
        section: The heading.
    """

    def __init__(self, *args: Any, section: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class Sections(click.Command):
    """A command whose help lists its options under their headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                is_argument = isinstance(parameter, click.Argument)
                section = parameter.section if isinstance(parameter, Option) else HEADINGS[is_argument]
                sections.setdefault(section, []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)


def options_of(
    model: type[BaseModel],
    leave_out: frozenset[str] = frozenset(),
    section: Callable[[str], str] = lambda field: "Options",
) -> Callable[[Command], Command]:
    """Decorate a command with an option for every field of `model`; None is an option that was not given.

    Args:
        model: Of a request, or of the settings.
        leave_out: Fields without an option.
        section: Of a field, the heading of its option in the help of a command with `Sections`.
    """
    whole = model.model_json_schema()
    schemas, definitions = whole["properties"], whole.get("$defs", {})

    def decorate(command: Command) -> Command:
        for name in reversed([name for name in schemas if name not in leave_out]):
            command = _option(name, schemas[name], definitions, section(name))(command)
        return command

    return decorate


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _option(
    name: str, schema: dict[str, Any], definitions: dict[str, Any], section: str
) -> Callable[[Command], Command]:
    kind = schema.get("anyOf", [schema])[0]
    kind = definitions.get(kind.get("$ref", "").rpartition("/")[2], kind)
    values = kind.get("enum") or ([kind["const"]] if "const" in kind else None)
    accepts = Values(values) if values else TYPES.get(kind.get("type", "string"), click.STRING)
    description = schema.get("description", name.replace("_", " ").capitalize() + ".")
    default = schema.get("default")
    shown = description if default is None else f"{description}  [default: {default}]"
    spelt = f"--{name.replace('_', '-')}"
    return click.option(spelt, name, cls=Option, section=section, type=accepts, default=None, help=shown)

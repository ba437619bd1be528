"""How much a client may ask a response to look like: which constraint a request holds, and how large it may be.

Knows requests as JSON; what a constraint costs to compile is measured (`trial.py`), and only where it is this small.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from models.errors import RequestRefusedError
from models.json_values import find_flaw
from models.openai.grammars.worker import Constraint
from models.spelling import did_you_mean

MAX_BYTES = 65_536
MAX_PROPERTIES = 1_000
MAX_ALTERNATIVES = 1_000
MAX_REPETITIONS = 65_536

KINDS = ("json", "json_object", "regex", "choice", "grammar")
"""What `structured_outputs` may hold."""
FORMATS = ("text", "json_object", "json_schema")
"""What the type of `response_format`, or of `text.format` of a response, may be."""

ALTERNATIVES = ("enum", "anyOf", "oneOf", "allOf")
REPETITIONS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_QUANTIFIER = re.compile(r"\{\s*+(\d*+)\s*+,?+\s*+(\d*+)\s*+\}")  # possessive: no text is read twice
_BAR = re.compile(r"(?<!\\)\|")


class Asked(NamedTuple):
    """A constraint, and the field that holds it."""

    field: str
    constraint: Constraint


def constraint(grammar: Constraint) -> dict[str, Any]:
    """Say a grammar as `structured_outputs` does."""
    kind, text = grammar
    return {kind: True if kind == "json_object" else text}


def constraint_in(body: Mapping[str, Any]) -> Asked | None:
    """Return what the response to a request must look like, or None.

    Raises:
        RequestRefusedError: It is not served, or too large.
    """
    asked = [each for each in (_structured_outputs(body), _response_format(body)) if each is not None]
    for each in asked:
        require_bounded(each)
    if len(asked) > 1:
        raise RequestRefusedError(
            f"{asked[1].field}: structured_outputs says it; allowed: one of the two", asked[1].field
        )
    return asked[0] if asked else None


def constrained_by(body: Mapping[str, Any]) -> str | None:
    """Return the field that says what the response to a request must look like, None where none does."""
    if asked := constraint_in(body):
        return asked.field
    return "tools" if body.get("tools") and body.get("tool_choice") not in (None, "none", "auto") else None


def require_bounded_tools(body: Mapping[str, Any]) -> None:
    """See that the parameters of tools are small, whether or not they are compiled.

    Raises:
        RequestRefusedError: They are not.
    """
    if isinstance(tools := body.get("tools"), list):
        require_bounded(Asked("tools", ("json", json.dumps(tools))))


def require_bounded(asked: Asked) -> None:
    """See that a constraint is small enough to be tried.

    Raises:
        RequestRefusedError: It is not.
    """
    field, (kind, text) = asked
    _bound(field, "bytes", len(text.encode(errors="surrogatepass")), MAX_BYTES)
    value = _parse(field, text) if kind in ("json", "choice") else text
    if flaw := find_flaw(value, field):
        raise RequestRefusedError(f"{flaw.where}: {flaw.what}", field)
    counts = {"properties": 0, "alternatives": 0, "repetitions": 0}
    for name, count in _counts(value) if kind != "choice" else [("alternatives", len(value))]:
        counts[name] = max(counts[name], count) if name == "repetitions" else counts[name] + count
    _bound(field, "properties", counts["properties"], MAX_PROPERTIES)
    _bound(field, "alternatives", counts["alternatives"], MAX_ALTERNATIVES)
    _bound(field, "repetitions", counts["repetitions"], MAX_REPETITIONS)


def _structured_outputs(body: Mapping[str, Any]) -> Asked | None:
    said = body.get("structured_outputs")
    if said is None:
        return None
    if not isinstance(said, dict):
        raise RequestRefusedError("structured_outputs: cannot be read; allowed: an object", "structured_outputs")
    given = [name for name, value in said.items() if value is not None]
    if unknown := [name for name in given if name not in KINDS]:
        field = f"structured_outputs.{unknown[0]}"
        allowed = did_you_mean(unknown[0], set(KINDS) - set(said), f"allowed: {', '.join(KINDS)}")
        raise RequestRefusedError(f"{field}: not served; {allowed}", field)
    if len(given) != 1:
        message = f"structured_outputs: holds {len(given)} constraints; allowed: one of {', '.join(KINDS)}"
        raise RequestRefusedError(message, "structured_outputs")
    kind, value, field = given[0], said[given[0]], f"structured_outputs.{given[0]}"
    if not _is_readable(kind, value):
        raise RequestRefusedError(f"{field}: cannot be read; allowed: {_ALLOWED[kind]}", field)
    return Asked(field, (kind, value if isinstance(value, str) else json.dumps(value)))


_ALLOWED = {
    "json": "a JSON schema",
    "json_object": "true",
    "regex": "a regular expression",
    "choice": "a list of texts",
    "grammar": "a grammar in GBNF or Lark",
}


def _is_readable(kind: str, value: Any) -> bool:
    match kind:
        case "json":
            return isinstance(value, dict) or (isinstance(value, str) and bool(value.strip()))
        case "json_object":
            return value is True
        case "choice":
            return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)
        case _:
            return isinstance(value, str) and bool(value.strip() or kind == "regex") and "\0" not in value


def _response_format(body: Mapping[str, Any]) -> Asked | None:
    said, field = body.get("response_format"), "response_format"
    if isinstance(text := body.get("text"), dict):
        said, field = text.get("format"), "text.format"
    if said is None:
        return None
    kind = said.get("type") if isinstance(said, dict) else None
    if kind not in FORMATS:
        raise RequestRefusedError(f"{field}: not served; allowed: type {', '.join(FORMATS)}", field)
    if kind == "text":
        return None
    if kind == "json_object":
        return Asked(field, ("json_object", ""))
    where = f"{field}.json_schema" if field == "response_format" else field
    holder = said.get("json_schema") if field == "response_format" else said
    schema = holder.get("schema") if isinstance(holder, dict) else None
    if not isinstance(schema, dict):
        raise RequestRefusedError(f"{where}: cannot be read; allowed: an object with name and schema", where)
    return Asked(field, ("json", json.dumps(schema)))


def _parse(field: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestRefusedError(f"{field}: cannot be read; allowed: a JSON schema", field) from error


def _counts(value: Any) -> Iterator[tuple[str, int]]:
    """Yield what of which there is how much, in a schema, a regular expression or a grammar."""
    if isinstance(value, str):
        yield "alternatives", len(_BAR.findall(value))
        for numbers in _QUANTIFIER.findall(value):
            yield from (("repetitions", int(number[:18])) for number in numbers if number)
    elif isinstance(value, list):
        for item in value:
            yield from _counts(item) if not isinstance(item, str) else ()
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in ("properties", "patternProperties") and isinstance(item, dict):
                yield "properties", len(item)
            elif name in ALTERNATIVES and isinstance(item, list):
                yield "alternatives", len(item)
            elif name in REPETITIONS and isinstance(item, int):
                yield "repetitions", item
            if name == "pattern" or not isinstance(item, str):
                yield from _counts(item)


def _bound(field: str, what: str, number: int, most: int) -> None:
    if number > most:
        raise RequestRefusedError(f"{field}: {number:,} {what}; allowed: at most {most:,}", field)

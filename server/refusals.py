"""What is allowed in place of a value that pydantic refused, in words, and what somebody may have meant by it.

Follows a path through the JSON schema of a model; knows of a strategy which fields it reads, and nothing of requests.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import BaseModel

from models.spelling import did_you_mean
from search.strategies import request_fields, strategies

_KIND = re.compile(r"constrained-str|list\[.*\]")
MAX_MISSPELT = 32
"""Fields that are compared with the missing ones: a client may send as many as fit into a body."""


def foremost(errors: Sequence[Any]) -> Any:
    """Return the error that says the most: a field that is misspelt before the one that is therefore missing."""
    missing = {each["loc"][-1] for each in errors if each["type"] == "missing"}
    misspelt = islice((each for each in errors if each["type"] == "extra_forbidden"), MAX_MISSPELT)
    meant = (each for each in misspelt if did_you_mean(str(each["loc"][-1]), map(str, missing)))
    return next(meant, None) or _nearest(errors)


def is_kind(part: object) -> bool:
    """Return whether a part of the place of an error is pydantic's word for one of the kinds that a value may be of."""
    return isinstance(part, str) and _KIND.fullmatch(part) is not None


def _nearest(errors: Sequence[Any]) -> Any:
    """Return the first error; of a value of several kinds that of the kind of which the most is right."""
    first: tuple[object, ...] = errors[0]["loc"]
    field = first[: next((index for index, part in enumerate(first) if is_kind(part)), len(first))]
    return max((each for each in errors if each["loc"][: len(field)] == field), key=lambda each: len(each["loc"]))


def refused_setting(model: type[BaseModel], error: Any) -> str:
    """Return what is wrong with a setting, from one of pydantic's errors, and what is allowed; not what it was set to.

    Args:
        model: Of the settings.
        error: With its input.
    """
    path, whole = [*map(str, error["loc"])], error["input"]
    for name in reversed(path):
        whole = {name: whole}
    return f"{'.'.join(path)}: {error['msg']}{allowed_instead(model, path, whole)}"


def allowed_instead(
    model: type[BaseModel], path: Sequence[str], whole: object = None, refused: Collection[str] = ()
) -> str:
    """Describe the values that a field may have, or the fields that there are where there is no such field.

    Args:
        model: Of the whole.
        path: To the field: names, and places in lists.
        whole: That was refused, as it came.
        refused: Fields and values that are known and yet not allowed here, so that nothing suggests them.

    Returns:
        What follows the message of an error, from its semicolon on; an empty text where there is nothing to say.
    """
    document = schema = model.model_json_schema(by_alias=True)
    part = whole
    for name in path:
        if name.isdigit():  # of a list, whose items all have one schema
            part = part[int(name)] if isinstance(part, list) and int(name) < len(part) else None
            continue
        fields = schema.get("properties", {})
        if name not in fields:
            allowed = f"allowed fields: {', '.join(fields)}"
            return f"; {did_you_mean(name, _open_fields(fields, part, refused), allowed)}" if fields else ""
        part = part.get(name) if isinstance(part, Mapping) else None
        schema = _first_choice(fields[name])
        if "$ref" in schema:
            schema = document["$defs"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        values = [each if isinstance(each, str) else json.dumps(each) for each in schema["enum"]]
        given, listed = part if isinstance(part, str) else "", f"allowed: {', '.join(values)}"
        return f"; {did_you_mean(given, set(values) - set(refused), listed)}"
    low = schema.get("minimum", schema.get("exclusiveMinimum", schema.get("minLength")))
    high = schema.get("maximum", schema.get("exclusiveMaximum", schema.get("maxLength")))
    unit = " characters" if "minLength" in schema else ""
    return "" if low is None or high is None else f"; allowed: {low:,} to {high:,}{unit}"


def _open_fields(fields: Collection[str], part: object, refused: Collection[str]) -> set[str]:
    """Return the fields that would be accepted beside those that were given."""
    given = part if isinstance(part, Mapping) else {}
    named = given.get("strategy")
    row = strategies().get(named) if isinstance(named, str) else None
    unread = {each.name for each in request_fields() if row is not None and not row.reads(each.name)}
    return set(fields) - set(given) - set(refused) - unread


def _first_choice(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an optional field's value, or of a list's items."""
    choices = schema.get("anyOf", [schema])
    first: dict[str, Any] = choices[0].get("items", choices[0])
    return first

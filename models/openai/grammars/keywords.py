"""Whether a JSON schema is well-formed: its keywords are known, and each holds what it may.

What compiles grammars ignores a keyword that it does not know, and a definition that nothing refers to: a mistyped
schema would hold responses to less than was asked for. What a well-formed schema means, and whether it can be kept to,
is found out by trying it.

Source: JSON Schema, draft 2020-12, its metaschemas; of earlier drafts `definitions`, `dependencies`, `additionalItems`
and lists of `items`; of OpenAPI the annotations that everyday schemas hold. `x-...` may hold anything.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from models.json_values import Flaw, visible, within

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")

Check = Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value) and len(set(value)) == len(value)


def _is_type(value: Any) -> bool:
    types = [value] if isinstance(value, str) else value
    return bool(types) and _are_texts(types) and set(types) <= set(TYPES)


def _is_pattern(value: Any) -> bool:
    """Whether it may be one: what compiles it would take a backslash at its end for one before its own anchor."""
    return isinstance(value, str) and (len(value) - len(value.rstrip("\\"))) % 2 == 0


SCHEMA, SCHEMAS, MAP = "a schema", "a list of schemas, at least one", "an object of schemas"

KEYWORDS: Mapping[str, tuple[str, Check | None]] = {
    **dict.fromkeys(
        ("additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "not", "propertyNames",
         "then", "unevaluatedItems", "unevaluatedProperties"),
        (SCHEMA, None),
    ),
    "items": (SCHEMA, None),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), (SCHEMAS, None)),
    **dict.fromkeys(("$defs", "definitions", "dependentSchemas", "patternProperties", "properties"), (MAP, None)),
    **dict.fromkeys(
        ("$anchor", "$comment", "$dynamicAnchor", "$dynamicRef", "$id", "$ref", "$schema", "contentEncoding",
         "contentMediaType", "description", "format", "title"),
        ("text", lambda value: isinstance(value, str)),
    ),
    **dict.fromkeys(
        ("maxContains", "maxItems", "maxLength", "maxProperties", "minContains", "minItems", "minLength",
         "minProperties"),
        ("a whole number of at least 0", _is_count),
    ),
    **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"), ("a number", _is_number)),
    "multipleOf": ("a number above 0", lambda value: _is_number(value) and value > 0),
    **dict.fromkeys(
        ("deprecated", "readOnly", "uniqueItems", "writeOnly"), ("true or false", lambda value: isinstance(value, bool))
    ),
    "pattern": ("a regular expression", _is_pattern),
    "required": ("a list of different texts", _are_texts),
    "enum": ("a list, at least one value", lambda value: isinstance(value, list) and bool(value)),
    "examples": ("a list", lambda value: isinstance(value, list)),
    "type": (f"one or several of {', '.join(TYPES)}", _is_type),
    **dict.fromkeys(("const", "default", "example"), ("anything", lambda value: True)),
    **dict.fromkeys(
        ("$vocabulary", "dependencies", "dependentRequired", "discriminator", "externalDocs", "xml"),
        ("an object", lambda value: isinstance(value, dict)),
    ),
}  # fmt: skip
"""By keyword, what it holds; None where these are schemas."""


def find_fault(schema: Any, where: str) -> Flaw | None:
    """Return what makes a schema malformed, or None.

    Args:
        schema: As JSON; no deeper than `find_flaw` allows.
        where: What the schema is called.
    """
    return next(_faults(schema, where), None)


def _faults(schema: Any, where: str) -> Iterator[Flaw]:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield Flaw(visible(where), "is not a schema; allowed: an object, true or false")
        return
    for keyword, value in schema.items():
        place = within(where, keyword)
        if keyword.startswith("x-"):
            continue
        if keyword not in KEYWORDS:
            yield Flaw(visible(place), "is not a keyword of JSON Schema; omit it")
            continue
        holds, is_right = KEYWORDS[keyword]
        if is_right is not None:
            if not is_right(value):
                yield Flaw(visible(place), f"does not hold what it must; allowed: {holds}")
        else:
            yield from _faults_within(holds, keyword, value, place)


def _faults_within(holds: str, keyword: str, value: Any, place: str) -> Iterator[Flaw]:
    """Yield those of the schemas that a keyword holds."""
    if holds == SCHEMA and not (keyword == "items" and isinstance(value, list)):
        yield from _faults(value, place)
    elif holds == MAP and isinstance(value, dict):
        for name, each in value.items():
            yield from _faults(each, within(place, name))
    elif holds != MAP and isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from _faults(each, within(place, str(index)))
    else:
        yield Flaw(visible(place), f"does not hold what it must; allowed: {holds}")

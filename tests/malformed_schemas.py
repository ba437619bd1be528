"""Forms of responses that nobody can serve: malformed, contradictory, or made to cost more than they are worth.

A table by name of the fields of a searched chat. Every one is refused with a status below 500 that names its field.
"""

from collections.abc import Iterator, Mapping
from typing import Any

JUNK: Mapping[str, Any] = {
    "true": True, "false": False, "zero": 0, "a number": 1.5, "a word": "json", "an empty text": "", "a list": [],
    "a list of objects": [{}], "a list of words": ["json_object"],
}  # fmt: skip

SCHEMAS: Mapping[str, Any] = {
    # what JSON Schema does not allow
    "an unknown type": {"type": "text"},
    "a type in capitals": {"type": "OBJECT"},
    "a number for a type": {"type": 1},
    "an object for a type": {"type": {}},
    "a list of unknown types": {"type": ["text", "null"]},
    "no types": {"type": []},
    "properties in a list": {"type": "object", "properties": ["a"]},
    "properties in a word": {"type": "object", "properties": "a"},
    "a property that is a word": {"type": "object", "properties": {"a": "string"}},
    "a property that is a number": {"type": "object", "properties": {"a": 1}},
    "a property that is a list": {"type": "object", "properties": {"a": []}},
    "required in a word": {"type": "object", "properties": {"a": {}}, "required": "a"},
    "required in a boolean": {"type": "object", "properties": {"a": {"required": True, "type": "object"}}},
    "required numbers": {"type": "object", "required": [1]},
    "items in a word": {"type": "array", "items": "string"},
    "items in a list of words": {"type": "array", "items": ["string"]},
    "items in a number": {"type": "array", "items": 1},
    "an enum in a word": {"enum": "a"},
    "an enum in an object": {"enum": {"a": 1}},
    "an empty enum": {"enum": []},
    "an anyOf in an object": {"anyOf": {"type": "string"}},
    "an anyOf of words": {"anyOf": ["string"]},
    "an empty anyOf": {"anyOf": []},
    "an allOf of numbers": {"allOf": [1, 2]},
    "a pattern in a number": {"type": "string", "pattern": 1},
    "a pattern in a list": {"type": "string", "pattern": ["a"]},
    "a format in a number": {"type": "string", "format": 1},
    "a length in a word": {"type": "string", "maxLength": "3"},
    "a negative length": {"type": "string", "maxLength": -1},
    "a broken length": {"type": "string", "minLength": 1.5},
    "a count in a word": {"type": "array", "minItems": "3"},
    "a negative count": {"type": "array", "maxItems": -1},
    "a minimum in a word": {"type": "integer", "minimum": "3"},
    "a maximum in a list": {"type": "number", "maximum": [3]},
    "a multiple in a word": {"type": "number", "multipleOf": "2"},
    "a multiple of nothing": {"type": "number", "multipleOf": 0},
    "additional properties in a word": {"type": "object", "additionalProperties": "no"},
    "definitions in a list": {"$ref": "#/$defs/a", "$defs": [{"type": "string"}]},
    "a reference in a number": {"$ref": 1},
    "a mistyped keyword": {"type": "object", "propertys": {"a": {"type": "string"}}},
    "a keyword of another language": {"type": "string", "nullable": True},
    "a schema within a schema": {"schema": {"type": "string"}},
    "null for properties": {"type": "object", "properties": None},
    "null for a type": {"type": None},
    "null for a pattern": {"type": "string", "pattern": None},
    "null for a property": {"type": "object", "properties": {"a": None}},
    "a definition that nobody needs": {"type": "string", "$defs": {"a": {"type": "text"}}},
    "definitions in a number": {"type": "string", "definitions": 5},
    "an empty allOf": {"allOf": []},
    "a choice that cannot be": {"anyOf": [{"type": "string"}, {"type": "text"}]},
    "a fault deep within": {"type": "object", "properties": {"a": {"items": {"properties": {"b": {"type": "text"}}}}}},
    "a negative multiple": {"type": "number", "multipleOf": -1},
    "a boolean for a bound": {"type": "integer", "exclusiveMinimum": True},
    "a property required twice": {"type": "object", "properties": {"a": {}}, "required": ["a", "a"]},
    "a title in a number": {"title": 1},
    "a word for unique": {"type": "array", "uniqueItems": "yes"},
    # what cannot be
    "a minimum above the maximum": {"type": "integer", "minimum": 5, "maximum": 3},
    "a number that is less than itself": {"type": "number", "exclusiveMinimum": 3, "exclusiveMaximum": 3},
    "more items than items": {"type": "array", "minItems": 5, "maxItems": 3},
    "a text longer than itself": {"type": "string", "minLength": 5, "maxLength": 3},
    "a text that is a number": {"allOf": [{"type": "string"}, {"type": "integer"}]},
    "a required property that may not be": {
        "type": "object", "properties": {"a": False}, "required": ["a"], "additionalProperties": False},
    "nothing": {"not": {}},
    "no number between": {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 4},
    "two constants": {"allOf": [{"const": 1}, {"const": 2}]},
    "an enum beyond its type": {"type": "string", "enum": [1, 2]},
    "a constant beyond its type": {"type": "string", "const": 1},
    # references
    "itself": {"$ref": "#"},
    "a circle": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
    "a circle of two": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "a circle of choices": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
    "a list without an end": {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
    "a reference to nowhere": {"$ref": "#/$defs/a"},
    "a reference to no definition": {"$ref": "#/properties/b", "properties": {"a": {}}},
    "a reference to an anchor": {"$ref": "#a"},
    "an address": {"$ref": "http://127.0.0.1/schema.json"},
    "a file": {"$ref": "file:///etc/passwd"},
    "another document": {"$ref": "other.json"},
    "an address inside": {"type": "object", "properties": {"a": {"$ref": "https://127.0.0.1/a#/b"}}},
    # what nobody implements
    "a negation": {"not": {"type": "string"}},
    "a condition": {"if": {"type": "string"}, "then": {"minLength": 1}, "else": {}},
    "dependent schemas": {"type": "object", "dependentSchemas": {"a": {"required": ["b"]}}},
    "dependent names": {"type": "object", "dependentRequired": {"a": ["b"]}},
    "unevaluated properties": {"type": "object", "unevaluatedProperties": False},
    "unevaluated items": {"type": "array", "unevaluatedItems": False},
    "unique items": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
    "an item that is there": {"type": "array", "contains": {"type": "integer"}},
    "names of properties": {"type": "object", "propertyNames": {"pattern": "^a"}},
    "one of overlapping": {"oneOf": [{"type": "integer"}, {"type": "number"}]},
    "a dynamic reference": {"$dynamicRef": "#a"},
    # sizes
    "a text of a million": {"type": "string", "maxLength": 1_000_000},
    "a list of a million": {"type": "array", "items": {"type": "integer"}, "maxItems": 1_000_000},
    "a list of a billion": {"type": "array", "minItems": 10**9},
    "a list of too many": {"type": "array", "items": {"type": "integer"}, "minItems": 70_000},
    "a thousand properties": {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(1_001)}},
    "properties in any number": {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(900)}},
    "a thousand words": {"enum": [f"value {i}" for i in range(1_001)]},
    "a thousand choices": {"anyOf": [{"const": i} for i in range(1_001)]},
    "choices of choices": {"anyOf": [{"anyOf": [{"const": i * j} for i in range(40)]} for j in range(40)]},
    "a long word": {"const": "a" * 70_000},
    "many long words": {"enum": ["ab" * 500 + str(i) for i in range(80)]},
    "a long name": {"type": "object", "properties": {"a" * 70_000: {}}},
    "a long description": {"type": "object", "description": "a" * 70_000},
    "many definitions": {"$defs": {f"d{i}": {"type": "string", "pattern": "a" * 50} for i in range(1_500)}},
    # numbers and texts that travel badly
    "half a surrogate pair": {"const": "\ud800"},
    "half a surrogate pair in a name": {"type": "object", "properties": {"\udfff": {}}},
    "a number beyond 64 bits": {"type": "integer", "maximum": 10**30},
    "a number of hundreds of digits": {"const": 10**300},
    "a negative number beyond 64 bits": {"minimum": -(2**63) - 1},
    "options of the grammar": {"type": "object", "x-guidance": {"lenient": True}},
}  # fmt: skip

PATTERNS: Mapping[str, str] = {
    "looking ahead": "(?=a)b",
    "looking ahead for nothing": "(?!a)b",
    "looking back": "(?<=a)b",
    "looking back for nothing": "(?<!a)b",
    "a reference back": r"(a)\1",
    "a named reference back": r"(?P<x>a)(?P=x)",
    "half a group": "(a",
    "half a backslash": "a\\",
    "the other half": "a)",
    "half a class": "[a",
    "an empty class": "[]",
    "no character": r"[^\s\S]",
    "nothing to repeat": "*a",
    "a repetition that ends before it begins": "a{3,2}",
    "half a repetition of millions": "a{1,99999999}",
    "an unknown escape": r"\y",
    "an unknown property": r"\p{Nonsense}",
    "an unknown group": "(?<>a)",
    "a condition": "(a)?(?(1)b|c)",
    "an atomic group": "(?>a+)b",
    "recursion": "(a(?R)?b)",
    "a range that ends before it begins": "[z-a]",
    "words within words": "|".join(f"({'a' * i}|b)" for i in range(1_100)),
    "a million of them": "(a{1,1000}){1,1000}b{70000}",
    "hundreds of groups": "(" * 300 + "a" + ")" * 300 + "(",
}

FORMATS = ("", "uui", "UUID", "phone", "credit-card", "idn-email", "regex", "iri", "json-pointer", "../../etc/passwd")


def _nested(depth: int, kind: str) -> Any:
    value: Any = {"type": "string"}
    for _ in range(depth):
        inner = {"items": value} if kind == "array" else {"properties": {"a": value}}
        value = {"type": kind, **inner}
    return value


def _chosen(depth: int) -> Any:
    value: Any = {"type": "string"}
    for _ in range(depth):
        value = {"anyOf": [value]}
    return value


def _form(schema: Any, name: Any = "answer", **more: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": name, "schema": schema, **more}}}


def _tool(parameters: Any, name: Any = "f", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters, **more}}


def _called(tools: Any, choice: Any = "required", **more: Any) -> dict[str, Any]:
    return {"tools": tools, "tool_choice": choice, **more}


ADD = _tool(
    {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}
)
OK = _form({"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False})


def malformed() -> dict[str, dict[str, Any]]:
    """Return the table; fields of the `search` object stand under that name."""
    return dict(_rows())


def _rows() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, junk in JUNK.items():
        yield f"response_format: {name}", {"response_format": junk}
        yield f"type: {name}", {"response_format": {"type": junk}}
        yield f"json_schema: {name}", {"response_format": {"type": "json_schema", "json_schema": junk}}
        yield f"schema: {name}", _form(junk)
        yield f"tool_choice: {name}", _called([ADD], junk)
        yield f"parameters: {name}", _called([_tool(junk)])
        yield f"vote_on: {name}", OK | {"search": {"vote_on": junk}}
    for name, junk in [each for each in JUNK.items() if each[0] != "a list"]:
        yield f"tools: {name}", {"tools": junk, "tool_choice": "required"}
        yield f"a tool: {name}", _called([junk])
    yield "response_format: no type", {"response_format": {}}
    yield "response_format: null for a type", {"response_format": {"type": None}}
    yield "response_format: a regular expression", {"response_format": {"type": "regex", "regex": "a"}}
    yield "response_format: no schema", {"response_format": {"type": "json_schema"}}
    yield "response_format: a schema of an object", {"response_format": {"type": "json_object", "json_schema": {}}}
    yield "response_format: an unknown field", {"response_format": {"type": "json_object", "strict": True}}
    yield "json_schema: an unknown field", _form({"type": "object"}, grammar="a")
    yield "json_schema: a word for strict", _form({"type": "object"}, strict="very")
    yield "json_schema: no name", {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}
    for number, text in enumerate(("", " ", "a b", "a" * 65, 7, "naïve", "a\n", "a/b")):
        yield f"a name of a schema: {number}", _form({"type": "object"}, text)
        yield f"a name of a function: {number}", _called([_tool({}, text)])
    for name, schema in SCHEMAS.items():
        yield f"a schema: {name}", _form(schema)
    for name, pattern in PATTERNS.items():
        yield f"a pattern: {name}", _form({"type": "string", "pattern": pattern})
    for word in FORMATS:
        yield f"a format: {word!r}", _form({"type": "string", "format": word})
    for depth in (70, 200, 400):
        yield f"objects within objects: {depth}", _form(_nested(depth, "object"))
        yield f"lists within lists: {depth}", _form(_nested(depth, "array"))
        yield f"choices within choices: {depth}", _form(_chosen(depth))
    yield "tools: auto", _called([ADD], "auto")
    yield "tools: no choice", {"tools": [ADD], "tool_choice": None}
    yield "tools: a choice without tools", {"tool_choice": "required"}
    yield "tools: a function without tools", {"tool_choice": {"type": "function", "function": {"name": "f"}}}
    yield "tools: another function", _called([ADD], {"type": "function", "function": {"name": "g"}})
    yield "tools: a function without a name", _called([ADD], {"type": "function", "function": {}})
    yield "tools: a choice of another type", _called([ADD], {"type": "web_search"})
    yield "tools: one function twice", _called([ADD, ADD])
    yield "tools: another kind", _called([{"type": "web_search"}])
    yield "tools: no function", _called([{"type": "function"}])
    yield "tools: an unknown field", _called([ADD | {"cache": True}])
    yield "tools: an unknown field of a function", _called([_tool({}, returns="int")])
    yield "tools: too many", _called([_tool({}, f"f{i}") for i in range(129)])
    yield "tools: arguments in a list", _called([_tool({"type": "array", "items": {"type": "integer"}})])
    yield "tools: a long description", _called([_tool({}, description="a" * 70_000)])
    yield (
        "tools: definitions that differ",
        _called(
            [
                _tool({"$defs": {"a": {"const": i}}, "properties": {"x": {"$ref": "#/$defs/a"}}}, f"f{i}")
                for i in range(2)
            ]
        ),
    )
    yield "tools: definitions in a list", _called([_tool({"$defs": []})])
    yield "tools: a word for parallel", _called([ADD], parallel_tool_calls="no")
    for name in ("an unknown type", "a circle", "an address", "a negation", "properties in a list", "a thousand words"):
        yield f"parameters: {name}", _called([_tool({"type": "object", "properties": {"x": SCHEMAS[name]}})])
    yield "both: a schema and calls", OK | _called([ADD])
    yield "votes: on nothing", OK | {"search": {"vote_on": []}}
    yield "votes: on a name that is empty", OK | {"search": {"vote_on": [""]}}
    yield "votes: on a number", OK | {"search": {"vote_on": [1]}}
    yield "votes: on too much", OK | {"search": {"vote_on": [f"a{i}" for i in range(65)]}}
    yield "votes: on a long name", OK | {"search": {"vote_on": ["a" * 300]}}
    yield "votes: on a field that is not there", OK | {"search": {"vote_on": ["b"]}}
    yield "votes: on a pointer to nowhere", OK | {"search": {"vote_on": ["/b/a"]}}
    yield "votes: on an argument that is not there", _called([ADD]) | {"search": {"vote_on": ["y"]}}
    yield "votes: on fields of a text", {"search": {"vote_on": ["a"]}}
    yield "a check by substitution", OK | {"search": {"verify": "sympy"}}
    for strategy in ("beam_search", "dvts", "rebase"):
        yield f"step by step: {strategy}", OK | {"search": {"strategy": strategy}}

"""Hostile requests of OpenAI's routes, made from the documents: ours, and what vLLM says of the fields that it reads.

A request is a good one, of which one to three fields are replaced: by what their schema allows, by what lies just
outside of it, or by what no field should be. Grammars, tools and messages have pools of their own.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from server.openai.neutral import UNKEPT, UNREAD

DOCUMENT = Path(__file__).parents[1] / "server" / "openapi.json"
MODEL = "winnow-demo"
DEADLINE_S = 10.0
TOO_LARGE = "the number 1e400"
"""Stands for a number that JSON can write and Python reads as infinite."""

CHATS, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
BASES: Mapping[str, dict[str, Any]] = {
    CHATS: {"messages": [{"role": "user", "content": "Compute 8 + 6."}]},
    COMPLETIONS: {"prompt": "Compute 8 + 6."},
    RESPONSES: {"input": "Compute 8 + 6."},
}
LENGTHS = {CHATS: "max_tokens", COMPLETIONS: "max_tokens", RESPONSES: "max_output_tokens"}
COMPONENTS = {CHATS: "ChatRequest", COMPLETIONS: "CompletionRequest", RESPONSES: "ResponseRequest"}
UNTOUCHED = {"model", "search", "deadline_s"}
"""Fields of every request, which stay as they are: searches have tests of their own."""

Schema = Mapping[str, Any]


def _nested(depth: int, key: str = "a") -> Any:
    value: Any = {"type": "string"}
    for _ in range(depth):
        value = {"type": "object", "properties": {key: value}, "required": [key]}
    return value


def _deep(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e-320, 1e308, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**300,
    float("nan"), float("inf"), TOO_LARGE, "", " ", "a", "\0", "\ud800", "\U0001f4a5" * 500, "e\u0301" * 100,
    "<|user|>", "<|endoftext|>", "{{ 7 * 7 }}", "-1", "NaN", "None", "a" * 70_000, [], [[]], [None], ["a"], [0], [-1],
    [10**9],
    [1.5], ["a"] * 2_000, list(range(3_000)), {}, {"a": 1}, {"": ""}, {"type": "object"}, _deep(30), _deep(400),
    _nested(30), {"\ud800": 1}, {"__proto__": {}, "$ref": "#"},
)  # fmt: skip

SCHEMAS: tuple[Any, ...] = (
    {}, True, {"$ref": "#"}, {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
    {"$ref": "http://127.0.0.1/a"},
    {"$ref": "#/nowhere"}, {"type": "integer", "maximum": 10**300}, {"type": "integer", "minimum": 5, "maximum": 3},
    {"type": "integer", "minimum": -(2**62), "maximum": 2**62}, {"type": "number", "multipleOf": 0.1}, {"not": {}},
    {"type": "string", "pattern": "(a{1,100}){1,100}"}, {"type": "string", "pattern": "(?=a)"}, {"type": "nothing"},
    {"type": "string", "maxLength": 100_000}, {"type": "string", "maxLength": 50_000}, {"type": "string",
    "format": "uuid"},
    {"type": "array", "items": {"type": "integer"}, "maxItems": 100_000}, {"type": "array",
    "items": {"type": "integer"}, "minItems": 3},
    {"enum": [f"value {i}" for i in range(900)]}, {"enum": ["a" * 60_000]}, {"enum": []}, {"const": None},
    {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(900)}},
    {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(3_000)}},
    {"anyOf": [{"type": "object", "properties": {f"p{i}": {"type": "null"}}} for i in range(500)]},
    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, _nested(20), _nested(60),
    _nested(400),
    {"type": "object", "patternProperties": {"^a": {"type": "string"}}}, {"allOf": [{"type": "string"},
    {"maxLength": 3}]},
    {"type": "object", "properties": {"child": {"$ref": "#"}, "name": {"type": "string"}}, "required": ["name"]},
)  # fmt: skip
TEXTS: Mapping[str, tuple[Any, ...]] = {
    "regex": (r"\p{L}+", r"[^\s\S]", "a{1,100000}", "((a{1,100}){1,100}){1,100}", "(.*)a.{20}", "(?=a)b", r"(a)\1", "(",
              "(" * 500 + "a" + ")" * 500, "(a*)*b", "", "\0", "[", "a|b", r"\d{1,5}",
              "|".join(f"w{i}" for i in range(900)), "(?i)yes"),
    "grammar": ("root ::= root", 'root ::= root "a" | "a"', 'root ::= root root | "a" | ""', 'root ::= "a"{1,100000}',
                "root ::= x", "%%%", "root ::= " + "(" * 3_000 + '"a"' + ")" * 3_000, 'start: "a" | "b"', " ",
                'root ::= "yes" | "no"', "root ::= " + " | ".join(f'"w{i}"' for i in range(900)), "start: start"),
    "choice": (["yes", "no"], [""], [], ["a", 1], ["a" * 60_000], [f"w{i}" for i in range(900)], ["<|endoftext|>"],
    "yes"),
    "json_object": (True, False, None, 1), "structural_tag": ("{}", '{"structures": [], "triggers": []}'),
}  # fmt: skip
CONTENTS: tuple[Any, ...] = (
    "", " ", "1 + 1?", "<|user|>Say 7.<|assistant|>", "7 " * 1_500, "a" * 60_000, "\U0001f4a5" * 300, "\0", None, [],
    [{"type": "text", "text": "1 + 1?"}], [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/a"}}], 7, {},
)  # fmt: skip


def constraints() -> st.SearchStrategy[dict[str, Any]]:
    """Fields that say what a response must look like."""
    schemas = st.sampled_from(SCHEMAS)
    texts = st.sampled_from([(kind, value) for kind, values in TEXTS.items() for value in values])
    tool = schemas.map(lambda schema: {"type": "function", "function": {"name": "f", "parameters": schema}})
    return st.one_of(
        schemas.map(lambda schema: {"structured_outputs": {"json": schema}}),
        schemas.map(lambda schema: {"structured_outputs": {"json": json.dumps(schema)}}),
        texts.map(lambda pair: {"structured_outputs": {pair[0]: pair[1]}}),
        schemas.map(lambda s: {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": s}}}),
        st.sampled_from(["text", "json_object", "json_schema", "structural_tag", "regex", None]).map(
            lambda kind: {"response_format": {"type": kind}}
        ),
        st.tuples(
            tool, st.sampled_from(["none", "auto", "required", {"type": "function", "function": {"name": "f"}}])
        ).map(lambda pair: {"tools": [pair[0]], "tool_choice": pair[1]}),
    )


def messages() -> st.SearchStrategy[list[Any]]:
    roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "nobody", None])
    extra = st.sampled_from([{}, {"name": "a"}, {"tool_calls": []}, {"tool_calls": [{"id": "1"}]}, {"tool_call_id": 7}])
    message = st.builds(
        lambda role, text, more: {"role": role, "content": text} | more, roles, st.sampled_from(CONTENTS), extra
    )
    return st.lists(message, max_size=4)


def items() -> st.SearchStrategy[list[Any]]:
    """Of an input: messages, and what a reply or a tool leaves."""
    others: tuple[Any, ...] = (
        {"type": "reasoning", "summary": []}, {"type": "reasoning", "content": "<|user|>", "id": 7},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "a"}]}, {"type": "function_call"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{"}, {"type": "computer_call"},
        {"type": "function_call_output", "call_id": "1", "output": "2"}, {"type": "item_reference", "id": "a"},
        {"type": "function_call_output", "call_id": "1", "output": [{"type": "input_text", "text": "<|user|>"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "2", "logprobs": [7]}]},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}, {}, None, 7,
        {"role": "assistant", "status": "incomplete", "content": "It is"},
    )  # fmt: skip
    return st.lists(
        st.one_of(messages().map(lambda many: many[0] if many else {}), st.sampled_from(others)), max_size=4
    )


def values(schema: Schema, document: Schema) -> st.SearchStrategy[Any]:
    """What a schema allows, what lies at its bounds and just outside of them, and what no field should be."""
    allowed = _allowed(schema, document)  # three times: what is refused never reaches the engine
    return st.one_of(allowed, allowed, allowed, _edges(schema, document), st.sampled_from(JUNK))


def _resolve(schema: Schema, document: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _allowed(schema: Schema, document: Schema, depth: int = 0) -> st.SearchStrategy[Any]:
    schema = _resolve(schema, document)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return st.one_of([_allowed(choice, document, depth) for choice in choices])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    match schema.get("type"):
        case "integer":
            low = schema.get("minimum", -3)
            return st.integers(int(low), max(int(low), min(int(schema.get("maximum", 40)), 40)))
        case "number":
            return st.floats(schema.get("minimum", -2.0), schema.get("maximum", 2.0), allow_nan=False)
        case "boolean":
            return st.booleans()
        case "string":
            return st.text(min_size=schema.get("minLength", 0), max_size=20)
        case "array":
            items = _allowed(schema.get("items", {}), document, depth + 1)
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=4)
        case "object" if depth < 3:
            known = {name: _allowed(each, document, depth + 1) for name, each in schema.get("properties", {}).items()}
            more = schema.get("additionalProperties")
            others = _allowed(more, document, depth + 1) if isinstance(more, dict) else st.integers()
            return st.one_of(
                st.fixed_dictionaries({}, optional=known), st.dictionaries(st.sampled_from(["0", "7", "a"]), others)
            )
        case "null":
            return st.none()
        case _:
            return st.sampled_from([None, 1, "a", [], {}])


def _edges(schema: Schema, document: Schema) -> st.SearchStrategy[Any]:
    schema = _resolve(schema, document)
    edges: list[Any] = [-1, 0]
    for choice in (_resolve(each, document) for each in schema.get("anyOf", [schema])):
        for bound in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            if bound in choice:
                edges += [choice[bound] - 1, choice[bound], choice[bound] + 1]
        if "maxLength" in choice:
            edges += ["a" * choice["maxLength"], "a" * (choice["maxLength"] + 1)]
        if "maxItems" in choice:
            edges += [["a"] * choice["maxItems"], [1] * (choice["maxItems"] + 1)]
    return st.sampled_from(edges)


def fields(path: str) -> dict[str, st.SearchStrategy[Any]]:
    """Every field of a route, ours and vLLM's, and what it is replaced by."""
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.entrypoints.openai.completion.protocol import CompletionRequest
    from vllm.entrypoints.openai.responses.protocol import ResponsesRequest

    kinds: dict[str, type[BaseModel]] = {
        CHATS: ChatCompletionRequest,
        COMPLETIONS: CompletionRequest,
        RESPONSES: ResponsesRequest,
    }
    ours = json.loads(DOCUMENT.read_text())
    theirs = kinds[path].model_json_schema()
    known = {name: values(schema, theirs) for name, schema in theirs["properties"].items()}
    known |= {
        name: values(schema, ours)
        for name, schema in ours["components"]["schemas"][COMPONENTS[path]]["properties"].items()
    }
    known |= {name: st.sampled_from(JUNK) for name in (*UNREAD, *UNKEPT)}
    known |= {"messages": messages()} if path == CHATS else {}
    known |= {"input": st.one_of(items(), st.sampled_from(CONTENTS))} if path == RESPONSES else {}
    return {name: strategy for name, strategy in known.items() if name not in UNTOUCHED}


def requests(path: str) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies of requests of a route."""
    of_fields = fields(path)
    some = st.lists(st.sampled_from(sorted(of_fields)), min_size=1, max_size=3, unique=True)
    replaced = some.flatmap(lambda names: st.fixed_dictionaries({name: of_fields[name] for name in names}))
    common = {"model": MODEL, LENGTHS[path]: 8, "deadline_s": DEADLINE_S} | BASES[path]
    formed = constraints() if path != RESPONSES else constraints().map(_respelt)
    return st.one_of(replaced, replaced, replaced, formed).map(lambda changed: common | changed)


def _respelt(fields: dict[str, Any]) -> dict[str, Any]:
    """Say in a response's words what a response must look like."""
    if isinstance(asked := fields.get("response_format"), dict):
        return {"text": {"format": asked | asked.get("json_schema", {})}}
    tools = [{"type": "function"} | tool["function"] for tool in fields.get("tools", ())]
    choice = fields.get("tool_choice")
    named = {"tool_choice": {"type": "function", "name": "f"} if isinstance(choice, dict) else choice}
    return fields | ({"tools": tools} | named if tools else {})


def draw(number: int, first_seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Draw paths and bodies; the same seed draws the same."""
    for path in BASES:
        yield from ((path, body) for body in _draw(path, number // len(BASES), first_seed))


def _draw(path: str, number: int, first_seed: int) -> list[bytes]:
    drawn: list[bytes] = []

    @seed(first_seed)
    @settings(
        max_examples=number,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(requests(path))
    def collect(body: dict[str, Any]) -> None:
        drawn.append(json.dumps(body).replace(json.dumps(TOO_LARGE), "1e400").encode())

    collect()
    return drawn

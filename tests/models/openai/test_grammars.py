"""What a response must look like is tried first: what cannot be, or costs too much, never reaches the engine."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from models.checkpoints.tokenizer import TextTokenizer
from models.errors import RequestRefusedError
from models.openai.grammars.bounds import MAX_BYTES, Asked, constraint_in, require_bounded, require_bounded_tools
from models.openai.grammars.keywords import find_fault
from models.openai.grammars.trial import Trial
from models.openai.grammars.worker import NOTHING, TOO_DEAR, Constraint

DEMO = Path(__file__).parents[3] / "models" / "demo" / "policy"


def properties(number: int) -> dict[str, Any]:
    return {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(number)}}


def schema(value: Any) -> Constraint:
    return "json", json.dumps(value)


QUICK: Constraint = ("choice", '["yes", "no", "maybe"]')
SLOW = schema({"type": "array", "items": {"type": "integer"}, "maxItems": 60_000})
"""Half a second of compiling, and a hundred MiB."""
ENDLESS: Constraint = ("grammar", "root ::= " + " | ".join(f'"{i}"' for i in range(1_000_000)))
"""Ten seconds and more of reading."""

SERVED = {
    "a choice": QUICK,
    "an empty text": ("choice", '[""]'),
    "a regular expression": ("regex", r"\d{1,3}"),
    "letters of any script": ("regex", r"\p{L}+"),
    "many repetitions": ("regex", "((a{1,100}){1,100}){1,100}"),
    "a grammar in GBNF": ("grammar", 'root ::= "a" | "b" root'),
    "a grammar in Lark": ("grammar", 'start: "a" | "b"'),
    "left recursion": ("grammar", 'root ::= root "a" | "a"'),
    "any object": ("json_object", ""),
    "a schema": schema(properties(20)),
    "a schema that holds itself": schema({"type": "object", "properties": {"child": {"$ref": "#"}}}),
}
REFUSED: dict[str, tuple[Constraint, str]] = {
    "a grammar that never begins": (("grammar", "root ::= root"), NOTHING),
    "a schema that is itself": (schema({"$ref": "#"}), NOTHING),
    "a circle of references": (schema({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}), NOTHING),
    "no character at all": (("regex", r"[^\s\S]"), NOTHING),
    "an unknown rule": (("grammar", "root ::= x"), "cannot be compiled"),
    "half a group": (("regex", "("), "cannot be compiled"),
    "looking ahead": (("regex", "(?=a)b"), "look-around"),
    "an address": (schema({"$ref": "http://127.0.0.1/a"}), "cannot be compiled"),
    "deep brackets": (("grammar", "root ::= " + "(" * 3000 + '"a"' + ")" * 3000), "cannot be compiled"),
    "what llguidance lacks": (schema({"not": {}}), "not"),
    "more at once than is followed": (schema(properties(900)), TOO_DEAR),
    "a panic": (schema({"type": "array", "items": {"type": "integer"}, "maxItems": 100_000}), TOO_DEAR),
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer(DEMO)


@pytest.fixture(scope="module")
async def trial(tokenizer: TextTokenizer) -> AsyncIterator[Trial]:
    trial = Trial(tokenizer)
    yield trial
    await trial.stop()


@pytest.mark.parametrize("constraint", SERVED.values(), ids=SERVED)
async def test_what_can_be_compiled_and_followed_is_served(trial: Trial, constraint: Constraint) -> None:
    assert await trial.trouble_with(constraint, "a") is None


@pytest.mark.parametrize(("constraint", "trouble"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_is_refused_on_one_line(trial: Trial, constraint: Constraint, trouble: str) -> None:
    said = await trial.trouble_with(constraint, "a")
    assert said is not None
    assert trouble in said
    assert "\n" not in said
    assert len(said) < 300


async def test_a_trial_over_its_time_is_killed_and_the_next_is_served(tokenizer: TextTokenizer) -> None:
    trial = Trial(tokenizer, timeout_s=0.1)
    assert await trial.trouble_with(ENDLESS, "a") == TOO_DEAR
    assert await trial.trouble_with(QUICK, "a") is None
    await trial.stop()


async def test_a_trial_over_its_memory_is_refused_and_the_next_is_served(tokenizer: TextTokenizer) -> None:
    trial = Trial(tokenizer, memory_bytes=32 << 20)
    assert await trial.trouble_with(SLOW, "a") == TOO_DEAR
    assert await trial.trouble_with(QUICK, "a") is None
    await trial.stop()


async def test_a_trial_whose_client_leaves_holds_up_nobody(tokenizer: TextTokenizer) -> None:
    trial = Trial(tokenizer, timeout_s=60, memory_bytes=8 << 30)
    await trial.trouble_with(QUICK, "b")
    left = asyncio.create_task(trial.trouble_with(ENDLESS, "a"))
    await asyncio.sleep(0.3)  # it has begun
    left.cancel()
    start = time.perf_counter()
    assert await trial.trouble_with(("regex", "b"), "b") is None
    assert time.perf_counter() - start < 10  # a process is started; the trial that was left would take much longer
    await trial.stop()


async def test_many_trials_of_one_client_do_not_hold_up_anothers(tokenizer: TextTokenizer) -> None:
    trial, order = Trial(tokenizer), list[str]()

    async def ask(client: str, number: int) -> None:
        await trial.trouble_with(schema({"enum": [f"{number} {i}" for i in range(20_000)]}), client)
        order.append(client)

    many = [asyncio.create_task(ask("a", number)) for number in range(12)]
    await asyncio.sleep(0)
    await asyncio.gather(*many, asyncio.create_task(ask("b", 20)))
    assert order.index("b") <= 2
    await trial.stop()


async def test_a_verdict_is_remembered(trial: Trial) -> None:
    seconds = []
    for client in "ab":
        start = time.perf_counter()
        await trial.trouble_with(SLOW, client)
        seconds.append(time.perf_counter() - start)
    assert seconds[1] < seconds[0] / 5


async def test_nothing_is_left_when_it_stops(tokenizer: TextTokenizer) -> None:
    before = set(psutil.Process().children(recursive=True))
    trial = Trial(tokenizer)
    await trial.trouble_with(QUICK, "a")
    started = [each for each in set(psutil.Process().children(recursive=True)) - before if "tracker" not in each.name()]
    await trial.stop()
    kept = [each for each in started if each.is_running() and each.ppid() != psutil.Process().pid]
    assert kept == []  # what starts the processes stays, and is this one's child


def named(value: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": value}}}


TOO_LARGE: dict[str, tuple[dict[str, Any], str, str]] = {
    "bytes": ({"structured_outputs": {"regex": "a" * (MAX_BYTES + 1)}}, "structured_outputs.regex", "65,536"),
    "properties": (named(properties(1_001)), "response_format", "1,001 properties; allowed: at most 1,000"),
    "properties in all": (
        named({"anyOf": [properties(600), properties(600)]}), "response_format", "1,200 properties"),
    "alternatives": (named({"enum": list(range(1_001))}), "response_format", "1,001 alternatives"),
    "alternatives of a grammar": (
        {"structured_outputs": {"grammar": "root ::= " + '"a" | ' * 1_001}},
        "structured_outputs.grammar", "alternatives"),
    "choices": ({"structured_outputs": {"choice": ["a"] * 1_001}}, "structured_outputs.choice", "1,001 alternatives"),
    "repetitions": ({"structured_outputs": {"regex": "a{1,100000}"}}, "structured_outputs.regex", "100,000 rep"),
    "repetitions in a schema": (named({"type": "string", "maxLength": 10**6}), "response_format", "1,000,000 repet"),
    "a kind of no interest": (
        {"structured_outputs": {"structural_tag": "{}"}},
        "structured_outputs.structural_tag", "not served"),
    "an option that nothing reads": (
        {"structured_outputs": {"json": {}, "whitespace_pattern": " "}},
        "structured_outputs.whitespace_pattern", "not served"),
    "none": ({"structured_outputs": {}}, "structured_outputs", "holds 0 constraints"),
    "two": ({"structured_outputs": {"json": {}, "regex": "a"}}, "structured_outputs", "holds 2 constraints"),
    "two fields": (named({}) | {"structured_outputs": {"regex": "a"}}, "response_format", "one of the two"),
    "an unknown format": ({"response_format": {"type": "structural_tag"}}, "response_format", "allowed: type text"),
    "a format without a schema": (
        {"response_format": {"type": "json_schema"}}, "response_format.json_schema", "name and schema"),
    "not JSON": ({"structured_outputs": {"json": "{"}}, "structured_outputs.json", "allowed: a JSON schema"),
    "deep": ({"structured_outputs": {"json": "[" * 500 + "]" * 500}}, "structured_outputs.json", "nested too deeply"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "field", "words"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_what_is_too_large_is_refused_before_it_is_tried(body: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        constraint_in(body)
    assert refused.value.param == field
    assert words in str(refused.value)


@pytest.mark.parametrize("text", ["{" + " " * 300, "{" + "1" * 5_000, "{ 1 , " * 5_000])
def test_what_is_nearly_a_quantifier_is_read_once(text: str) -> None:
    started = time.process_time()
    require_bounded(Asked("structured_outputs.regex", ("regex", text)))
    assert time.process_time() - started < 0.5  # 300 spaces took 15 s, and twice as many 16 times as long


def test_tools_are_bounded_although_nothing_compiles_them() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": properties(1_001)}}]
    with pytest.raises(RequestRefusedError, match="tools: 1,001 properties"):
        require_bounded_tools({"tools": tools})


def test_what_is_not_asked_for_is_no_constraint() -> None:
    assert constraint_in({}) is None
    assert constraint_in({"response_format": {"type": "text"}, "structured_outputs": None}) is None


async def test_the_more_responses_are_held_to_a_grammar_the_less_may_it_cost(trial: Trial) -> None:
    large = schema({"type": "array", "items": {"type": "integer"}, "maxItems": 40_000})
    assert await trial.trouble_with(large, "a") is None
    assert await trial.trouble_with(large, "a", 16) == TOO_DEAR
    assert await trial.trouble_with(schema(properties(20)), "a", 1024) is None


EVERYDAY = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Order",
    "type": "object",
    "properties": {
        "kind": {"type": ["string", "null"], "enum": ["a", "b", None], "default": "a", "description": "Which."},
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "minItems": 1},
        "any": True,
        "type": {"type": "string", "pattern": "a\\\\", "x-note": 7},
    },
    "required": ["kind", "items"],
    "additionalProperties": False,
    "$defs": {"Item": {"anyOf": [{"const": 1}, {"type": "number", "exclusiveMinimum": 0.5, "maximum": 2.0}]}},
}


def test_everyday_schemas_are_well_formed() -> None:
    assert find_fault(EVERYDAY, "schema") is None
    assert find_fault({"items": [{"type": "string"}], "additionalItems": False, "definitions": {}}, "schema") is None


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        (7, "schema"),
        ({"properties": {"a/b": {"anyOf": [{}, {"type": "text"}]}}}, "schema.properties.a/b.anyOf.1.type"),
        ({"items": [{"minItems": True}]}, "schema.items.0.minItems"),
        ({"items": []}, "schema.items"),
        ({"properties": {"type": "string"}}, "schema.properties.type"),
        ({"minLength": 0.5}, "schema.minLength"),
        ({"type": []}, "schema.type"),
        ({"\udfff": 1}, "schema.\\udfff"),
    ],
    ids=str,
)
def test_a_fault_is_named_by_its_place(schema: Any, where: str) -> None:
    fault = find_fault(schema, "schema")
    assert fault is not None
    assert fault.where == where

"""Responses that are documents or calls of functions vote by what they say."""

import json
from typing import Any

import pytest

from search.answers.answer import Answer
from search.answers.documents import NotADocumentError
from search.answers.structured import LONG, MAX_FIELDS, Call, CallReader, DocumentReader


async def read(response: Any, reader: DocumentReader | CallReader | None = None) -> Answer:
    answer = await (reader or DocumentReader()).read(response if isinstance(response, str) else json.dumps(response))
    assert answer is not None
    return answer


async def test_a_document_is_shown_on_one_line_and_votes_by_what_it_says() -> None:
    one, other = await read('{\n "b": 1.0,\n "a": "x"}'), await read('{"a": "x", "b": 1}')
    assert (one.text, one.key) == ('{"b": 1.0, "a": "x"}', other.key)
    assert (one.kind, one.is_verified) == (None, None)


@pytest.mark.parametrize("response", ["", "It is 2.", '{"a": 1', '{"a": 1} so', '{"a": 1, "a": 1}'])
@pytest.mark.parametrize("reader", [DocumentReader(), CallReader(), CallReader("f")], ids=str)
async def test_what_is_no_document_states_no_answer(reader: DocumentReader | CallReader, response: str) -> None:
    assert await reader.read(response) is None


async def test_the_fields_that_are_named_alone_vote() -> None:
    reader = DocumentReader(("city", "/when/year"))
    one = await read({"city": "Rome", "when": {"year": 1, "day": 2}, "why": "a"}, reader)
    other = await read({"why": "b", "when": {"year": 1.0}, "city": "Rome"}, reader)
    third = await read({"city": "Rome", "when": {"year": 2}}, reader)
    assert one.key == other.key != third.key
    assert one.text == '{"city": "Rome", "when": {"year": 1, "day": 2}, "why": "a"}'


async def test_a_field_that_is_left_out_is_a_value_of_its_own() -> None:
    reader = DocumentReader(("a", "b"))
    keys = [(await read(each, reader)).key for each in ({"a": 1}, {"a": 1, "c": 2}, {"a": 1, "b": None})]
    assert keys[0] == keys[1] != keys[2]


async def test_a_document_without_any_of_the_fields_states_no_answer() -> None:
    assert await DocumentReader(("a", "/b/c")).read('{"b": {}}') is None
    assert await DocumentReader(("a",)).read("[1]") is None


async def test_fields_are_the_leaves_and_their_number_is_bounded() -> None:
    assert (await read({"a": {"b": 1.0}, "c": ["x"]})).fields == (("/a/b", "1"), ("/c/0", '"x"'))
    assert len((await read(list(range(1000)))).fields) == MAX_FIELDS


async def test_a_long_document_has_a_short_key_and_votes_all_the_same() -> None:
    long = {"a": "x" * LONG, "b": 1}
    one, other, third = await read(long), await read(long | {"b": 1.0}), await read(long | {"b": 2})
    assert one.key == other.key != third.key
    assert len(one.key) < 100


CALLS = [{"name": "f", "parameters": {"x": 1}}, {"name": "g", "parameters": {"y": [1, 2]}}]


async def test_calls_vote_by_the_functions_first_and_then_by_the_arguments() -> None:
    one, other, third = [
        await read(each, CallReader()) for each in (CALLS, [CALLS[0]], [{**CALLS[0], "parameters": {}}])
    ]
    assert one.kind != other.kind == third.kind
    assert other.key != third.key


async def test_the_order_of_calls_does_not_count() -> None:
    one, other = await read(CALLS, CallReader()), await read(CALLS[::-1], CallReader())
    assert (one.kind, one.key, one.fields) == (other.kind, other.key, other.fields)
    assert one.text == '[{"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": {"y": [1, 2]}}]'
    assert one.fields[:2] == (("/0/name", '"f"'), ("/0/arguments/x", "1"))


async def test_two_calls_of_a_function_are_not_one() -> None:
    one, other = await read(CALLS[:1], CallReader()), await read(CALLS[:1] * 2, CallReader())
    assert one.kind != other.kind


async def test_of_calls_the_arguments_that_are_named_alone_vote() -> None:
    reader = CallReader(vote_on=("x",))
    one = await read([{"name": "f", "parameters": {"x": 1, "note": "a"}}], reader)
    other = await read([{"name": "f", "parameters": {"x": 1.0, "note": "b"}}], reader)
    third = await read([{"name": "f", "parameters": {"note": "b"}}], reader)
    assert one.key == other.key != third.key
    assert one.kind == third.kind


async def test_of_a_function_that_is_named_the_response_is_the_arguments() -> None:
    reader = CallReader("f")
    assert reader.calls('{"x": 1.50}') == (Call("f", {"x": "1.50"}),)
    assert (await read('{"x": 1.50}', reader)).text == '[{"name": "f", "arguments": {"x": 1.50}}]'


@pytest.mark.parametrize(
    "response",
    [
        "[]",
        "{}",
        "7",
        '["f"]',
        '[{"name": 7, "parameters": {}}]',
        '[{"name": "f"}]',
        '[{"name": "f", "parameters": []}]',
    ],
)
def test_what_are_no_calls(response: str) -> None:
    with pytest.raises(NotADocumentError):
        CallReader().calls(response)


def test_arguments_without_names_are_none() -> None:
    with pytest.raises(NotADocumentError, match="no object"):
        CallReader("f").calls("[1]")

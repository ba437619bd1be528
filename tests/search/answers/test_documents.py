"""Documents say the same exactly when their canonical forms are equal."""

import json
import random
import tracemalloc
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.answers.documents import (
    ABSENT,
    MAX_CHARS,
    MAX_DEPTH,
    NotADocumentError,
    Number,
    canonical,
    compact,
    find,
    leaves,
    pointer_to,
    read_document,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
DOCUMENTS = st.recursive(
    SCALARS, lambda each: st.one_of(st.lists(each, max_size=4), st.dictionaries(st.sampled_from("abcd"), each))
)


def form(text: str) -> str:
    return canonical(read_document(text))


def respelt(value: Any, dice: random.Random) -> str:
    """The same document, as another writer would write it."""
    gap = dice.choice(["", " ", "\n\t"])
    match value:
        case bool() | None:
            text = json.dumps(value)
        case int():
            zeros = dice.randint(0, 3)
            text = dice.choice([f"{value}", f"{value}.{'0' * (zeros + 1)}", f"{value * 10**zeros}e-{zeros}"])
        case float():
            text = dice.choice([json.dumps(value), f"{Decimal(repr(value)):E}", f"{Decimal(repr(value))}"])
        case str():
            text = json.dumps(value, ensure_ascii=dice.random() < 0.5)
        case list():
            text = f"[{gap}{','.join(respelt(each, dice) for each in value)}{gap}]"
        case _:
            members = [f"{json.dumps(name)}{gap}:{respelt(each, dice)}" for name, each in value.items()]
            text = f"{{{gap}{','.join(dice.sample(members, len(members)))}}}"
    return f"{gap}{text}{gap}"


@settings(max_examples=500)
@given(document=DOCUMENTS, seed=st.integers())
def test_spelling_space_and_the_order_of_keys_do_not_count(document: Any, seed: int) -> None:
    assert form(respelt(document, random.Random(seed))) == form(json.dumps(document))


def exact(value: Any) -> Any:
    """What equality of Python's own takes for the same exactly where it is: booleans are no numbers."""
    match value:
        case bool() | None | str():
            return type(value), value
        case int() | float():
            return Decimal(repr(value))
        case list():
            return [exact(each) for each in value]
        case _:
            return {name: exact(each) for name, each in value.items()}


@settings(max_examples=500)
@given(first=DOCUMENTS, second=DOCUMENTS)
def test_documents_that_differ_have_different_forms(first: Any, second: Any) -> None:
    assert (form(json.dumps(first)) == form(json.dumps(second))) == (exact(first) == exact(second))


@settings(max_examples=200)
@given(document=DOCUMENTS)
def test_the_form_is_that_of_what_is_shown(document: Any) -> None:
    shown = compact(read_document(json.dumps(document)))
    assert json.loads(shown) == document
    assert "\n" not in shown
    assert form(shown) == form(json.dumps(document))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1", "1.0"),
        ("1", "1e0"),
        ("1", "10E-1"),
        ("-0", "0.0"),
        ("0e999", "0"),
        ("100", "1e+2"),
        ("0.1", "1e-01"),
        ("123456789012345678901234567890", "12345678901234567890123456789.0e1"),
        ("1e400", "10e399"),
        ('"\\u00e9"', '"é"'),
        ('"é"', '"e\u0301"'),
        ('"\\/"', '"/"'),
        ('"\\ud83d\\ude00"', '"😀"'),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),
        ('{"é": 1}', '{"e\u0301": 1}'),
    ],
)
def test_what_is_the_same(first: str, second: str) -> None:
    assert form(first) == form(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1", '"1"'),
        ("1", "true"),
        ("0", "false"),
        ("0", "null"),
        ('"null"', "null"),
        ("0.1", "0.10000000000000000001"),
        ("9007199254740992", "9007199254740993"),
        ("1e-400", "0"),
        ('"a"', '"A"'),
        ('"a"', '"a "'),
        ("[1, 2]", "[2, 1]"),
        ("{}", "[]"),
        ('{"a": null}', "{}"),
        ('"\\ud800"', '"\\ud801"'),
        ("[1, 2]", "[12]"),
        ('["a, b"]', '["a", "b"]'),
    ],
)
def test_what_is_not(first: str, second: str) -> None:
    assert form(first) != form(second)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "NaN", "[Infinity]", "-Infinity", "{} {}", "[1,]", "{'a': 1}", "01", "1.", ".5", "+1", "tru", '"\t"',
        '{"a": 1, "a": 1}', '{"é": 1, "e\u0301": 2}', "[" * 100_000, "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2),
        "1e" + "9" * 5_000, f'"{"a" * MAX_CHARS}"', "\ufeff1",
    ],
    ids=lambda text: ascii(text[:20]),
)  # fmt: skip
def test_what_is_no_document(text: str) -> None:
    with pytest.raises(NotADocumentError):
        read_document(text)


def test_what_is_just_small_enough_is_read() -> None:
    depth = MAX_DEPTH - 1
    assert form("[" * depth + "1" + "]" * depth) == "[" * depth + "1" + "]" * depth
    assert form(f"1e{'9' * 18}")


def test_half_a_surrogate_pair_is_shown_as_it_was_escaped() -> None:
    assert compact(read_document('["\\ud800", "é"]')) == '["\\ud800", "\\u00e9"]'


def test_numbers_are_shown_as_they_were_spelt() -> None:
    assert compact(read_document('{"a":1.50, "b":1E400}')) == '{"a": 1.50, "b": 1E400}'


def test_leaves_have_pointers_that_find_them() -> None:
    document = read_document('{"a/b": {"~": [1, {}]}, "": [], "c": null}')
    found = dict(leaves(document))
    assert list(found) == ["/a~1b/~0/0", "/a~1b/~0/1", "/", "/c"]
    assert all(find(document, pointer) is part for pointer, part in found.items())


def test_the_first_leaves_are_found_without_the_pointers_of_all() -> None:
    document = {"a" * 20_000: [Number("1")] * 5_000}
    tracemalloc.start()
    try:
        assert len([*islice(leaves(document), 8)]) == 8
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pointer", ["/b", "/a/2", "/a/-", "/a/01x", "/a/0/c", "/a/99999999999"])
def test_where_a_pointer_leads_nowhere_there_is_nothing(pointer: str) -> None:
    assert find(read_document('{"a": [1, 2]}'), pointer) is ABSENT


def test_a_key_is_a_field_of_the_document_itself() -> None:
    assert [pointer_to(field) for field in ("a", "a~b", "b/c", "/b/c")] == ["/a", "/a~0b", "/b~1c", "/b/c"]

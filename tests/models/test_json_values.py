"""What JSON allows, and what Python's parser lets through all the same."""

import json
import tracemalloc
from typing import Any

import pytest

from models.json_values import MAX_DEPTH, MAX_PARTS, find_flaw


def nested(depth: int) -> Any:
    return json.loads("[" * depth + "]" * depth)


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        ('{"top_k": NaN}', "top_k", "not a number that JSON has"),
        ('{"a": {"b": [1, -Infinity]}}', "a.b.1", "not a number that JSON has"),
        ('{"min_p": 1e400}', "min_p", "not a number that JSON has"),
        ('{"top_k": 18446744073709551616}', "top_k", "too large"),
        ('{"ids": [1, 2, -9223372036854775809]}', "ids.2", "too large"),
        (r'{"bad_words": ["\ud800"]}', "bad_words.0", "surrogate"),
        (r'{"a": {"\ud800": 1}}', "a", "surrogate"),
        ('{"a": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}", "a" + ".0" * (MAX_DEPTH - 1), "nested too deeply"),
    ],
)
def test_a_flaw_is_told_by_its_place(body: str, where: str, what: str) -> None:
    flaw = find_flaw(json.loads(body))
    assert flaw is not None
    assert flaw.where == where
    assert what in flaw.what


@pytest.mark.parametrize(
    "value", [None, True, 1.5, 2**64 - 1, -(2**63), "\U0001f4a5", {"": [[], {}]}, list(range(1000)), nested(MAX_DEPTH)]
)
def test_json_has_no_flaw(value: Any) -> None:
    assert find_flaw(value) is None


def test_depth_that_no_recursion_survives_is_only_too_deep() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    flaw = find_flaw(value)
    assert flaw is not None
    assert "nested too deeply" in flaw.what


def test_more_values_than_are_looked_at_are_a_flaw() -> None:
    assert find_flaw({"prompt": [0] * (MAX_PARTS + 1)}) is None  # token ids
    flaw = find_flaw({"a": {"b": [""] * MAX_PARTS}})
    assert flaw is not None
    assert flaw == ("a.b", "holds too many values; allowed: 100,000 in all")


def test_a_long_name_is_not_kept_for_each_of_many_parts() -> None:
    value: dict[str, Any] = {"a" * 20_000: [[] for _ in range(5_000)]}
    tracemalloc.start()
    try:
        assert find_flaw(value) is None
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()

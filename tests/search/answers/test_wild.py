"""Answers in the wild: Markdown, words, units, sets, systems, labels, floats."""

import pytest

from search.answers.canonical import answer_key, equivalent
from tests.search.answers.wild import DIFFERENT, SAME


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_answer_is_recognised(one: str, other: str) -> None:
    assert answer_key(one) == answer_key(other)
    assert equivalent(one, other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_answers_are_told_apart(one: str, other: str) -> None:
    assert not equivalent(one, other)
    assert not equivalent(other, one)


def test_a_unit_counts_where_both_answers_have_one() -> None:
    assert answer_key("5 km") == answer_key("5 miles") == answer_key("5")
    assert [equivalent("5 km", other) for other in ("5", "5 miles", "5 apples")] == [True, False, True]
    assert equivalent("x = 5 km", "5 kilometres")
    assert equivalent("5 kJ", "5 kilojoules")
    assert equivalent(r"5\text{ km} \approx 3.1\text{ miles}", "5 km")
    assert not equivalent(r"x = 5\text{ km} \approx 3.1\text{ miles}", "5 miles")

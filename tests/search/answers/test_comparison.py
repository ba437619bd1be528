import pytest

from search.answers.canonical import answer_form
from search.answers.comparison import Canonical, compare
from search.answers.workers import JobStatus

LATE = Canonical("text:x", outcome=JobStatus.TIMEOUT)
FAILED = Canonical("text:y", outcome=JobStatus.FAILURE)


def canonical(text: str) -> Canonical:
    form = answer_form(text)
    return Canonical(form.key, form.unit)


@pytest.mark.parametrize(
    ("a", "b", "is_equivalent", "reason"),
    [
        ("0.5", r"\frac12", True, "same canonical value"),
        ("0.5", "0.6", False, "different values"),
        ("a heptagon", "A heptagon.", True, "same text after normalising"),
        ("a heptagon", "a hexagon", False, "different texts after normalising"),
        ("7", "a heptagon", False, "one is a value, the other text"),
        ("5 km", "5 metres", False, "different units"),
        ("5 km", "5", True, "same canonical value"),
        ("5 km", "5 kilometres", True, "same canonical value"),
        ("5 km", "5 apples", True, "same canonical value"),
        ("1" * 600, f" {'1' * 600}", True, "same text after normalising"),
    ],
)
def test_the_reason_says_what_was_found(a: str, b: str, is_equivalent: bool, reason: str) -> None:
    first, second = canonical(a), canonical(b)
    comparison = compare(first, second)
    assert (comparison.is_equivalent, comparison.keys) == (is_equivalent, (first.key, second.key))
    assert comparison.reason == reason


def test_no_answer_is_equivalent_to_nothing() -> None:
    one, neither = compare(canonical("7"), None), compare(None, None)
    assert (one.is_equivalent, one.keys, one.reason) == (False, ("7", None), "one has no answer")
    assert (neither.is_equivalent, neither.keys, neither.reason) == (False, (None, None), "neither has an answer")


def test_what_was_not_computed_is_said_of_the_right_one() -> None:
    late = "b took longer than its time limit and compares as text; one is a value, the other text"
    assert compare(canonical("7"), LATE).reason == late
    both = compare(FAILED, LATE).reason
    assert both.startswith("a could not be computed and compares as text; b took longer")


def test_equal_texts_are_equivalent_though_they_took_too_long() -> None:
    comparison = compare(LATE, LATE)
    assert comparison.is_equivalent
    assert comparison.reason.endswith("same text after normalising")

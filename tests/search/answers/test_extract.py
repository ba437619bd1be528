import pytest

from search.answers.extract import MAX_BRACES, MAX_SCANNED, extract_answer


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"so \boxed{42}.", "42"),
        (r"\boxed{1}, no: \boxed{2}", "2"),
        (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
        (r"\fbox{7}", "7"),
        (r"\boxed {7}", "7"),
        (r"\boxed{x + \fbox{3}}", r"x + \fbox{3}"),
        (r"\boxed{\{1, 2\}} and \}", r"\{1, 2\}"),
        (r"\boxed{\text{a \} b}}", r"\text{a \} b}"),
        (r"} \boxed{5} {", "5"),
        (r"\boxed{5} then \boxed{}", "5"),
        (r"\boxed{5} then \boxed{6", "5"),
        (r"$\boxed 8$", "8"),
        (r"$\boxed8$", "8"),
        ("9 * 9\n#### 81", "81"),
        ("#### 1\n#### 1,234\n", "1,234"),
        (r"\boxed{1} #### 2", "1"),
        ("The final answer is 5. I hope it is correct.", "5"),
        ("Final Answer: The final answer is $\\frac{1}{2}$. I hope it is correct.", r"\frac{1}{2}"),
        (r"the answer is \(x + 1\).", "x + 1"),
        (r"the answer is \[ 3.5 \]", "3.5"),
        ("The answer is: 3.5 cm.\nDone.", "3.5 cm"),
        ("**Answer:** 12", "12"),
        ("the answer is 3, no, the answer is 4", "4"),
        ("2 + 1 = 3\nA: 3\n", "3"),
    ],
)
def test_the_last_stated_answer_is_found(response: str, answer: str) -> None:
    assert extract_answer(response) == answer


@pytest.mark.parametrize(
    "response", ["", "42", "x = 42", r"\boxed{}", r"\boxed{1", "the answer is", "the answer is $ $", "A: 1\nB: 2"]
)
def test_a_response_that_states_no_answer_has_none(response: str) -> None:
    assert extract_answer(response) is None


def test_only_the_end_of_a_long_response_is_read() -> None:
    assert extract_answer(r"\boxed{1}" + " " * MAX_SCANNED) is None
    assert extract_answer(" " * MAX_SCANNED + r"\boxed{1}") == "1"


def test_boxes_nested_too_deep_are_not_followed() -> None:
    assert extract_answer(r"\boxed{1}" + r"\boxed{" * (MAX_BRACES + 1) + "2" + "}" * (MAX_BRACES + 1)) == "1"

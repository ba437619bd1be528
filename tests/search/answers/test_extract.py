# ruff: noqa: RUF001 (phrases of several languages)
import pytest

from search.answers.extract import MAX_BRACES, MAX_SCANNED, Boxes, extract_answer


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
    "response",
    [
        *("", "42", "x = 42", r"\boxed{}", r"\boxed{1", "the answer is", "the answer is $ $", "A: 1\nB: 2"),
        *("That is the answer to the problem.", "the result to be shown", "We find a solution to a system."),
        *(
            "If 5 is the answer, x is 3.",
            "Let us check whether 5 is the answer.",
            "5 is not the answer.",
            "3 + 5 is the answer.",
        ),
    ],
)
def test_a_response_that_states_no_answer_has_none(response: str) -> None:
    assert extract_answer(response) is None


def test_only_the_end_of_a_long_response_is_read() -> None:
    assert extract_answer(r"\boxed{1}" + " " * MAX_SCANNED) is None
    assert extract_answer(" " * MAX_SCANNED + r"\boxed{1}") == "1"


def test_boxes_nested_too_deep_are_not_followed() -> None:
    assert extract_answer(r"\boxed{1}" + r"\boxed{" * (MAX_BRACES + 1) + "2" + "}" * (MAX_BRACES + 1)) == "1"


WILD = [
    ("Final Answer: **73**", "73"),
    ("The answer is **B**.", "B"),
    ("**Answer: 42**", "42"),
    ("**Answer**: 42", "42"),
    ("### Answer\n42", "42"),
    ("### Answer\n\n42\n", "42"),
    ("**Final Answer**\n\n$x=5$", "x=5"),
    ("<think>maybe \\boxed{7}</think> The answer is 8.", "8"),
    ("<think>\\boxed{7}?</think><answer>42</answer>", "42"),
    ("<answer>\\boxed{5}</answer>", "5"),
    ("<answer> **5** </answer>", "5"),
    ("<answer>The answer is 5.</answer>", "5"),
    ("The answer is 5 because 2+3=5.", "5"),
    ("答案是5。", "5"),
    ("答案：5", "5"),
    ("因此，答案为 $5$。", "5"),
    ("所以最终答案是：**5**", "5"),
    ("答：5元。", "5元"),
    ("答案是5，因为2+3=5。", "5"),
    ("La respuesta es 5.", "5"),
    ("La respuesta final es: 5", "5"),
    ("Respuesta: 5", "5"),
    ("Respuesta final: \\(x=2\\)", "x=2"),
    ("La réponse est 5.", "5"),
    ("Réponse : 5", "5"),
    ("La réponse finale est $5$, car 2+3=5.", "5"),
    ("Die Antwort ist 5.", "5"),
    ("Antwort: 5", "5"),
    ("Die Lösung lautet 5.", "5"),
    ("Das Ergebnis ist 5, weil 2+3=5.", "5"),
    ("Ответ: 5", "5"),
    ("Ответ: 5.", "5"),
    ("Окончательный ответ — 5", "5"),
    ("Ответ равен 5, так как 2+3=5", "5"),
    ("答えは5です。", "5"),
    ("答え：5", "5"),
    ("したがって、答えは $5$ です。", "5"),
    ("A resposta é 5.", "5"),
    ("Resposta: 5", "5"),
    ("A resposta final é 5, pois 2+3=5", "5"),
    ("La risposta è 5.", "5"),
    ("정답: 5", "5"),
    ("정답은 5입니다.", "5"),
    ("The answer is 16, which is a square.", "16"),
    ("Answer: Tom has 16 apples.", "16"),
    ("The solution is 16.", "16"),
    ("The answer is 5. That is the answer to the problem.", "5"),
    ("The answer is 5.\nIt is a variation of the answer to a simple math problem.", "5"),
    ("The solution to the system is $x=1$.", "x=1"),
    ("The answer to this hard riddle is 42.", "42"),
    ('The answer to the question "What is 3 times 5?" is 15.', "15"),
    ("The answer is given as 11.", "11"),
    ("The answer is actually 8 - 7 = 2 cookies.", "8 - 7 = 2 cookies"),
    ("The answer is indeed 1,234.", "1,234"),
    ("The answer is equal to 5.", "5"),
    ("Odpowiedź to 5.", "5"),
    ("So 999 is the final answer.", "999"),
    ("We add them: 5 + 3 = 8. Therefore 8 is the answer.", "8"),
    ("Hence $12.50 is our answer", "$12.50"),
    ("The solutions are $x=1$ and $x=2$.", "x=1, x=2"),
    ("The answer is $5$ or $-5$.", "5, -5"),
    ("\\boxed{1}, \\boxed{2}", "1, 2"),
    ("$\\boxed{1}$ and $\\boxed{2}$", "1, 2"),
    ("$x = \\boxed{1}$ and $y = \\boxed{2}$", "x = 1, y = 2"),
    ("\\boxed{1} ... so \\boxed{2}", "2"),
    ("\\boxed{5}\n\n\\boxed{5}", "5"),
    ("So $\\boxed{42$.", "42"),
    ("- Answer: 42", "42"),
    ("1. **Answer:** 42", "42"),
    ("> Answer: 42", "42"),
    ("| Answer | 42 |\n|---|---|\n| x | 3 |", "42"),
    ("| **Answer** |\n|---|\n| 42 |", "42"),
    ("| Step | Result |\n|---|---|\n| Answer | 42 |", "42"),
    ("The answer is `42`.", "42"),
    ("The final answer is *42*", "42"),
    ("__Answer__: 42", "42"),
    ("Answer:\n- x = 1\n- y = 2", "x = 1, y = 2"),
    ("#### 42", "42"),
    ("#### Final Answer\n42", "42"),
    ('{"answer": 42}', "42"),
    ('{"answer": "42"}', "42"),
    ("The correct answer is option B.", "option B"),
    ("Answer: (B) 5", "(B) 5"),
    ("The answer is -5.", "-5"),
    ("Answer: -5", "-5"),
    ("Answer: $-5$", "-5"),
    ("The answer is 7 p.m.", "7 p.m."),
    ("The answer is 3.5.", "3.5"),
    ("the answer is Rs. 500.", "Rs. 500"),
    ("The answer to this problem is 12.", "12"),
    ("Answer: 12 (since 3*4 = 12)", "12"),
    ("Answer: 12 — that is 3 times 4", "12"),
    ("The answer would be 5.", "5"),
    ("ANSWER: 5", "5"),
    ("Final answer = 5", "5"),
    ("The answer is the number 5.", "5"),
    ("Answer: John is at least 16 years old.", "John is at least 16 years old"),
    ("Answer: The distance is 5 km.", "5 km"),
    ("[THINK]\\boxed{3}[/THINK]\\boxed{4}", "4"),
    ("The answer is x = 5 and y = 3.", "x = 5 and y = 3"),
    ("The answer is 5!", "5!"),
    ("answer is 5, so we are done", "5"),
    ("Answer: 5 apples", "5 apples"),
    ("Answer: yes", "yes"),
    ("The answer is: \n\n\\[\n5\n\\]", "5"),
    ("The answer is 2^{10}.", "2^{10}"),
    ("Answer: Half of 16 is left", "Half of 16 is left"),
    ("The answer is 25%.", "25%"),
    ("The answer is $\\frac{1}{2}$.\n\nLet me double-check the answer.", "\\frac{1}{2}"),
    ("答案是 B", "B"),
    ("故答案为：$\\frac{1}{2}$．", "\\frac{1}{2}"),
    ("因此答案是$x=1$或$x=2$。", "x=1, x=2"),
    ("Thus the answer is B, as required.", "B"),
    ("The answer is 5 as shown above", "5"),
    ("Answer: He has 3 or 4 left", "He has 3 or 4 left"),
    ("Answer: He has 16 apples and 5x", "He has 16 apples and 5x"),
    ("<answer></answer> The answer is 5.", "5"),
    ("<final_answer>5", "5"),
    ("$x = \\boxed{1}$ and then $y = \\boxed{2}$", "2"),
    ("x = \\boxed{1}, \\boxed{2}", "1, 2"),
    ("\\boxed{a\\boxed{b}\\boxed{c}}", "a\\boxed{b}\\boxed{c}"),
    ("Answer:\nx = 1\nso it is", "x = 1"),
    ("Answer: x = 1,\n\ny = 2", "x = 1, y = 2"),
    ("Answer: {5, 6}", "{5, 6}"),
    ("Answer: The total is 5 km per day", "5 km per day"),
    ("Answer: Tom has x = 5", "Tom has x = 5"),
    (r"The answer is $\$1,234$.", r"\$1,234"),
    (r"The answers are $\$5$ and $\$6$.", r"\$5, \$6"),
    ("The answer is $5. He has $6 left.", "$5"),
    ("Each costs $3, and the answer is $3 + $4 = $7.", "$3 + $4 = $7"),
    ("Answer: $5.00 per hour, so $40", "$5.00 per hour"),
    ("The correct answer is option (C) 12.", "option (C) 12"),
    ("The answer is option 3.", "3"),
    ("所以答案是B。", "B"),
    ("答案为x=1。", "x=1"),
    ("答えはBです。", "B"),
    ("정답은B입니다.", "B"),
    ("答案选B。", "B"),
    ("故选：B", "B"),
]


@pytest.mark.parametrize(("response", "answer"), WILD)
def test_answers_are_found_as_models_write_them(response: str, answer: str) -> None:
    assert extract_answer(response) == answer


@pytest.mark.parametrize(
    "response",
    [
        "<think>\\boxed{7}",
        "<think>\\boxed{7}</think>So it is 8.",
        "The answer is \\boxed{\\frac{1}{2",
        "#### Step 3: Solve\nstuff",
        "The correct option is B",
        "Solution: First we add 2.",
        "Lösung: Zuerst",
        "<think>a</think><think>\\boxed{1}",
        "\\boxed{\\frac{1$",
    ],
)
def test_thoughts_headings_and_what_is_cut_off_state_no_answer(response: str) -> None:
    assert extract_answer(response) is None


@pytest.mark.parametrize(
    ("response", "last"), [(r"\boxed{1}, \boxed{2}", "2"), (r"$x=\boxed{1}$ and $y=\boxed{2}$", "2")]
)
def test_of_boxes_in_a_row_the_last_may_count_alone(response: str, last: str) -> None:
    assert extract_answer(response, Boxes.LAST) == last != extract_answer(response)

"""The synthetic tasks: reproducible, exactly labelled, never leaking what is held out."""

from fractions import Fraction as Rational
from itertools import islice
from random import Random
from typing import Any

import pytest

from models.prm.checkers.expressions import evaluate, is_true, read_answer, solve_linear
from models.training.demo.tasks.chain import Chain
from models.training.demo.tasks.corruption import corrupt
from models.training.demo.tasks.exercise import Exercise
from models.training.demo.tasks.fraction import Fraction
from models.training.demo.tasks.linear import Linear
from models.training.demo.tasks.sequence import Sequence
from models.training.demo.tasks.solution import has_false_fact, judge, solve
from models.training.demo.tasks.stream import (
    FAMILIES,
    LEVELS,
    draw_task,
    held_out_problems,
    is_held_out,
    training_tasks,
)

CHAIN = Chain("(17 + 28) * 3 - 45")
LINEAR = Linear("5 * (x + 4) = 2x + 38")
FRACTION = Fraction("1/2 + 1/3")
SEQUENCE = Sequence("grow", (2, 5, 9, 14, 20))
CHANGES = "## Step 1: Growing\n5 - 2 = 3, 9 - 5 = 4, 14 - 9 = 5, so term 4 is 14 after + 4, + 5"
CONCLUSION = "Therefore, the final answer is: $\\boxed{%s}$."


def every_kind(num_each: int) -> list[Exercise[Any]]:
    rng = Random(0)
    kinds = [(family, level) for family in FAMILIES for level in LEVELS] * num_each
    return [draw_task(rng, family, level, held_out=False).exercise for family, level in kinds]


def test_the_same_seed_gives_the_same_held_out_problems() -> None:
    assert held_out_problems(3, 50) == held_out_problems(3, 50)
    assert held_out_problems(3, 50) != held_out_problems(4, 50)


def test_held_out_problems_are_different_and_balanced() -> None:
    problems = held_out_problems(5, 100)
    assert len({problem.problem for problem in problems}) == 100
    counts = {(family, level): 0 for family in FAMILIES for level in LEVELS}
    for problem in problems:
        counts[problem.family, problem.level] += 1
    assert set(counts.values()) == {4}


def test_the_training_stream_and_the_held_out_problems_never_meet() -> None:
    assert all(is_held_out(problem.problem) for problem in held_out_problems(0, 100))
    assert not any(is_held_out(task.problem) for task in islice(training_tasks(Random(0)), 200))


def test_one_problem_in_eight_is_held_out() -> None:
    share = sum(is_held_out(f"Compute {number} + 1.") for number in range(8000)) / 8000
    assert share == pytest.approx(1 / 8, abs=0.015)  # four standard errors


def test_every_step_of_a_careful_solution_is_right() -> None:
    rng = Random(1)
    for exercise in every_kind(8):
        assert all(solve(exercise, rng, is_careful=True).labels), exercise.problem


def test_once_wrong_a_response_stays_wrong() -> None:
    rng = Random(2)
    solutions = [solve(exercise, rng) for exercise in every_kind(8)]
    assert all(list(solution.labels) == sorted(solution.labels, reverse=True) for solution in solutions)
    assert 0.15 < sum(solution.labels[-1] for solution in solutions) / len(solutions) < 0.5


def test_a_near_miss_is_wrong() -> None:
    rng = Random(3)
    spoilt = [corrupt(exercise, solve(exercise, rng, is_careful=True), rng) for exercise in every_kind(8)]
    assert all(all(solution.labels[:-1]) for solution in spoilt)
    assert sum(solution.labels[-1] for solution in spoilt) <= 0.02 * len(spoilt)  # a miss of nothing, as in 0 - 0


@pytest.mark.parametrize(
    ("exercise", "steps", "labels"),
    [
        (CHAIN, ["## Step 1: Add\n17 + 28 = 45, so 45 * 3 - 45", CONCLUSION % "90"], (True, True)),
        (CHAIN, ["## Step 1: Multiply\n28 * 3 = 84, so 17 + 84 - 45", CONCLUSION % "56"], (False, False)),
        (CHAIN, ["## Step 1: Add\n17 + 28 = 44, so 45 * 3 - 45", CONCLUSION % "90"], (False, False)),
        (CHAIN, ["## Step 1: Add\n17 + 28 = 45, so 45 * 3 - 54", CONCLUSION % "90"], (False, False)),
        (CHAIN, ["## Step 1: Distribute\n3 * 17 = 51, 3 * 28 = 84, so 51 + 84 - 45", CONCLUSION % "90"], (True, True)),
        (CHAIN, ["I guess.", CONCLUSION % "90"], (False, False)),
        (LINEAR, ["## Step 1: Expand\n5 * 4 = 20, so 5x + 20 = 2x + 38", CONCLUSION % "6"], (True, True)),
        (LINEAR, ["## Step 1: Expand\n5 * x = 5x, so 5x + 4 = 2x + 38", CONCLUSION % "6"], (False, False)),
        (LINEAR, ["## Step 1: Swap\nso 2x + 38 = 5 * (x + 4)", CONCLUSION % "6.0"], (True, True)),
        (FRACTION, ["## Step 1: Combine\n1 + 1 = 2, 2 + 3 = 5, so 2/5", CONCLUSION % "2/5"], (False, False)),
        (FRACTION, [CONCLUSION % r"\frac{10}{12}"], (True,)),
        (SEQUENCE, [CHANGES, "## Step 2: Growing\n14 + 6 = 20, so term 5 is 20 after + 5, + 6"], (True, True)),
        (SEQUENCE, [CHANGES, "## Step 2: Growing\n14 + 5 = 19, so term 5 is 19 after + 5, + 5"], (True, False)),
        (SEQUENCE, [CHANGES, "## Step 2: Growing\n14 + 6 = 20, so term 5 is 20 after + 4, + 6"], (True, False)),
        (SEQUENCE, [CHANGES, "## Step 2: Growing\n14 + 6 = 20, so term 6 is 20 after + 5, + 6"], (True, False)),
        (SEQUENCE, ["## Step 1: Growing\n5 - 2 = 3, so term 4 is 14 after + 4, + 5", CONCLUSION % "20"], (True, True)),
        (SEQUENCE, ["## Step 1: Growing\n9 - 5 = 4, so term 3 is 9 after + 3, + 4", CONCLUSION % "20"], (False, False)),
    ],
)
def test_steps_are_judged_as_by_hand(exercise: Exercise[Any], steps: list[str], labels: tuple[bool, ...]) -> None:
    assert judge(exercise, steps) == labels


def test_a_slip_is_told_from_a_wrong_method() -> None:
    assert has_false_fact("## Step 1: Add\n17 + 28 = 44, so 44 * 3 - 45\n\n")
    assert not has_false_fact("## Step 1: Multiply\n28 * 3 = 84, so 17 + 84 - 45\n\n")


def test_formulas_have_exact_values() -> None:
    assert evaluate("(17 + 28) * 3 - 45") == 90
    assert evaluate("5x + 1/2", Rational(1, 2)) == 3
    assert {read_answer(form) for form in ("7/2", "3.5", r"\frac{7}{2}")} == {Rational(7, 2)}
    assert solve_linear("2x + 1 = 8") == Rational(7, 2)


@pytest.mark.parametrize("text", ["", "x", "1/0", "2 ** 9", "__import__('os')", "1 +", "(" * 70])
def test_what_is_no_formula_has_no_value(text: str) -> None:
    with pytest.raises(ValueError, match="formula"):
        evaluate(text)


def test_facts_of_x_hold_for_every_x() -> None:
    assert is_true("5x - 2x = 3x")
    assert not is_true("5x - 2x = 9")
    assert not is_true("17 + 28")

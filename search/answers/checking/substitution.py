"""Checks an answer by substitution: does what its problem says hold with the answer in place of the unknowns?

Nothing is solved or simplified. What is not understood, computed or proved is not held against an answer. Imports SymPy
with what computes its numbers, so it belongs in a worker process, whose limits bound what a check may take.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from sympy import Expr, Rational  # type: ignore[import-untyped]  # SymPy ships no types

from search.answers.checking.number import UndefinedError, number
from search.answers.checking.question import Question, read_question
from search.answers.checking.solution import Solution, read_solutions
from search.answers.reading.syntax import Relation, UnreadableError

NUM_DIGITS = 30
"""Digits with which a number that is not rational is compared with zero."""


def is_solution(problem: str, answer: str) -> bool | None:
    """Say whether an answer solves the equations of its problem.

    Returns:
        True when every solution that it gives fits, False when one does not; None where the problem asks for no
        solution or is not understood, the answer gives none, or SymPy cannot tell.
    """
    try:
        question = read_question(problem)
        if question is None:
            return None
        solutions = read_solutions(answer, question.unknowns)
        return _all(_fits(question, solution, solutions.decimals) for solution in solutions.each)
    except (UnreadableError, RecursionError, UndefinedError):
        return None


def _fits(question: Question, solution: Solution, decimals: int | None) -> bool | None:
    """Say whether all holds that a question says; a decimal that is off by its rounding is not held to be wrong."""
    values = {name: number(node, {}) for name, node in solution.items()}
    verdict = _all(_holds(relation, values) for relation in question.relations)
    if verdict is False and decimals is not None and _may_be_rounded(question, values, Rational(1, 10**decimals)):
        return None
    return verdict


def _holds(relation: Relation, values: Mapping[str, Expr]) -> bool | None:
    """Say whether a chain of comparisons holds; where it has no value it does not."""
    try:
        differences = _differences(relation, values)
    except UndefinedError:
        return False
    return _all(map(_compare, differences, relation.operators))


def _differences(relation: Relation, values: Mapping[str, Expr]) -> list[Expr]:
    return [first - second for first, second in pairwise(number(side, values) for side in relation.sides)]


def _compare(difference: Expr, operator: str) -> bool | None:
    """Compare a difference with zero; equality is proved, order is computed."""
    is_zero: bool | None = difference.equals(0)
    if operator in ("=", "!=") or is_zero is None:
        return None if is_zero is None else is_zero is (operator == "=")
    if is_zero:
        return operator.endswith("=")
    value = difference.evalf(NUM_DIGITS)
    return bool(value < 0) is operator.startswith("<") if value.is_comparable else None


def _may_be_rounded(question: Question, values: Mapping[str, Expr], step: Expr) -> bool:
    """Tell whether a step in the last decimal, up or down, changes an equation by more than what is wrong with it.

    So it is next to a root, single or double. Answers for several unknowns are taken to be rounded.
    """
    if len(values) > 1:
        return True
    ((name, value),) = values.items()
    (equation,) = (relation for relation in question.relations if set(relation.operators) == {"="})
    try:
        error, *moved = (_differences(equation, {name: value + shift}) for shift in (0, -step, step))
    except UndefinedError:
        return True
    changes = [max(_size(each - wrong) for each in others) for wrong, *others in zip(error, *moved, strict=True)]
    return all(_size(wrong) < change for wrong, change in zip(error, changes, strict=True))


def _size(value: Expr) -> Expr:
    return abs(value.evalf(NUM_DIGITS))


def _all(verdicts: Iterable[bool | None]) -> bool | None:
    """True when all are, False when one is, else None."""
    found = set(verdicts)
    if False in found:
        return False
    return None if None in found else True

"""Exact values of the short expressions that solutions are written in."""

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

_OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_IMPLICIT_PRODUCT = re.compile(r"(?<=\d)x")
_FORMULA = re.compile(r"[\dx+\-*/(). ]{1,80}")
_FRAC = re.compile(r"\\frac\{(\d+)\}\{(\d+)\}")
_PROBES = (Fraction(3), Fraction(7, 2))


@lru_cache(maxsize=1 << 16)
def evaluate(formula: str, x: Fraction | None = None) -> Fraction:
    """Value of `formula`, such as "(17 + 28) * 3", "3/4", "0.5" or, given `x`, "5x + 20".

    Raises:
        ValueError: It is not a formula, or has no value.
    """
    if not _FORMULA.fullmatch(formula):
        raise ValueError(f"not a formula: {formula!r}")
    try:
        tree = ast.parse(_IMPLICIT_PRODUCT.sub(" * x", formula).strip(), mode="eval")
        return _value(tree.body, x)
    except (SyntaxError, ZeroDivisionError, RecursionError) as error:
        raise ValueError(f"not a formula: {formula!r}") from error


def _value(node: ast.expr, x: Fraction | None) -> Fraction:
    match node:
        case ast.BinOp(left, operation, right) if type(operation) in _OPERATIONS:
            return _OPERATIONS[type(operation)](_value(left, x), _value(right, x))
        case ast.UnaryOp(ast.USub(), operand):
            return -_value(operand, x)
        case ast.Constant(int() | float() as number):
            return Fraction(str(number))
        case ast.Name("x") if x is not None:
            return x
    raise ValueError("not a formula")


def is_true(fact: str) -> bool:
    """True for a fact such as "17 + 28 = 45" or "5x - 2x = 3x" whose two sides are equal (for every x)."""
    sides = fact.split(" = ")
    try:
        return len(sides) == 2 and all(evaluate(sides[0], x) == evaluate(sides[1], x) for x in _PROBES)
    except ValueError:
        return False


def solve_linear(equation: str) -> Fraction:
    """The x for which the two sides of a linear `equation` are equal.

    Raises:
        ValueError: It is not an equation, or has no single solution.
    """
    left, separator, right = equation.partition(" = ")
    if not separator:
        raise ValueError(f"not an equation: {equation!r}")
    at_zero, at_one, at_two = (evaluate(left, Fraction(x)) - evaluate(right, Fraction(x)) for x in range(3))
    slope = at_one - at_zero
    if slope == 0 or at_two - at_one != slope:
        raise ValueError(f"no single solution: {equation!r}")
    return -at_zero / slope


def read_answer(text: str) -> Fraction:
    r"""Value of an answer as solutions write it: "90", "7/2", "3.5" or "\frac{7}{2}".

    Raises:
        ValueError: It is none of these.
    """
    return evaluate(_FRAC.sub(r"\1/\2", text))

import math

import pytest
import sympy  # type: ignore[import-untyped]  # SymPy ships no types

from search.answers.checking.number import UndefinedError, number
from search.answers.reading.normalise import normalise
from search.answers.reading.parser import read_statement
from search.answers.reading.syntax import UnreadableError


def value(text: str, **values: int) -> sympy.Expr:
    return number(read_statement(normalise(text)), {name: sympy.Integer(given) for name, given in values.items()})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2x + 3", 11), ("-x", -4), ("x(x - 1)/6", 2), ("x^2 - 3x", 4), ("[x]", 4), ("2^{-x}", 1 / 16),
        (r"\sqrt{x}", 2), (r"\sqrt[3]{-8}", -2), ("(-8)^{2/3}", 4), ("(-8)^{-1/3}", -0.5), ("|3 - 2x|", 5),
        (r"\ln x", math.log(4)), (r"\log_2 x", 2), (r"\exp(x)", math.exp(4)), (r"e^{x}\pi", math.exp(4) * math.pi),
        ("i^2", -1), (r"2^{\sqrt{x}}", 4), (r"\sqrt{2}^{x}", 4),
    ],
)  # fmt: skip
def test_an_expression_has_the_value_worked_out_by_hand(text: str, expected: float) -> None:
    assert float(value(text, x=4)) == pytest.approx(expected, abs=1e-12)  # a double has 16 digits


def test_values_are_exact() -> None:
    assert value("1/3 + 1/6") == sympy.Rational(1, 2)
    assert value("(-8)^{-1/3}") == sympy.Rational(-1, 2)
    assert not value("(-2)^{-2/3}").has(sympy.Float)


def test_what_cannot_be_told_from_zero_does_not_divide() -> None:
    with pytest.raises(UnreadableError):
        value(r"\frac{1}{\pi^{\ln 2} - 2^{\ln \pi}}")  # zero, which SymPy cannot prove


@pytest.mark.parametrize("text", ["1/(x-4)", r"\ln(x-4)", r"\log_1 x", r"\sqrt[x-4]{2}", "(x-4)^{-1}"])
def test_what_divides_by_zero_is_undefined(text: str) -> None:
    with pytest.raises(UndefinedError):
        value(text, x=4)


@pytest.mark.parametrize(
    "text",
    ["y", "f(x)", r"\sin x", r"\log x", "x!", "(1, 2)", "9^{9^9}", "2^{1001}", r"(10^{400})^{900}", "2^i", "x = 2",
     r"2^{\infty}"],
)  # fmt: skip
def test_what_is_not_listed_or_too_large_is_not_computed(text: str) -> None:
    with pytest.raises(UnreadableError):
        value(text, x=4)

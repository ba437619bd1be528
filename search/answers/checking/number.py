"""From a tree to SymPy's number: by a short list of operators, each applied when its arguments are numbers.

No text goes to SymPy. What would be too large to compute is refused before it is computed. Imports SymPy, so it belongs
in a worker process.
"""

from collections.abc import Mapping

import sympy  # type: ignore[import-untyped]  # SymPy ships no types
from sympy import Expr

from search.answers.meaning.scalar import MAX_ARGUMENT, MAX_BITS
from search.answers.reading.syntax import Apply, Group, Node, Number, Symbol, UnreadableError

_CONSTANTS = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I}


class UndefinedError(Exception):
    """The expression has no value: it divides by zero, or takes the logarithm of zero."""


def number(node: Node, values: Mapping[str, Expr]) -> Expr:
    """Return the value of an expression.

    Args:
        node: An expression in real or complex numbers.
        values: Those of its variables.

    Raises:
        UnreadableError: It holds another operator or variable, or is too large to be computed.
        UndefinedError: It has no value.
    """
    match node:
        case Number(value):
            return sympy.Rational(value.numerator, value.denominator)
        case Symbol(name) if name in values:
            return values[name]
        case Symbol(name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case Group("[]", (item,)):
            return number(item, values)
        case Apply(operator, args):
            return _apply(operator, *(number(arg, values) for arg in args))
    raise UnreadableError


def _apply(operator: str, *args: Expr) -> Expr:
    match operator, args:
        case "+", _:
            return sympy.Add(*args)
        case "*", _:
            return sympy.Mul(*args)
        case "neg", (value,):
            return -value
        case "/", (top, bottom):
            return top / _nonzero(bottom)
        case "^", (base, exponent):
            return _power(base, exponent)
        case "root", (radicand,):
            return sympy.sqrt(radicand)
        case "root", (radicand, degree):
            return _power(radicand, 1 / _nonzero(degree))
        case "abs", (value,):
            return sympy.Abs(value)
        case "exp", (value,):
            return _power(sympy.E, value)
        case "ln", (value,):
            return sympy.log(_nonzero(value))
        case "log", (value, base):
            return sympy.log(_nonzero(value)) / _nonzero(sympy.log(_nonzero(base)))
    raise UnreadableError


def _power(base: Expr, exponent: Expr) -> Expr:
    """Return the power; an odd root of a negative number is the real one."""
    if not exponent.is_comparable or abs(exponent) > MAX_ARGUMENT:
        raise UnreadableError
    if exponent < 0:
        base = _nonzero(base)
    if not (base.is_Rational and exponent.is_Rational):
        return base**exponent
    if max(abs(base.p), base.q).bit_length() * abs(exponent) > MAX_BITS:
        raise UnreadableError
    if base < 0 and exponent.q % 2:
        return (-1) ** (exponent.p % 2) * (-base) ** exponent
    return base**exponent


def _nonzero(value: Expr) -> Expr:
    match value.equals(0):
        case True:
            raise UndefinedError
        case None:
            raise UnreadableError
    return value

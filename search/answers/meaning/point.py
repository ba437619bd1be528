"""The value of an expression at a point, where every variable has a fixed number, drawn from its name.

Expressions that agree at all points are the same function. What is unknown, such as `f(2)`, has a value drawn from its
name and from its argument's value.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial, reduce
from itertools import combinations

from mpmath import mp  # type: ignore[import-untyped]  # mpmath ships no types

from search.answers.meaning import scalar
from search.answers.meaning.grid import (
    Value,
    absolute,
    add_values,
    determinant,
    divide_values,
    is_grid,
    multiply_values,
)
from search.answers.meaning.scalar import Scalar
from search.answers.reading.syntax import Apply, Group, Matrix, Node, Number, Quantity, Symbol, UnreadableError

NUM_POINTS = 6
"""A variable is positive at half of the points and negative at the others, so that x is not |x|."""

NUM_FAR = 2
"""Points farther from zero, one on either side: nearer ones do not tell `|x-5|` from `5-x`."""

_DISTANCE = 31
"""How many times as far; exponentials and factorials can still be computed there."""

MAX_TERMS = 200
"""Terms of a sum or product that are computed one by one."""

MAX_COMPUTED = 4_000
"""Terms that are computed at one point, of sums within sums."""

_NEGATIVE_AT = tuple(combinations(range(NUM_POINTS), NUM_POINTS // 2))
COMPLEX = frozenset({"z", "w"})
"""Variables that are complex numbers by custom; the others are real."""

_DENOMINATOR = 101
_NUM_DIGITS = 25

_ANALYTIC = {
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "cot": mp.cot, "sec": mp.sec, "csc": mp.csc, "arcsin": mp.asin,
    "arccos": mp.acos, "arctan": mp.atan, "arccot": mp.acot, "arcsec": mp.asec, "arccsc": mp.acsc, "sinh": mp.sinh,
    "cosh": mp.cosh, "tanh": mp.tanh, "coth": mp.coth, "sech": mp.sech, "csch": mp.csch, "arsinh": mp.asinh,
    "arcosh": mp.acosh, "artanh": mp.atanh, "arcsinh": mp.asinh, "arccosh": mp.acosh, "arctanh": mp.atanh,
    "exp": mp.exp,
}  # fmt: skip
_SCALAR: Mapping[str, Callable[..., Scalar]] = {
    "^": scalar.power,
    "root": scalar.root,
    "abs": absolute,
    "factorial": scalar.factorial,
    "binom": scalar.binomial,
    "degree": lambda value: scalar.multiply(value, mp.pi / 180),
    "log": scalar.logarithm,
    "lg": scalar.logarithm,
    "ln": lambda value: scalar.logarithm(value, mp.e),
    "floor": scalar.floor,
    "ceil": lambda value: -scalar.floor(-value),
    "gcd": partial(scalar.integral, math.gcd),
    "lcm": partial(scalar.integral, math.lcm),
    "max": partial(scalar.extreme, max),
    "min": partial(scalar.extreme, min),
    **{name: partial(scalar.analytic, function) for name, function in _ANALYTIC.items()},
}
_ANY: Mapping[str, Callable[..., Value]] = {
    "+": lambda *values: reduce(add_values, values),
    "*": multiply_values,
    "/": divide_values,
    "neg": lambda value: multiply_values(Fraction(-1), value),
    "det": determinant,
}


class Point:
    """A place at which expressions have values.

    Args:
        index: Which of the `NUM_POINTS`; from there on, which of the far ones.

    Attributes:
        has_drawn: True after a value that depends on the point.
    """

    def __init__(self, index: int) -> None:
        self.has_drawn = False
        self._index = index
        self._num_computed = 0
        self._running: dict[str, Scalar] = {}  # the indices of the sums that are being computed

    def value(self, node: Node) -> Value:
        """Return the value of an expression.

        Raises:
            UnreadableError: It has none, or none that is computed.
        """
        match node:
            case Number(value):
                return value
            case Quantity(value):
                return self.value(value)
            case Symbol(name):
                return self._symbol(name)
            case Matrix(rows):
                return tuple(tuple(map(self._scalar, row)) for row in rows)
            case Group("[]", (item,)):
                return self.value(item)
            case Apply("sum" | "prod" as operator, (Symbol(index), lower, upper, term)):
                return self._series(operator, index, (self._scalar(lower), self._scalar(upper)), term)
            case Apply(operator, args) if operator in _SCALAR:
                return _SCALAR[operator](*map(self._scalar, args))
            case Apply(operator, args) if operator in _ANY:
                return _ANY[operator](*map(self.value, args))
            case Apply(operator, args):
                return self._draw(f"{operator}({', '.join(_digest(self.value(arg)) for arg in args)})")
        raise UnreadableError

    def _scalar(self, node: Node) -> Scalar:
        value = self.value(node)
        if is_grid(value):
            raise UnreadableError
        return value

    def _symbol(self, name: str) -> Scalar:
        if name in self._running:
            return self._running[name]
        match name:
            case "pi":
                return +mp.pi
            case "e":
                return +mp.e
            case "i":
                return mp.mpc(0, 1)
            case "infinity":
                raise UnreadableError
        return self._draw(name)

    def _draw(self, name: str) -> Scalar:
        """A number of a few digits over a prime, so that values stay exact and no two names share them."""
        self.has_drawn = True
        digest = hashlib.sha256(f"{self._index} {name}".encode()).digest()
        real, imaginary = (
            Fraction(30 + int.from_bytes(part) % 370, _DENOMINATOR) for part in (digest[:8], digest[8:16])
        )
        if self._index >= NUM_POINTS:
            return real * _DISTANCE * (-1) ** (sum(name.encode()) + self._index)
        if self._index in _NEGATIVE_AT[sum(name.encode()) % len(_NEGATIVE_AT)]:
            real = -real
        if name in COMPLEX and self._index == NUM_POINTS - 1:
            return mp.mpc(scalar.inexact(real), scalar.inexact(imaginary))
        return real

    def _series(self, operator: str, index: str, bounds: tuple[Scalar, Scalar], term: Node) -> Scalar:
        """Add or multiply the terms between integer bounds; others make an unknown of the bounds and the term."""
        outer = dict(self._running)
        if all(map(scalar.is_integer, bounds)):
            value = self._total(operator, index, range(int(bounds[0]), int(bounds[1]) + 1), term)
        else:
            self._running[index] = self._draw(f"index at depth {len(outer)}")
            body = self._scalar(term)
            value = self._draw(f"{operator}({', '.join(map(_digest, (*bounds, body)))})")
        self._running = outer
        return value

    def _total(self, operator: str, index: str, indices: range, term: Node) -> Scalar:
        if indices.stop - indices.start > MAX_TERMS:
            raise UnreadableError
        total: Scalar = Fraction(operator == "prod")
        for running in indices:
            self._num_computed += 1
            if self._num_computed > MAX_COMPUTED:
                raise UnreadableError
            self._running[index] = Fraction(running)
            total = (scalar.add if operator == "sum" else scalar.multiply)(total, self._scalar(term))
        return total


def _digest(value: Value) -> str:
    """Name a value, the same for all that agree but for their last digits."""
    if is_grid(value):
        return str([[_digest(cell) for cell in row] for row in value])
    value = scalar.snap(value)
    return scalar.write(value) if scalar.is_exact(value) else str(mp.nstr(value, _NUM_DIGITS))

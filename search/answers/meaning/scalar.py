"""Arithmetic of single values: exact as long as they are rational, else with as many digits as mpmath is set to.

Knows nothing of trees or of variables. What would be too large to compute is refused before it is computed. mpmath's
errors are translated here.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from mpmath import mp  # type: ignore[import-untyped]  # mpmath ships no types

from search.answers.reading.syntax import UnreadableError

Scalar = Any
"""A `Fraction`, or mpmath's real or complex number."""

MAX_BITS = 50_000
"""Size of an exact number, numerator and denominator together, and of an exponent."""

MAX_DECIMAL_BITS = 800
"""Size of an exact number that is written with decimal digits."""

MAX_ARGUMENT = 1_000
"""Size of an argument to what grows faster than a power."""


def is_exact(value: Scalar) -> bool:
    """Say whether the value is a rational."""
    return isinstance(value, Fraction)


def is_integer(value: Scalar) -> bool:
    """Say whether the value is an exact integer."""
    return isinstance(value, Fraction) and value.denominator == 1


def inexact(value: Scalar) -> Scalar:
    """Return mpmath's number for any value."""
    return mp.mpf(value.numerator) / value.denominator if is_exact(value) else value


def write(value: Fraction) -> str:
    """Write a rational, in hexadecimal where Python refuses to convert so long a number to decimals."""
    is_long = value.numerator.bit_length() + value.denominator.bit_length() > MAX_DECIMAL_BITS
    return f"{value.numerator:x}/{value.denominator:x}" if is_long else str(value)


def is_long_decimal(value: Fraction, num_digits: int) -> bool:
    """Say whether a rational that is no integer has `num_digits` decimal digits or more, but not without end."""
    rest = value.denominator
    if rest == 1 or value.numerator.bit_length() + rest.bit_length() > MAX_DECIMAL_BITS:
        return False
    twos = (rest & -rest).bit_length() - 1
    rest >>= twos
    fives = 0
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return rest == 1 and abs(value.numerator) * 10 ** max(twos, fives) // value.denominator >= 10 ** (num_digits - 1)


def snap(value: Scalar) -> Scalar:
    """Return the rational of two small numbers that a real is but for its last digits, else the value itself."""
    limit = 10 ** (mp.dps // 3)
    if is_exact(value) or mp.im(value) != 0 or abs(value) > limit or 0 < abs(value) * limit < 1:
        return value
    real = mp.re(value)
    mantissa, exponent = abs(real).man_exp
    exact = Fraction(-mantissa if real < 0 else mantissa) * Fraction(2) ** exponent
    nearest = exact.limit_denominator(limit)
    return nearest if abs(nearest - exact) * 10 ** (mp.dps - 15) <= abs(exact) else value


def add(first: Scalar, second: Scalar) -> Scalar:
    """Return the sum."""
    if is_exact(first) and is_exact(second):
        return _small(first + second)
    return inexact(first) + inexact(second)


def multiply(first: Scalar, second: Scalar) -> Scalar:
    """Return the product."""
    if is_exact(first) and is_exact(second):
        return _small(first * second)
    return inexact(first) * inexact(second)


def divide(first: Scalar, second: Scalar) -> Scalar:
    """Return the quotient."""
    if second == 0:
        raise UnreadableError
    if is_exact(first) and is_exact(second):
        return _small(first / second)
    return inexact(first) / inexact(second)


def power(base: Scalar, exponent: Scalar) -> Scalar:
    """Return the power; an odd root of a negative number is the real one."""
    if base == 0:
        if is_exact(exponent) and exponent > 0:
            return Fraction(0)
        raise UnreadableError
    if is_integer(exponent):
        size = base.numerator.bit_length() + base.denominator.bit_length() if is_exact(base) else 1
        if size * abs(exponent) > MAX_BITS:
            raise UnreadableError
        return base ** int(exponent)
    if is_exact(base) and base < 0 and is_exact(exponent) and exponent.denominator % 2:
        return (-1) ** (exponent.numerator % 2) * power(-base, exponent)
    return mp.exp(_tame(inexact(exponent) * mp.log(inexact(base))))


def root(value: Scalar, degree: Scalar = Fraction(2)) -> Scalar:
    """Return the root of `degree`."""
    return power(value, divide(Fraction(1), degree))


def logarithm(value: Scalar, base: Scalar = Fraction(10)) -> Scalar:
    """Return the logarithm, to base 10 where none is said."""
    if value == 0 or base == 0:
        raise UnreadableError
    return divide(mp.log(inexact(value)), mp.log(inexact(base)))


def factorial(value: Scalar) -> Scalar:
    """Return the factorial, by the gamma function where the value is no integer."""
    if not is_integer(value):
        return analytic(mp.factorial, value)
    if not 0 <= value <= MAX_ARGUMENT:
        raise UnreadableError
    return Fraction(math.factorial(int(value)))


def binomial(top: Scalar, bottom: Scalar) -> Scalar:
    """Return the binomial coefficient, by the gamma function where a value is no integer."""
    if not (is_integer(top) and is_integer(bottom)):
        return analytic(mp.binomial, top, bottom)
    if not 0 <= bottom <= top <= MAX_ARGUMENT:
        raise UnreadableError
    return Fraction(math.comb(int(top), int(bottom)))


def analytic(function: Callable[..., Any], *values: Scalar) -> Scalar:
    """Apply a function of mpmath's."""
    try:
        result = function(*(_tame(inexact(value)) for value in values))
    except (ValueError, ZeroDivisionError) as error:
        raise UnreadableError from error
    if not mp.isfinite(result):
        raise UnreadableError
    return result


def floor(value: Scalar) -> Scalar:
    """Return the largest integer that is not above the value."""
    value = snap(value)
    if mp.im(value) != 0 or abs(value) > 2**MAX_ARGUMENT:
        raise UnreadableError
    return Fraction(math.floor(value) if is_exact(value) else int(mp.floor(mp.re(value))))


def extreme(function: Callable[..., Scalar], *values: Scalar) -> Scalar:
    """Return the `max` or `min` of reals."""
    if any(mp.im(inexact(value)) != 0 for value in values):
        raise UnreadableError
    return function(values, key=lambda value: mp.re(inexact(value)))


def integral(function: Callable[..., int], *values: Scalar) -> Scalar:
    """Apply a function of Python's to integers."""
    if not all(map(is_integer, values)):
        raise UnreadableError
    return Fraction(function(*map(int, values)))


def _tame(value: Scalar) -> Scalar:
    if abs(value) > MAX_ARGUMENT:
        raise UnreadableError
    return value


def _small(value: Fraction) -> Fraction:
    if value.numerator.bit_length() + value.denominator.bit_length() > MAX_BITS:
        raise UnreadableError
    return value

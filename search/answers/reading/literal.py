"""The value of a number as it is written: digits, a decimal point, an exponent, a recurring part."""

import math
import re
from decimal import Decimal
from fractions import Fraction

from search.answers.reading.syntax import UnreadableError

MAX_EXPONENT = 400
"""Largest power of ten in e-notation that is written out."""

FLOAT_DIGITS = 16
"""Digits from which on a decimal is a float, printed whole, whose last digits are its error."""

MIN_DECIMALS = 6
"""Decimals from which on a number may be a fraction that was rounded."""

_LITERAL = re.compile(r"(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?")


def read_literal(text: str) -> Fraction:
    """Return the value of a number such as `12`, `.5` or `1.5e3`.

    A long decimal that is a small fraction, rounded, is that fraction.

    Raises:
        UnreadableError: Its exponent is too large to be written out.
    """
    match = _LITERAL.fullmatch(text)
    if match is None or abs(int(match[3] or 0)) > MAX_EXPONENT:
        raise UnreadableError
    value = Fraction(int(match[1] + match[2]), 10 ** len(match[2]))
    return _unrounded(value, len(match[2])) * Fraction(10) ** int(match[3] or 0)


def read_recurring(text: str, period: str) -> Fraction:
    """Return the value of the decimal `text` with `period` behind it without end: `0.1`, `6` is a sixth.

    Raises:
        UnreadableError: One of them is no row of digits.
    """
    whole, _, decimals = text.partition(".")
    if not (whole + decimals + period).isdecimal():
        raise UnreadableError
    return Fraction(int(whole + decimals) + Fraction(int(period), 10 ** len(period) - 1), 10 ** len(decimals))


def read_cut_off(text: str) -> Fraction:
    """Return the value of a decimal with an ellipsis behind it: what recurs three times over is taken to go on.

    `0.333...` is a third; `3.14159...` is no more than its digits.
    """
    whole, _, decimals = text.partition(".")
    for length in range(1, len(decimals) // 2 + 1):
        num_times = len(decimals) // length if length > 2 else 3
        period = decimals[-length:]
        if decimals.endswith(period * max(2, num_times)) and len(decimals) >= 3:
            return read_recurring(f"{whole}.{decimals.removesuffix(period)}", period)
    return read_literal(text)


def _unrounded(value: Fraction, num_decimals: int) -> Fraction:
    """The fraction of which `value` is what is left by rounding or by cutting off, where it hardly is so by chance.

    About 0.3 Q^2 fractions between two integers have denominators up to Q, and each may become two decimals: with
    Q^2 = 10^num_decimals / 600 one decimal in a thousand is one of these by chance.
    """
    if num_decimals < MIN_DECIMALS:
        return value
    if len(str(value.numerator * 10**num_decimals // value.denominator)) >= FLOAT_DIGITS:
        return _unrounded_float(value)
    nearest = value.limit_denominator(min(math.isqrt(10**num_decimals // 600), 10_000))
    error = (nearest - value) * 10**num_decimals
    return nearest if abs(error) <= Fraction(1, 2) or 0 < error < 1 else value


def _unrounded_float(value: Fraction) -> Fraction:
    """The small fraction or the short decimal that a float such as 0.30000000000000004 is but for its error."""
    short = Fraction(f"{Decimal(value.numerator) / value.denominator:.10g}")
    for nearest in (value.limit_denominator(10_000), short):
        if abs(nearest - value) <= value / 2**50:
            return nearest
    return value

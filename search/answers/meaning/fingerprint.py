"""The name of a value: equal for two expressions when they are the same number or the same function, and only then.

A number that is not rational is computed with two precisions and believed as far as both agree. Not safe for threads:
mpmath's precision is global. Workers are processes with one thread.
"""

import hashlib
from collections.abc import Callable, Sequence
from fractions import Fraction

from mpmath import mp  # type: ignore[import-untyped]  # mpmath ships no types

from search.answers.meaning.grid import Value, absolute, divide_values, is_grid
from search.answers.meaning.point import COMPLEX, NUM_FAR, NUM_POINTS, Point
from search.answers.meaning.scalar import Scalar, inexact, is_exact, is_long_decimal, snap, write
from search.answers.reading.syntax import Node, Symbol, UnreadableError, walk

LOW_DIGITS, HIGH_DIGITS = 60, 120
NUM_DIGITS = 40
"""Digits of a value of a function which its name is made of."""

FLOAT_DIGITS = 15
"""Digits from which on a decimal is what it rounds: a float holds as many."""

NAMED_DIGITS = 14
"""Digits in the name of such a decimal, and of any number that is not rational: one less, for the rounding."""

MAX_LOST = 25
"""Digits that may cancel in a number that is zero."""

MAX_MAGNITUDE = 80
"""Bits before the point of a number that is not rational: a larger one cannot be told from its neighbours."""

MAX_NAME = 100
"""Characters of a number's name; a longer one is hashed."""

Profile = list[Value | None]
"""The values of one expression at all points, None where it has no real one; one value for a constant.

At the far points, which come last, it may be too large to be computed; this, too, is None.
"""


def name_value(node: Node) -> str:
    """Name a number, a function, or a matrix of these.

    Raises:
        UnreadableError: It has no value, or none that can be told from its neighbours.
    """
    low, high = _profiles(node, lambda profile: profile)
    grids, others = ([value for value in profile if value is not None and is_grid(value)] for profile in (low, high))
    if not grids:
        return _name(low, high)
    rows = [
        [_name([at[row][column] for at in grids], [at[row][column] for at in others]) for column in range(len(cells))]
        for row, cells in enumerate(grids[0])
    ]
    return "matrix [" + "; ".join(", ".join(row) for row in rows) + "]"


def name_up_to_factor(node: Node) -> str:
    """Name a function that is set to zero: those that differ by a constant factor are one."""
    return _name(*_profiles(node, lambda profile: _divide(profile, _first(profile))))


def name_up_to_positive_factor(node: Node) -> str:
    """Name a function whose sign is asked for: those that differ by a positive constant factor are one."""
    return _name(*_profiles(node, lambda profile: _divide(profile, absolute(_first(profile)))))


def sign(node: Node) -> int:
    """Return -1, 0 or 1 for a real number.

    Raises:
        UnreadableError: It is a function or not real.
    """
    name = name_value(node)
    if "#" in name or name.endswith("i") or name.startswith("matrix"):
        raise UnreadableError
    return 0 if name == "0" else -1 if name.startswith("-") else 1


def _divide(profile: Profile, divisor: Value) -> Profile:
    if len(profile) == 1:
        raise UnreadableError  # a comparison of two numbers says nothing of any quantity
    return [None if value is None else divide_values(value, divisor) for value in profile]


def _first(profile: Profile) -> Value:
    return next(value for value in profile if value is not None)


def _profiles(node: Node, rescale: Callable[[Profile], Profile]) -> tuple[Profile, Profile]:
    """Compute a profile with both precisions, once where it is exact."""
    with mp.workdps(LOW_DIGITS):
        low = rescale(_profile(node))
    if all(value is None or is_exact(value) for value in low):
        return low, low
    with mp.workdps(HIGH_DIGITS):
        return low, rescale(_profile(node))


def _profile(node: Node) -> Profile:
    first = Point(0)
    values = [first.value(node)]
    if not first.has_drawn:
        return list(values)
    values += [Point(index).value(node) for index in range(1, NUM_POINTS)]
    far = [_far_value(node, index) for index in range(NUM_POINTS, NUM_POINTS + NUM_FAR)]
    return [*values, *far] if _is_complex(node) else _real([*values, *far])


def _far_value(node: Node, index: int) -> Value | None:
    try:
        return Point(index).value(node)
    except UnreadableError:
        return None


def _is_complex(node: Node) -> bool:
    return any(isinstance(below, Symbol) and below.name in COMPLEX | {"i"} for below in walk(node))


def _real(values: Profile) -> Profile:
    r"""Keep the real values of a function of real variables, all where none is: `\sqrt{1/n}` is `1/\sqrt{n}`."""
    kept: Profile = [None if value is None or not (is_grid(value) or _is_real(value)) else value for value in values]
    return kept if any(value is not None for value in kept[:NUM_POINTS]) else values


def _is_real(value: Scalar) -> bool:
    return is_exact(value) or abs(mp.im(value)) <= abs(value) * mp.mpf(10) ** (MAX_LOST - mp.dps)


def _name(low: Sequence[Scalar | None], high: Sequence[Scalar | None]) -> str:
    """Name a number by its digits, a function by those of all its values."""
    with mp.workdps(HIGH_DIGITS):
        pairs = list(zip(low, high, strict=True))
        names = ["undefined" if b is None else _settle(a, b, NUM_DIGITS) for a, b in pairs[1:] and pairs[:NUM_POINTS]]
        far = [_settle_far(a, b) for a, b in pairs[NUM_POINTS:]]
        if len({*names, *far} - {None}) > 1:
            return f"f#{_hash(' '.join(map(str, (*names, *far))))}"
        number = high[0]
        if not is_exact(number) and mp.mag(number) > MAX_MAGNITUDE:
            raise UnreadableError
        name = _settle(low[0], number, NAMED_DIGITS)
    return name if len(name) <= MAX_NAME else f"{name[:20]}#{_hash(name)}"


def _settle_far(low: Scalar | None, high: Scalar | None) -> str | None:
    """Write a value at a far point; None where it is lost among its neighbours."""
    try:
        return None if low is None or high is None else _settle(low, high, NUM_DIGITS)
    except UnreadableError:
        return None


def _settle(low: Scalar, high: Scalar, num_digits: int) -> str:
    """Write the digits in which two computations of one number agree."""
    if is_exact(high):
        return _write_exact(high, num_digits)
    real = _settle_real(mp.re(low), mp.re(high), num_digits)
    imaginary = _settle_real(mp.im(low), mp.im(high), num_digits)
    return real if imaginary == "0" else f"{real} + {imaginary}i"


def _settle_real(low: Scalar, high: Scalar, num_digits: int) -> str:
    if abs(high - low) * 10**NUM_DIGITS <= abs(high):
        value = snap(high)
        return _write_exact(value, num_digits) if is_exact(value) else _write_digits(value, num_digits)
    if all(
        abs(value) < mp.mpf(10) ** (MAX_LOST - digits) for value, digits in ((low, LOW_DIGITS), (high, HIGH_DIGITS))
    ):
        return "0"  # what shrinks as the precision grows is nothing but its error
    raise UnreadableError


def _write_exact(value: Fraction, num_digits: int) -> str:
    """Write a rational; a decimal of as many digits as a float has is what it rounds, so that it joins its like."""
    return _write_digits(value, num_digits) if is_long_decimal(value, FLOAT_DIGITS) else write(value)


def _write_digits(value: Scalar, num_digits: int) -> str:
    return f"{mp.nstr(inexact(value), num_digits)}~"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]

"""The name of a value: equal for two expressions when they are the same number or the same function, and only then.

A number that is not rational is computed with two precisions and believed as far as both agree. Not safe for threads:
mpmath's precision is global. Workers are processes with one thread.
"""

import hashlib
from collections.abc import Callable

from mpmath import mp  # type: ignore[import-untyped]  # mpmath ships no types

from search.answers.meaning.grid import Value, absolute, divide_values, is_grid
from search.answers.meaning.point import NUM_POINTS, Point
from search.answers.meaning.scalar import Scalar, is_exact, snap, write
from search.answers.reading.syntax import Node, UnreadableError

LOW_DIGITS, HIGH_DIGITS = 60, 120
NUM_DIGITS = 40
"""Digits of a number that is not rational which its name holds."""

MAX_LOST = 25
"""Digits that may cancel in a number that is zero."""

MAX_MAGNITUDE = 80
"""Bits before the point of a number that is not rational: a larger one cannot be told from its neighbours."""

MAX_NAME = 100
"""Characters of a number's name; a longer one is hashed."""

Profile = list[Value]
"""The values of one expression at all points; one value for a constant."""


def name_value(node: Node) -> str:
    """Name a number, a function, or a matrix of these.

    Raises:
        UnreadableError: It has no value, or none that can be told from its neighbours.
    """
    low, high = _profiles(node, lambda profile: profile)
    if not is_grid(low[0]):
        return _name(low, high)
    rows = [
        [_name([at[row][column] for at in low], [at[row][column] for at in high]) for column in range(len(low[0][row]))]
        for row in range(len(low[0]))
    ]
    return "matrix [" + "; ".join(", ".join(row) for row in rows) + "]"


def name_up_to_factor(node: Node) -> str:
    """Name a function that is set to zero: those that differ by a constant factor are one."""
    return _name(*_profiles(node, lambda profile: _divide(profile, profile[0])))


def name_up_to_positive_factor(node: Node) -> str:
    """Name a function whose sign is asked for: those that differ by a positive constant factor are one."""
    return _name(*_profiles(node, lambda profile: _divide(profile, absolute(profile[0]))))


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
    return [divide_values(value, divisor) for value in profile]


def _profiles(node: Node, rescale: Callable[[Profile], Profile]) -> tuple[Profile, Profile]:
    """Compute a profile with both precisions, once where it is exact."""
    with mp.workdps(LOW_DIGITS):
        low = rescale(_profile(node))
    if all(map(is_exact, low)):
        return low, low
    with mp.workdps(HIGH_DIGITS):
        return low, rescale(_profile(node))


def _profile(node: Node) -> Profile:
    first = Point(0)
    values = [first.value(node)]
    return values + [Point(index).value(node) for index in range(1, NUM_POINTS) if first.has_drawn]


def _name(low: list[Scalar], high: list[Scalar]) -> str:
    """Name a number by its digits, a function by those of all its values."""
    with mp.workdps(HIGH_DIGITS):
        names = [_settle(*pair) for pair in zip(low, high, strict=True)]
        is_coarse = len(names) == 1 and not is_exact(high[0]) and mp.mag(high[0]) > MAX_MAGNITUDE
    if is_coarse:
        raise UnreadableError
    if len(set(names)) > 1:
        return f"f#{_hash(' '.join(names))}"
    return names[0] if len(names[0]) <= MAX_NAME else f"{names[0][:20]}#{_hash(names[0])}"


def _settle(low: Scalar, high: Scalar) -> str:
    """Write the digits in which two computations of one number agree."""
    if is_exact(high):
        return write(high)
    real = _settle_real(mp.re(low), mp.re(high))
    imaginary = _settle_real(mp.im(low), mp.im(high))
    return real if imaginary == "0" else f"{real} + {imaginary}i"


def _settle_real(low: Scalar, high: Scalar) -> str:
    if abs(high - low) * 10**NUM_DIGITS <= abs(high):
        value = snap(high)
        return write(value) if is_exact(value) else str(mp.nstr(value, NUM_DIGITS))
    if all(
        abs(value) < mp.mpf(10) ** (MAX_LOST - digits) for value, digits in ((low, LOW_DIGITS), (high, HIGH_DIGITS))
    ):
        return "0"  # what shrinks as the precision grows is nothing but its error
    raise UnreadableError


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]

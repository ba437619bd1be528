"""Drills: bare facts, many in a row, so that a small model masters arithmetic before it meets problems."""

from fractions import Fraction
from math import gcd
from random import Random

from models.training.demo.tasks.exercise import LARGEST_NUMBER

DRILL_PROBLEM = "Drill."
NUM_FACTS = 12


def drill(rng: Random) -> str:
    """A row of true facts of the kinds that solutions use."""
    kinds = (_add, _add, _subtract, _subtract, _multiply, _divide, _gather, _widen, _reduce)
    return ", ".join(rng.choice(kinds)(rng) for _ in range(NUM_FACTS))


def _add(rng: Random) -> str:
    a, b = rng.randint(0, 99), rng.randint(0, 60)
    return f"{a} + {b} = {a + b}" if a + b <= LARGEST_NUMBER else _add(rng)


def _subtract(rng: Random) -> str:
    a = rng.randint(0, LARGEST_NUMBER if rng.random() < 0.3 else 60)
    b = rng.randint(0, min(a, 60))
    return f"{a} - {b} = {a - b}"


def _multiply(rng: Random) -> str:
    a, b = rng.randint(2, 50), rng.randint(2, 9)
    if a * b > LARGEST_NUMBER:
        return _multiply(rng)
    return f"{a} * {b} = {a * b}" if rng.random() < 0.5 else f"{b} * {a} = {a * b}"


def _divide(rng: Random) -> str:
    a, b = rng.randint(1, 40), rng.randint(2, 12)
    return f"{a * b} / {b} = {a}" if a * b <= LARGEST_NUMBER else _divide(rng)


def _gather(rng: Random) -> str:
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    if a <= b + 1 or rng.random() < 0.5:
        return f"{a}x + {b}x = {a + b}x"
    return f"{a}x - {b}x = {a - b}x"


def _widen(rng: Random) -> str:
    bottom, factor = rng.randint(2, 12), rng.randint(2, 9)
    top = rng.randint(1, 2 * bottom)
    if bottom * factor > 40:
        return _widen(rng)
    return f"{top}/{bottom} = {top * factor}/{bottom * factor}"


def _reduce(rng: Random) -> str:
    top, bottom = rng.randint(1, 48), rng.randint(2, 40)
    if gcd(top, bottom) > 1:
        return f"{top}/{bottom} = {Fraction(top, bottom)}"
    bottom = rng.choice((2, 4, 5, 10))
    return f"{top}/{bottom} = {top / bottom:g}"

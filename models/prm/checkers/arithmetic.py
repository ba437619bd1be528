r"""A checker of worked arithmetic: whether every fact that a response states is true.

A fact is a chain of numeric expressions with "=" between them, at least one of which computes something:
"17 + 28 = 45", "3 * (4 - 1) = 9", "$2 \times 3 = 12 / 2$". A decimal is true if it is rounded right. What cannot be
read with certainty (unknowns, powers, remainders) is left alone: this finds slips, not wrong methods.
"""

import re
from fractions import Fraction
from itertools import pairwise

from models.prm.checkers.expressions import evaluate

_SIGNS = {r"\times": "*", r"\cdot": "*", r"\div": "/", "\u00d7": "*", "\u00b7": "*", "\u00f7": "/", "\u2212": "-"}
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_PART = r"(?:[\d+\-*/() ]|\.(?=\d)){1,80}"
_CHAIN = re.compile(rf"(?:^|(?<=[\s$,;:]))(?=[\d(]|-\d){_PART}(?:={_PART})+", re.MULTILINE)
_BEFORE = re.compile(r"(?:[+\-*/^=%)}\\]|\b(?:mod|of|by|times|plus|minus|over)) *\Z")
"""What makes the beginning of a chain the end of something else."""
_AFTER = re.compile(r"[\w^%{\\!]| *(?:remainder|mod|R)\b")
"""What makes the end of a chain the beginning of something else."""
_OPERATION = re.compile(r"\d\)* *[+\-*/]")
_DECIMAL = re.compile(r"-?\d*\.(\d+)")


def check(problem: str, response: str) -> bool:
    """Say whether every fact in `response` is true.

    Args:
        problem: Is not looked at.
        response: So far; there is nothing wrong with one that states no fact.
    """
    text = _THOUSANDS.sub("", _SIGN.sub(lambda found: _SIGNS[found[0]], response))
    return all(_is_true(_sides(text, chain)) for chain in _CHAIN.finditer(text))


def _sides(text: str, chain: re.Match[str]) -> list[str]:
    """The sides of a fact; fewer than two if it is none."""
    stated = chain[0].rstrip()
    sides = [side.strip() for side in stated.split("=")]
    if sides[-1].endswith(tuple("+-*/(")) or _AFTER.match(text, chain.start() + len(stated)):
        sides.pop()
    begins_here = not _BEFORE.search(text[max(0, chain.start() - 80) : chain.start()])
    return sides if begins_here and any(map(_OPERATION.search, sides)) else []


def _is_true(sides: list[str]) -> bool:
    try:
        values = [(evaluate(side), _slack(side)) for side in sides]
    except ValueError:
        return True
    return all(abs(one - other) <= max(slack, other_slack) for (one, slack), (other, other_slack) in pairwise(values))


def _slack(side: str) -> Fraction:
    """How far a number is from what it is rounded from: half of its last decimal."""
    decimal = _DECIMAL.fullmatch(side)
    return Fraction(1, 2 * 10 ** len(decimal[1])) if decimal else Fraction(0)

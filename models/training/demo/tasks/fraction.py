"""Fractions: "Compute 1/2 + 2 * 1/3 - 1/4." Products first, then two neighbours at a time over a common bottom."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction as Rational
from math import gcd, lcm
from random import Random
from typing import ClassVar, Self

from typing_extensions import override

from models.prm.checkers.expressions import evaluate
from models.training.demo.tasks.exercise import Exercise, Move, Temptation

LARGEST_BOTTOM = 40
_BOTTOMS = ((2, 3, 4, 6, 12), (2, 4, 5, 10, 20), (2, 3, 6, 9, 18), (2, 4, 8, 16))
_PRODUCT = re.compile(r"(?P<k>\d+) \* (?P<a>\d+)/(?P<b>\d+)")
_PAIR = re.compile(r"^(?P<a>\d+)/(?P<b>\d+) (?P<op>[+-]) (?P<c>\d+)/(?P<d>\d+)")
_REDUCIBLE = re.compile(r"(?P<a>\d+)/(?P<b>\d+)")


@dataclass(frozen=True, slots=True)
class Fraction(Exercise[str]):
    """A sum of fractions; the state is the sum that is left."""

    family: ClassVar[str] = "fraction"
    expression: str
    question: str = "Compute {}."

    @classmethod
    @override
    def propose(cls, rng: Random, level: int) -> Self:
        bottoms = rng.choice(_BOTTOMS)
        terms = []
        for _ in range(rng.choice((1, 2)) if level < 3 else rng.choice((2, 3))):
            bottom = rng.choice(bottoms)
            top = rng.choice([top for top in range(1, bottom) if gcd(top, bottom) == 1])
            terms.append(f"{rng.randint(2, 5)} * {top}/{bottom}" if rng.random() < 0.4 else f"{top}/{bottom}")
        expression = terms[0] + "".join(f" {rng.choice('+-')} {term}" for term in terms[1:])
        return cls(expression, rng.choice(("Compute {}.", "Evaluate {}.", "What is {}?")))

    @property
    @override
    def problem(self) -> str:
        return self.question.format(self.expression)

    @property
    @override
    def start(self) -> str:
        return self.expression

    @override
    def right_move(self, state: str) -> Move[str] | None:
        if found := _PRODUCT.search(state):
            k, a, b = map(int, found.group("k", "a", "b"))
            return _replace("Multiply", found, state, (f"{k} * {a} = {k * a}",), f"{k * a}/{b}")
        if found := _PAIR.search(state):
            a, b, c, d = map(int, found.group("a", "b", "c", "d"))
            if b == d:
                top = evaluate(f"{a} {found['op']} {c}")
                return _replace("Combine", found, state, (f"{a} {found['op']} {c} = {top}",), f"{top}/{b}")
            bottom = lcm(b, d)
            a, c = a * bottom // b, c * bottom // d
            pairs = (("a", "b", a), ("c", "d", c))
            facts = tuple(f"{found[t]}/{found[n]} = {top}/{bottom}" for t, n, top in pairs if found[n] != str(bottom))
            return _replace("Common bottom", found, state, facts, f"{a}/{bottom} {found['op']} {c}/{bottom}")
        if (found := _REDUCIBLE.fullmatch(state)) and gcd(int(found["a"]), int(found["b"])) > 1:
            reduced = evaluate(state)
            return _replace("Reduce", found, state, (f"{state} = {reduced}",), str(reduced))
        return None

    @override
    def wrong_moves(self, state: str) -> Iterator[Temptation[str]]:
        if found := _PRODUCT.search(state):  # multiplies the bottom, too
            k, a, b = map(int, found.group("k", "a", "b"))
            facts = (f"{k} * {a} = {k * a}", f"{k} * {b} = {k * b}")
            yield Temptation(0.4, _replace("Multiply", found, state, facts, f"{k * a}/{k * b}"))
        elif found := _PAIR.search(state):
            a, b, c, d = map(int, found.group("a", "b", "c", "d"))
            if found["op"] == "+":  # adds the bottoms, too
                facts = (f"{a} + {c} = {a + c}", f"{b} + {d} = {b + d}")
                yield Temptation(0.4, _replace("Combine", found, state, facts, f"{a + c}/{b + d}"))
            if b != d:  # changes the bottoms and keeps the tops
                bottom = lcm(b, d)
                factor = bottom // min(b, d)
                fact = f"{min(b, d)} * {factor} = {bottom}"
                kept = f"{a}/{bottom} {found['op']} {c}/{bottom}"
                yield Temptation(0.35, _replace("Common bottom", found, state, (fact,), kept))

    @override
    def result(self, state: str) -> Rational:
        return evaluate(state)

    @override
    def check(self, claim: str, progress: int) -> int | None:
        try:
            return 0 if evaluate(claim) == evaluate(self.expression) else None
        except ValueError:
            return None


def _replace(name: str, found: re.Match[str], state: str, facts: tuple[str, ...], replacement: str) -> Move[str]:
    left = state[: found.start()] + replacement + state[found.end() :]
    return Move(name, facts, left, left)

"""Linear equations: "Solve 5 * (x + 4) = 2x + 38 for x." One transformation a step."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import ClassVar, Self

from typing_extensions import override

from models.prm.checkers.expressions import evaluate, solve_linear
from models.training.demo.tasks.exercise import Exercise, Move, Temptation

_BRACKET = re.compile(r"(?P<factor>\d+) \* \(x (?P<sign>[+-]) (?P<b>\d+)\)")
_TWO_CONSTANTS = re.compile(r"(?P<before>x) (?P<sign>[+-]) (?P<b>\d+) (?P<sign2>[+-]) (?P<c>\d+)")
_X_ON_BOTH_SIDES = re.compile(r"(?P<a>\d*)x(?P<rest>[^=]*) = (?P<c>\d*)x(?P<tail>.*)")
_CONSTANT = re.compile(r"(?P<x>\d*x) (?P<sign>[+-]) (?P<b>\d+) = (?P<right>\d+)")
_COEFFICIENT = re.compile(r"(?P<a>[1-9]\d*)x = (?P<right>\d+)")
_OPPOSITE = {"+": "-", "-": "+"}


@dataclass(frozen=True, slots=True)
class Linear(Exercise[str]):
    """An equation in x; the state is the equation that is left."""

    family: ClassVar[str] = "linear"
    equation: str
    question: str = "Solve {} for x."

    @classmethod
    @override
    def propose(cls, rng: Random, level: int) -> Self:
        x = Fraction(rng.randint(1, 12)) if rng.random() < 0.75 else Fraction(rng.randrange(1, 20, 2), 2)
        a, sign, b = rng.randint(2, 8), rng.choice("+-"), rng.randint(1, 12)
        one_move, more_moves = (f"{a}x", f"x {sign} {b}"), (f"{a}x {sign} {b}", f"{a} * (x {sign} {b})")
        left = rng.choice(more_moves if level > 1 else one_move)
        if level > 2 and rng.random() < 0.6:
            left += f" {rng.choice('+-')} {rng.randint(1, 20)}"
        slope = rng.randint(1, 5) if level > 2 and rng.random() < 0.7 else 0
        constant = evaluate(left, x) - slope * x
        if constant.denominator > 1 or constant < 1:
            return cls.propose(rng, level)
        right = str(constant) if slope == 0 else f"{_term(slope)} + {constant}"
        return cls(f"{left} = {right}", rng.choice(("Solve {} for x.", "Find x if {}.", "What is x if {}?")))

    @property
    @override
    def problem(self) -> str:
        return self.question.format(self.equation)

    @property
    @override
    def start(self) -> str:
        return self.equation

    @override
    def right_move(self, state: str) -> Move[str] | None:
        if found := _BRACKET.search(state):
            factor, sign, b = found["factor"], found["sign"], int(found["b"])
            product = int(factor) * b
            return _replace("Expand", found, state, f"{factor} * {b} = {product}", f"{factor}x {sign} {product}")
        if found := _TWO_CONSTANTS.search(state):
            b, c = _signed(found["sign"], found["b"]), _signed(found["sign2"], found["c"])
            return _combine(found, state, b + c)
        if found := _X_ON_BOTH_SIDES.fullmatch(state):
            return _gather(found, "-")
        if found := _CONSTANT.fullmatch(state):
            return _carry_over(found, _OPPOSITE[found["sign"]])
        if found := _COEFFICIENT.fullmatch(state):
            return _divide(found)
        return None

    @override
    def wrong_moves(self, state: str) -> Iterator[Temptation[str]]:
        if found := _BRACKET.search(state):  # multiplies the first term only
            factor, sign, b = found["factor"], found["sign"], found["b"]
            fact = f"{factor} * x = {factor}x"
            yield Temptation(0.4, _replace("Expand", found, state, fact, f"{factor}x {sign} {b}"))
        elif found := _TWO_CONSTANTS.search(state):  # overlooks a sign
            if found["sign"] != found["sign2"]:
                wrong = int(found["b"]) + int(found["c"])
                yield Temptation(0.4, _combine(found, state, _signed(found["sign"], str(wrong))))
        elif found := _X_ON_BOTH_SIDES.fullmatch(state):  # carries a term over without turning its sign
            yield Temptation(0.45, _gather(found, "+"))
        elif found := _CONSTANT.fullmatch(state):  # the same
            yield Temptation(0.35, _carry_over(found, found["sign"]))
        elif found := _COEFFICIENT.fullmatch(state):  # takes the coefficient away instead of dividing by it
            x = int(found["right"]) - int(found["a"])
            yield Temptation(0.25, _claim("Subtract", f"{found['right']} - {found['a']} = {x}", f"x = {x}"))

    @override
    def result(self, state: str) -> Fraction:
        return solve_linear(state)

    @override
    def check(self, claim: str, progress: int) -> int | None:
        try:
            return 0 if solve_linear(claim) == self.answer else None
        except ValueError:
            return None


def _term(coefficient: int) -> str:
    return "x" if coefficient == 1 else f"{coefficient}x"


def _signed(sign: str, number: str) -> int:
    return -int(number) if sign == "-" else int(number)


def _claim(name: str, fact: str, state: str) -> Move[str]:
    return Move(name, (fact,), state, state)


def _replace(name: str, found: re.Match[str], state: str, fact: str, replacement: str) -> Move[str]:
    return _claim(name, fact, state[: found.start()] + replacement + state[found.end() :])


def _combine(found: re.Match[str], state: str, constant: int) -> Move[str]:
    larger, smaller = sorted((int(found["b"]), int(found["c"])), reverse=True)
    sign = "+" if abs(constant) == larger + smaller else "-"
    rest = f" {'-' if constant < 0 else '+'} {abs(constant)}" if constant else ""
    return _replace("Combine", found, state, f"{larger} {sign} {smaller} = {abs(constant)}", f"x{rest}")


def _gather(found: re.Match[str], sign: str) -> Move[str]:
    a, c = int(found["a"] or 1), int(found["c"] or 1)
    slope = a + c if sign == "+" else a - c
    right = found["tail"].removeprefix(" + ")
    fact = f"{_term(a)} {sign} {_term(c)} = {_term(slope)}"
    return _claim("Gather x", fact, f"{_term(slope)}{found['rest']} = {right}")


def _carry_over(found: re.Match[str], sign: str) -> Move[str]:
    right = int(found["right"]) + _signed(sign, found["b"])
    return _claim("Move", f"{found['right']} {sign} {found['b']} = {right}", f"{found['x']} = {right}")


def _divide(found: re.Match[str]) -> Move[str]:
    x = Fraction(int(found["right"]), int(found["a"]))
    written = str(x) if x.denominator == 1 else f"{found['right']}/{found['a']}"
    return _claim("Divide", f"{found['right']} / {found['a']} = {written}", f"x = {written}")

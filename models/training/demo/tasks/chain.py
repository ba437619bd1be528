"""Chains: "Compute (17 + 28) * 3 - 45." One operation a step, in the order of precedence or a tempting other one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from random import Random
from typing import ClassVar, Self

from typing_extensions import override

from models.prm.checkers.expressions import evaluate
from models.training.demo.tasks.exercise import Exercise, Move, Temptation

_NAMES = {"+": "Add", "-": "Subtract", "*": "Multiply"}
_BRACKET = re.compile(r"\(([^()]+)\)")
_NEEDLESS_BRACKET = re.compile(r"\((\d+)\)")
_PRODUCT = re.compile(r"(?P<a>\d+) (?P<op>\*) (?P<b>\d+)")
_SUM = re.compile(r"(?P<a>\d+) (?P<op>[+-]) (?P<b>\d+)")

_WITHIN = (
    # works from left to right, whatever binds tighter
    (0.55, re.compile(r"(?P<a>\d+) (?P<op>[+-]) (?P<b>\d+)(?= \*)"), "{}"),
    # adds what stands on the right before it is taken away
    (0.45, re.compile(r"^(?P<keep>\d+ - )(?P<a>\d+) (?P<op>\+) (?P<b>\d+)(?! \*|\d)"), "{keep}{}"),
)
_ACROSS = (
    # multiplies only the number next to the factor, and forgets the bracket
    (0.4, re.compile(r"\((?P<keep>\d+ [+-] )(?P<a>\d+)\) (?P<op>\*) (?P<b>\d+)"), "{keep}{}"),
    (0.4, re.compile(r"(?P<a>\d+) (?P<op>\*) \((?P<b>\d+)(?P<keep> [+-] \d+)\)"), "{}{keep}"),
    # opens a bracket after a minus without turning the signs
    (0.5, re.compile(r"(?P<a>\d+) (?P<op>-) \((?P<b>\d+)(?P<keep> [+-] \d+)\)"), "{}{keep}"),
)
"""Misconceptions within and across brackets: probability, trigger, and what becomes of it ({} is a op b)."""

_NUM_TERMS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 4}


class _Term(Enum):
    """What a chain is put together from."""

    PLAIN = "a"
    PRODUCT = "a * b"
    BRACKET = "(a + b)"
    SCALED_BRACKET = "(a + b) * c"

    def write(self, rng: Random) -> str:
        """Such a term with random numbers."""
        bracket = f"({rng.randint(2, 30)} {rng.choice('+-')} {rng.randint(2, 28)})"
        factor = rng.randint(2, 5)
        match self:
            case _Term.PLAIN:
                return str(rng.randint(2, 45))
            case _Term.PRODUCT:
                return f"{rng.randint(2, 9)} * {rng.randint(2, 9)}"
            case _Term.BRACKET:
                return bracket
            case _:
                return rng.choice((f"{bracket} * {factor}", f"{factor} * {bracket}"))


@dataclass(frozen=True, slots=True)
class Chain(Exercise[str]):
    """An expression of whole numbers; the state is the expression that is left."""

    family: ClassVar[str] = "chain"
    expression: str
    question: str = "Compute {}."

    @classmethod
    @override
    def propose(cls, rng: Random, level: int) -> Self:
        kinds = rng.choices(tuple(_Term), k=_NUM_TERMS[level])
        expression = kinds[0].write(rng)
        for kind in kinds[1:]:
            expression += f" {rng.choice('+-')} {kind.write(rng)}"
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
        scope = _scope(state)
        found = _PRODUCT.search(state, *scope) or _SUM.search(state, *scope)
        return _move(found, state, "{}") if found else None

    @override
    def wrong_moves(self, state: str) -> Iterator[Temptation[str]]:
        for probability, trigger, replacement in _WITHIN:
            start, end = _scope(state)
            if found := trigger.search(state[start:end]):
                yield Temptation(probability, _move(found, state, replacement, start))
        for probability, trigger, replacement in _ACROSS:
            if found := trigger.search(state):
                yield Temptation(probability, _move(found, state, replacement))

    @override
    def result(self, state: str) -> Fraction:
        return evaluate(state)

    @override
    def check(self, claim: str, progress: int) -> int | None:
        try:
            return 0 if evaluate(claim) == evaluate(self.expression) else None
        except ValueError:
            return None


def _scope(state: str) -> tuple[int, int]:
    """Where to work first: inside the first bracket, or everywhere."""
    bracket = _BRACKET.search(state)
    return bracket.span(1) if bracket else (0, len(state))


def _move(found: re.Match[str], state: str, replacement: str, start: int = 0) -> Move[str]:
    a, sign, b = found.group("a", "op", "b")
    result = evaluate(f"{a} {sign} {b}")
    kept = found.groupdict().get("keep", "")
    left = state[: start + found.start()] + replacement.format(result, keep=kept) + state[start + found.end() :]
    left = _NEEDLESS_BRACKET.sub(r"\1", left)
    return Move(_NAMES[sign], (f"{a} {sign} {b} = {result}",), left, left)

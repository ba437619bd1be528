"""Sequences: "A sequence starts 2, 5, 9, 14. What is term 7?" List the changes, then find one more term a step."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import ClassVar, NamedTuple, Self

from typing_extensions import override

from models.training.demo.tasks.exercise import Exercise, Move, Temptation

NUM_SHOWN = 4
_CLAIM = re.compile(r"term (?P<index>\d+) is (?P<value>\d+) after (?P<before>[+-] \d+), (?P<last>[+-] \d+)")
_QUESTIONS = ("A sequence starts {}. What is term {}?", "The first terms are {}. Find term {}.")
_KINDS = {"grow": "Growing", "turns": "Taking turns", "double": "Doubling"}
_TEMPTING = {"grow": 0.35, "turns": 0.4, "double": 0.35}
"""Probability of repeating the last change instead of finding the next one, by kind of sequence."""


class Place(NamedTuple):
    """Where a solver stands: a term and the last two changes that led to it."""

    term: int
    value: int
    before: int
    last: int

    def after(self, change: int) -> "Place":
        """The place of the next term."""
        return Place(self.term + 1, self.value + change, self.last, change)

    def __str__(self) -> str:
        return f"term {self.term} is {self.value} after {_signed(self.before)}, {_signed(self.last)}"


@dataclass(frozen=True, slots=True)
class Sequence(Exercise[Place | None]):
    """Terms up to the one that is asked for; the state is the last one found, None before the changes are listed."""

    family: ClassVar[str] = "sequence"
    kind: str
    terms: tuple[int, ...]
    question: str = _QUESTIONS[0]

    @classmethod
    @override
    def propose(cls, rng: Random, level: int) -> Self:
        kind = rng.choice(tuple(_KINDS))
        terms = [rng.randint(1, 20)]
        change, growth, back = rng.randint(1, 12), rng.randint(1, 6), rng.randint(1, 9)
        while len(terms) < NUM_SHOWN + level:
            match kind:
                case "grow":
                    terms.append(terms[-1] + change + growth * (len(terms) - 1))
                case "turns":
                    terms.append(terms[-1] + (change if len(terms) % 2 else -back))
                case _:
                    terms.append(2 * terms[-1])
        return cls(kind, tuple(terms), rng.choice(_QUESTIONS))

    @property
    @override
    def problem(self) -> str:
        return self.question.format(", ".join(map(str, self.terms[:NUM_SHOWN])), len(self.terms))

    @property
    @override
    def start(self) -> None:
        return None

    @override
    def right_move(self, state: Place | None) -> Move[Place | None] | None:
        if state is None:
            return self._list_changes()
        if state.term == len(self.terms):
            return None
        match self.kind:
            case "grow":
                growth = state.last - state.before
                change = state.last + growth
                facts = (f"{state.last} - {state.before} = {growth}", f"{state.last} + {growth} = {change}")
                return self._go(state, change, facts)
            case "turns":
                return self._go(state, state.before)
            case _:
                return self._go(state, state.value)

    @override
    def wrong_moves(self, state: Place | None) -> Iterator[Temptation[Place | None]]:
        if state is not None and state.term < len(self.terms):
            yield Temptation(_TEMPTING[self.kind], self._go(state, state.last))

    @override
    def result(self, state: Place | None) -> Fraction:
        if state is None:
            raise ValueError("no term is found yet")
        return Fraction(state.value)

    @override
    def check(self, claim: str, progress: int) -> int | None:
        found = _CLAIM.fullmatch(claim)
        if found is None or not max(progress, NUM_SHOWN) <= int(found["index"]) <= len(self.terms):
            return None
        index = int(found["index"])
        return index if claim == str(self._place(index)) else None

    def _place(self, index: int) -> Place:
        first, second, third = self.terms[index - 3 : index]
        return Place(index, third, second - first, third - second)

    def _list_changes(self) -> Move[Place | None]:
        shown = pairwise(self.terms[:NUM_SHOWN])
        facts = tuple(f"{max(pair)} - {min(pair)} = {max(pair) - min(pair)}" for pair in shown)
        return self._move(facts, self._place(NUM_SHOWN))

    def _go(self, state: Place, change: int, facts: tuple[str, ...] = ()) -> Move[Place | None]:
        place = state.after(change)
        return self._move((*facts, f"{state.value} {_signed(change)} = {place.value}"), place)

    def _move(self, facts: tuple[str, ...], place: Place) -> Move[Place | None]:
        return Move(_KINDS[self.kind], facts, str(place), place)


def _signed(change: int) -> str:
    return f"{'-' if change < 0 else '+'} {abs(change)}"

"""Sequences: "A sequence starts 2, 5, 9, 14. What is term 7?" Find the change, then one term a step."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import ClassVar, NamedTuple, Self

from typing_extensions import override

from models.training.tasks.exercise import Exercise, Move, Temptation

NUM_SHOWN = 4
_CLAIM = re.compile(r"term (?P<index>\d+) is (?P<value>\d+)(?:, then (?P<sign>[+-]) (?P<change>\d+))?")
_QUESTIONS = ("A sequence starts {}. What is term {}?", "The first terms are {}. Find term {}.")
_KINDS = {"grow": "Growing steps", "turns": "Taking turns", "sum": "Sum of two", "double": "Doubling"}
_TEMPTING = {"grow": 0.35, "turns": 0.4, "sum": 0.4, "double": 0.3}
"""Probability of repeating the change made last instead of finding the next one, by kind of sequence."""


class Place(NamedTuple):
    """Where a solver stands: a term and the change that leads to the next one."""

    term: int
    value: int
    change: int


@dataclass(frozen=True, slots=True)
class Sequence(Exercise[Place]):
    """Terms up to the one that is asked for; the state is the last one found."""

    family: ClassVar[str] = "sequence"
    kind: str
    terms: tuple[int, ...]
    question: str = _QUESTIONS[0]

    @classmethod
    @override
    def propose(cls, rng: Random, level: int) -> Self:
        kind = rng.choice(tuple(_KINDS))
        terms = [rng.randint(1, 20)]
        change = rng.randint(1, 12)
        growth = rng.randint(1, 6)
        back = rng.randint(1, 9)
        while len(terms) < NUM_SHOWN + level:
            match kind:
                case "grow":
                    terms.append(terms[-1] + change + growth * (len(terms) - 1))
                case "turns":
                    terms.append(terms[-1] + (change if len(terms) % 2 else -back))
                case "sum":
                    terms.append(sum(terms[-2:]) if len(terms) > 1 else terms[0] + change)
                case _:
                    terms.append(2 * terms[-1])
        return cls(kind, tuple(terms), rng.choice(_QUESTIONS))

    @property
    @override
    def problem(self) -> str:
        return self.question.format(", ".join(map(str, self.terms[:NUM_SHOWN])), len(self.terms))

    @property
    @override
    def start(self) -> Place:
        return Place(0, 0, 0)

    @override
    def right_move(self, state: Place) -> Move[Place] | None:
        if state.term == len(self.terms):
            return None
        if state.term == 0:
            return self._find(self._next_change(Place(NUM_SHOWN, self.terms[NUM_SHOWN - 1], self._shown_changes[-1])))
        place = Place(state.term + 1, state.value + state.change, state.change)
        return self._go(state, place._replace(change=self._next_change(place)))

    @override
    def wrong_moves(self, state: Place) -> Iterator[Temptation[Place]]:
        probability = _TEMPTING[self.kind]
        if state.term == 0:
            yield Temptation(probability, self._find(self._shown_changes[-1]))
        elif state.term + 1 < len(self.terms):
            place = Place(state.term + 1, state.value + state.change, state.change)
            yield Temptation(probability, self._go(state, place))

    @override
    def result(self, state: Place) -> Fraction:
        return Fraction(state.value)

    @override
    def check(self, claim: str, progress: int) -> int | None:
        found = _CLAIM.fullmatch(claim)
        if not found or not (index := int(found["index"])) >= max(progress, 1) or index > len(self.terms):
            return None
        is_right = int(found["value"]) == self.terms[index - 1]
        if found["change"] and index < len(self.terms):
            is_right &= int(found["sign"] + found["change"]) == self.terms[index] - self.terms[index - 1]
        return index if is_right else None

    @property
    def _shown_changes(self) -> list[int]:
        return [after - before for before, after in zip(self.terms, self.terms[1:NUM_SHOWN], strict=False)]

    def _next_change(self, place: Place) -> int:
        """The change that follows, by the rule of the sequence, the change that led to `place`."""
        changes = self._shown_changes
        match self.kind:
            case "grow":
                return place.change + changes[1] - changes[0]
            case "turns":
                return changes[0] if place.change == changes[1] else changes[1]
            case "sum":
                return place.value - place.change
            case _:
                return place.value

    def _find(self, change: int) -> Move[Place]:
        facts = tuple(
            f"{max(pair)} - {min(pair)} = {max(pair) - min(pair)}"
            for pair in zip(self.terms, self.terms[1:NUM_SHOWN], strict=False)
        )
        return self._move(_KINDS[self.kind], facts, Place(NUM_SHOWN, self.terms[NUM_SHOWN - 1], change))

    def _go(self, state: Place, place: Place) -> Move[Place]:
        sign = "-" if state.change < 0 else "+"
        return self._move(
            "Subtract" if state.change < 0 else "Add",
            (f"{state.value} {sign} {abs(state.change)} = {place.value}",),
            place,
        )

    def _move(self, name: str, facts: tuple[str, ...], place: Place) -> Move[Place]:
        claim = f"term {place.term} is {place.value}"
        if place.term < len(self.terms):
            claim += f", then {'-' if place.change < 0 else '+'} {abs(place.change)}"
        return Move(name, facts, claim, place)

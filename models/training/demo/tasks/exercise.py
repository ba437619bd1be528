"""What an exercise is: a problem with an exact answer, the right way through it and the temptations beside the way.

A solution is a walk over states. At each state there is one right move and, where the problem has the features that
trigger them, tempting wrong ones: the systematic misconceptions of a learner. The level of an exercise follows from the
learner's chance of withstanding every temptation along the right way.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import ClassVar, Generic, Self, TypeVar

CHANCES = {1: (0.5, 0.8), 2: (0.33, 0.5), 3: (0.2, 0.33), 4: (0.12, 0.2), 5: (0.04, 0.12)}
"""The learner's chance of a right answer, from and below, by level."""
LARGEST_NUMBER = 150
MAX_DRAWS = 10_000
_NEGATIVE = re.compile(r"-\d")
_NUMBER = re.compile(r"\d+")

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Move(Generic[S]):
    """One step of a solution.

    Attributes:
        name: Title of the step.
        facts: Equalities that the step uses, such as "17 + 28 = 45".
        claim: What the step leaves, in words of the solution; with `facts` it is judged from the step before alone.
        state: The same for the solver.
    """

    name: str
    facts: tuple[str, ...]
    claim: str
    state: S

    def __str__(self) -> str:
        return ", ".join((*self.facts, f"so {self.claim}"))

    @property
    def is_tame(self) -> bool:
        """True if its numbers are within the facts that a small model masters."""
        text = str(self)
        return not _NEGATIVE.search(text) and all(int(number) <= LARGEST_NUMBER for number in _NUMBER.findall(text))


@dataclass(frozen=True, slots=True)
class Temptation(Generic[S]):
    """A wrong move that the state suggests, taken with `probability`."""

    probability: float
    move: Move[S]


class Exercise(ABC, Generic[S]):
    """A problem of one family; the subclasses are frozen dataclasses."""

    family: ClassVar[str]

    @classmethod
    @abstractmethod
    def propose(cls, rng: Random, level: int) -> Self:
        """An exercise that is likely, not certain, to be tame and of `level`."""

    @classmethod
    def draw(cls, rng: Random, level: int, accepts: Callable[[str], bool]) -> Self:
        """A random exercise of `level` whose problem is one that `accepts`."""
        least, most = CHANCES[level]
        for _ in range(MAX_DRAWS):
            exercise = cls.propose(rng, level)
            if accepts(exercise.problem) and exercise.is_tame and least <= exercise.chance < most:
                return exercise
        raise RuntimeError(f"{cls.family} proposes no exercise of level {level}")

    @property
    @abstractmethod
    def problem(self) -> str:
        """The text that the policy is given."""

    @property
    @abstractmethod
    def start(self) -> S:
        """State before the first move."""

    @abstractmethod
    def right_move(self, state: S) -> Move[S] | None:
        """The move a careful solver makes; None where the answer is reached. Right or wrong, every state has one."""

    @abstractmethod
    def wrong_moves(self, state: S) -> Iterator[Temptation[S]]:
        """The misconceptions that `state` triggers, tame or not."""

    @abstractmethod
    def result(self, state: S) -> Fraction:
        """The answer that a last state gives."""

    @abstractmethod
    def check(self, claim: str, progress: int) -> int | None:
        """Judge what a step leaves.

        Args:
            claim: The step's claim, perhaps never written by our solver.
            progress: What the check of the step before returned; 0 for the first.

        Returns:
            The progress after the step; None if the claim is wrong.
        """

    @property
    def answer(self) -> Fraction:
        """The right answer."""
        state = self.start
        while move := self.right_move(state):
            state = move.state
        return self.result(state)

    @property
    def is_tame(self) -> bool:
        """True if the right way stays within small numbers."""
        return self._outcome(self.start) is not None

    @property
    def chance(self) -> float:
        """Probability that a learner withstands every temptation along the right way."""
        state, chance = self.start, 1.0
        while move := self.right_move(state):
            for wrong in self.temptations(state):
                chance *= 1 - wrong.probability
            state = move.state
        return chance

    def temptations(self, state: S) -> list[Temptation[S]]:
        """The misconceptions that may be followed from `state` within small numbers, and that lead elsewhere."""
        unless = (None, self._outcome(state))
        return [
            wrong
            for wrong in self.wrong_moves(state)
            if wrong.move.is_tame and self._outcome(wrong.move.state) not in unless
        ]

    def _outcome(self, state: S) -> Fraction | None:
        """The answer that right moves from `state` give, None if they leave the small numbers."""
        while move := self.right_move(state):
            if not move.is_tame:
                return None
            state = move.state
        try:
            return self.result(state)
        except ValueError:
            return None

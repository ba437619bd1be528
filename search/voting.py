"""The vote: from complete candidates to one of them.

Answers vote by equivalence class (`Answer.key`). Only complete candidates vote; one without an answer, or with one that
was refuted, is counted and never elected. Ties go to the answer whose best candidate is the earlier one.

Source: Wang et al. 2022 (self-consistency, 2203.11171) for the majority; Li et al. 2022 (2206.02336) and Snell et al.
2024 (2408.03314), section 5.1, for the sum of scores per answer.
Beyond the source: `is_decided`, exact early stopping. A vote is decided when no scores of the candidates outstanding
could elect another answer; one that is refuted when it comes votes for nothing, which the bounds allow for.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from search.answers.answer import Answer

ROUNDING = 1e-9
"""Leads smaller than this may be rounding, and decide nothing early."""


class Voter(Protocol):
    """What a vote reads of a candidate."""

    @property
    def path(self) -> tuple[int, ...]:
        """Its place; ties go to the earlier one."""

    @property
    def score(self) -> float | None:
        """Of the verifier, in [0, 1]; None when it was not judged."""

    @property
    def answer(self) -> Answer | None:
        """What it states; None for nothing."""

    @property
    def is_complete(self) -> bool:
        """Whether it votes at all."""


V = TypeVar("V", bound=Voter)
V_co = TypeVar("V_co", bound=Voter, covariant=True)


class Selection(Enum):
    """How the answer is chosen among complete candidates."""

    WEIGHTED = "weighted"  # the answer with the largest sum of scores
    BEST = "best"  # the answer of the candidate with the largest score
    MAJORITY = "majority"  # the answer given most often


@dataclass(frozen=True, slots=True)
class Vote(Generic[V_co]):
    """What one equivalence class of answers received.

    Attributes:
        candidates: Those who gave it, the one that speaks for it first.
        count: How many they are.
        weight: Sum of their scores; None when they were not judged.
    """

    candidates: tuple[V_co, ...]
    count: int
    weight: float | None

    @property
    def answer(self) -> str | None:
        """The answer in the words of the candidate that speaks for it; None for those who gave none that counts."""
        answer = voted(self.candidates[0])
        return answer.text if answer else None


class Ballot(Generic[V]):
    """The votes cast so far, and what they elect.

    Args:
        selection: How the answer is chosen.
        is_enough: Says of the votes that a search may stop, though more of them could change the answer.
    """

    def __init__(
        self, selection: Selection, is_enough: Callable[[Sequence[Vote[V]]], bool] = lambda votes: False
    ) -> None:
        self.selection = selection
        self._is_enough = is_enough
        self._classes: dict[str | None, list[V]] = {}

    def until(self, is_enough: Callable[[Sequence[Vote[V]]], bool]) -> "Ballot[V]":
        """Return a ballot of the same votes that is decided by another rule, too."""
        ballot = Ballot(self.selection, is_enough)
        ballot._classes = self._classes
        return ballot

    @property
    def num_cast(self) -> int:
        """Complete candidates that have voted, with an answer or without."""
        return sum(len(candidates) for candidates in self._classes.values())

    def cast(self, candidate: V) -> None:
        """Count a candidate that is complete; any other has no vote."""
        if not candidate.is_complete:
            return
        answer = voted(candidate)
        key = answer.key if answer else None
        self._classes.setdefault(key, []).append(candidate)

    def votes(self) -> tuple[Vote[V], ...]:
        """Return the votes, the elected answer first, those without an answer last."""
        votes = [(key, _vote(candidates)) for key, candidates in self._classes.items()]
        votes.sort(key=lambda item: (item[0] is None, -self._support(item[1]), item[1].candidates[0].path))
        return tuple(vote for _, vote in votes)

    def winner(self) -> V | None:
        """Return the candidate that speaks for the elected answer; None while no candidate has an answer."""
        elected = [vote for vote in self.votes() if vote.answer is not None]
        return elected[0].candidates[0] if elected else None

    @property
    def is_enough(self) -> bool:
        """Whether the votes suffice, though more of them could change the answer."""
        votes = self.votes()
        return any(vote.answer is not None for vote in votes) and self._is_enough(votes)

    def is_decided(self, outstanding: Sequence[float]) -> bool:
        """Tell whether no candidate outstanding can change the elected answer.

        Args:
            outstanding: For each candidate that may still vote, the largest score it can get, in [0, 1].
        """
        votes = self.votes()
        support = [self._support(vote) for vote in votes if vote.answer is not None]
        if not support or self._is_enough(votes):
            return bool(support)
        leader, second = support[0], support[1] if len(support) > 1 else 0.0
        match self.selection:
            case Selection.MAJORITY:
                return leader - second > len(outstanding)
            case Selection.WEIGHTED:
                return leader - second > math.fsum(outstanding) + ROUNDING
            case Selection.BEST:
                return leader > max(outstanding, default=0.0)

    def _support(self, vote: Vote[V]) -> float:
        match self.selection:
            case Selection.MAJORITY:
                return vote.count
            case Selection.WEIGHTED:
                return vote.weight or 0.0
            case Selection.BEST:
                return vote.candidates[0].score or 0.0


def voted(candidate: Voter) -> Answer | None:
    """Return the answer that a candidate votes for: what it states, unless a check has refuted that."""
    answer = candidate.answer
    return None if answer is None or answer.is_refuted else answer


def _vote(candidates: list[V]) -> Vote[V]:
    ranked = rank(candidates)
    scores = [candidate.score for candidate in ranked if candidate.score is not None]
    return Vote(ranked, len(ranked), math.fsum(scores) if scores else None)


def rank(candidates: Sequence[V]) -> tuple[V, ...]:
    """Order candidates by score, the highest first, those not judged last, ties to the earlier one."""
    return tuple(sorted(candidates, key=lambda c: (c.score is None, -(c.score or 0.0), c.path)))

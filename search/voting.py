"""The vote: from complete candidates to one of them.

Answers vote by equivalence class (`Answer.key`). Only complete candidates vote; one without an answer, or with one that
was refuted, is counted and never elected. Ties go to the answer whose best candidate is the earlier one. Where answers
have kinds (`Answer.kind`), the kinds are voted on first, and then the answers of the elected kind.

Source: Wang et al. 2022 (self-consistency, 2203.11171) for the majority; Li et al. 2022 (2206.02336) and Snell et al.
2024 (2408.03314), section 5.1, for the sum of scores per answer.
A tournament (`tournament.py`) ranks candidates by their strength in place of their score.
Beyond the source: the line, exact early stopping. A vote is decided when its leader has so much support that no scores
of the candidates outstanding could elect another answer; one that is refuted when it comes votes for nothing, which the
line allows for.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Generic, Protocol, TypeVar

from search.answers.answer import Answer
from search.errors import HyperparameterError

Standing = tuple[bool, float, tuple[int, ...]]
"""Whether it is not judged, its score, negative, and its path."""

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
    TOURNAMENT = "tournament"  # the answer of the candidate that wins most comparisons; see tournament.py


@dataclass(frozen=True, slots=True)
class Vote(Generic[V_co]):
    """What one equivalence class of answers received.

    Attributes:
        candidates: Those who gave it, the one that speaks for it first.
        count: How many they are.
        weight: Sum of their scores; None when they were not judged.
        strength: In a tournament, of the one that speaks for it; None without one.
    """

    candidates: tuple[V_co, ...]
    count: int
    weight: float | None
    strength: float | None = None

    @property
    def answer(self) -> str | None:
        """The answer in the words of the candidate that speaks for it; None for those who gave none that counts."""
        answer = voted(self.candidates[0])
        return answer.text if answer else None


@dataclass(frozen=True, slots=True)
class Tally(Generic[V_co]):
    """How a vote stands.

    Attributes:
        votes: The elected answer first, those without an answer last.
        outstanding: Candidates that may still vote.
        line: Support of the elected answer (its count, weight, or best score, as the selection has it) from which the
            outstanding cannot elect another, as far as is known now; None where no answer is elected, or where no
            support is safe.
    """

    votes: tuple[Vote[V_co], ...]
    outstanding: int
    line: float | None


class Ballot(Generic[V]):
    """The votes cast so far, and what they elect.

    Attributes:
        selection: How the answer is chosen.
        strengths: By path, of the candidates that played a tournament, in [0, 1].

    Args:
        selection: How the answer is chosen.
        is_enough: Says of the votes that a search may stop, though more of them could change the answer.
        watch: Is given a way to count the votes whenever a strategy asks whether to end.
    """

    def __init__(
        self,
        selection: Selection,
        is_enough: Callable[[Sequence[Vote[V]]], bool] = lambda votes: False,
        watch: Callable[[Callable[[], Tally[V]]], None] = lambda tally: None,
    ) -> None:
        self.selection = selection
        self.strengths: dict[tuple[int, ...], float] = {}
        self._is_enough = is_enough
        self._watch = watch
        self._classes: dict[str | None, list[V]] = {}

    def until(self, is_enough: Callable[[Sequence[Vote[V]]], bool]) -> "Ballot[V]":
        """Return a ballot of the same votes that is decided by another rule, too."""
        ballot = Ballot(self.selection, is_enough, self._watch)
        ballot._classes, ballot.strengths = self._classes, self.strengths
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
        return tuple(self._ranked()[0])

    def winner(self) -> V | None:
        """Return the candidate that speaks for the elected answer; None while no candidate has an answer."""
        elected = [vote for vote in self.votes() if vote.answer is not None]
        return elected[0].candidates[0] if elected else None

    @property
    def is_enough(self) -> bool:
        """Whether the votes suffice, though more of them could change the answer."""
        votes = self.votes()
        return any(vote.answer is not None for vote in votes) and self._is_enough(votes)

    def may_end(self, outstanding: Sequence[float], *, early_stop: bool) -> bool:
        """Tell whether a search may end here, if it stops early: no candidate outstanding can change the answer.

        Args:
            outstanding: For each candidate that may still vote, the largest score it can get, in [0, 1].
            early_stop: Whether the search stops early; those who watch the vote are told how it stands in any case.
        """
        self._watch(partial(self.tally, outstanding))
        return early_stop and self.is_decided(outstanding)

    def is_decided(self, outstanding: Sequence[float]) -> bool:
        """Tell whether no candidate outstanding can change the elected answer.

        Args:
            outstanding: For each candidate that may still vote, the largest score it can get, in [0, 1].
        """
        votes, kinds = self._ranked()
        if not votes or votes[0].answer is None or self._is_enough(votes):
            return bool(votes) and votes[0].answer is not None
        line = self._line(votes, kinds, outstanding)
        return line is not None and self._support(votes[0]) >= line

    def tally(self, outstanding: Sequence[float] = ()) -> Tally[V]:
        """Return how the vote stands, with the largest score of each candidate that may still vote."""
        votes, kinds = self._ranked()
        return Tally(tuple(votes), len(outstanding), self._line(votes, kinds, outstanding))

    def _line(
        self, votes: Sequence[Vote[V]], kinds: Mapping[str | None, Vote[V]], outstanding: Sequence[float]
    ) -> float | None:
        elected = [vote for vote in votes if vote.answer is not None]
        if not elected or self.selection is Selection.TOURNAMENT:
            return None  # in a tournament, whoever comes may win
        leader, kind = elected[0], _kind(elected[0])
        rivals = [vote for vote in elected[1:] if _kind(vote) == kind]
        others = [vote for each, vote in kinds.items() if each not in (kind, None)]
        of_its_kind = self._support(kinds[kind]) - self._support(leader)
        return max(self._reach(rivals, outstanding), self._reach(others, outstanding) - of_its_kind)

    def _reach(self, votes: Sequence[Vote[V]], outstanding: Sequence[float]) -> float:
        """Return the support above all that the outstanding can give to one of `votes`, or to a new one."""
        most = max(map(self._support, votes), default=0)
        if not outstanding:
            return most  # a tie is settled: it goes to the earlier answer
        match self.selection:
            case Selection.MAJORITY:
                return most + len(outstanding) + 1
            case Selection.WEIGHTED:
                return most + math.fsum(outstanding) + ROUNDING
            case _:
                return max(outstanding) + ROUNDING

    def _ranked(self) -> tuple[list[Vote[V]], dict[str | None, Vote[V]]]:
        """Return the votes in their order, and those of each kind as one."""
        votes = [self._vote(candidates) for candidates in self._classes.values()]
        kinds = self._by_kind(votes)
        votes.sort(key=lambda vote: (vote.answer is None, *self._rank(kinds[_kind(vote)]), *self._rank(vote)))
        return votes, kinds

    def _by_kind(self, votes: Sequence[Vote[V]]) -> dict[str | None, Vote[V]]:
        kinds: dict[str | None, list[Vote[V]]] = {}
        for vote in votes:
            kinds.setdefault(_kind(vote), []).append(vote)
        return {
            kind: own[0] if len(own) == 1 else self._vote([candidate for vote in own for candidate in vote.candidates])
            for kind, own in kinds.items()
        }

    def _rank(self, vote: Vote[V]) -> tuple[float, tuple[int, ...]]:
        return -self._support(vote), vote.candidates[0].path

    def _support(self, vote: Vote[V]) -> float:
        match self.selection:
            case Selection.MAJORITY:
                return vote.count
            case Selection.WEIGHTED:
                return vote.weight or 0.0
            case Selection.BEST:
                return vote.candidates[0].score or 0.0
            case Selection.TOURNAMENT:
                return (vote.candidates[0].score or 0.0) if vote.strength is None else vote.strength

    def rank(self, candidates: Sequence[V]) -> tuple[V, ...]:
        """Order candidates by strength, and by score where that says nothing."""
        return tuple(sorted(rank(candidates), key=lambda candidate: -self.strengths.get(candidate.path, 0.0)))

    def _vote(self, candidates: Sequence[V]) -> Vote[V]:
        ranked = self.rank(candidates)
        scores = [candidate.score for candidate in ranked if candidate.score is not None]
        strength = self.strengths.get(ranked[0].path, 0.0) if self.strengths else None
        return Vote(ranked, len(ranked), math.fsum(scores) if scores else None, strength)


def voted(candidate: Voter) -> Answer | None:
    """Return the answer that a candidate votes for: what it states, unless a check keeps that from winning."""
    answer = candidate.answer
    return answer if answer and answer.may_win else None


def _kind(vote: Vote[V]) -> str | None:
    """Return what an answer votes by first: its key, where it has no kind."""
    answer = voted(vote.candidates[0])
    return None if answer is None else answer.kind or answer.key


def rank(candidates: Sequence[V]) -> tuple[V, ...]:
    """Order candidates by score, the highest first, those not judged last, ties to the earlier one."""
    return tuple(sorted(candidates, key=standing))


def standing(candidate: Voter) -> Standing:
    """Return what orders candidates as `rank` does: the smaller, the better."""
    return candidate.score is None, -(candidate.score or 0.0), candidate.path


def kept(candidates: Sequence[V], keep: float) -> list[V]:
    """Leave out those that vote with the lowest scores, so that a share `keep` of the votes is cast.

    Source: Fu et al. 2025 (2508.15260), section 3.2, "Confidence Filtering".
    """
    ranked = rank([candidate for candidate in candidates if candidate.is_complete and voted(candidate)])
    left_out = {candidate.path for candidate in ranked[num_kept(len(ranked), keep) :]}
    return [candidate for candidate in candidates if candidate.path not in left_out]


def num_kept(number: int, keep: float) -> int:
    """Return how many a share of `number` is, rounded up."""
    return math.ceil(number * keep - ROUNDING)


def refuse_share(name: str, value: float) -> None:
    """Refuse a hyperparameter that is no share of the responses.

    Raises:
        HyperparameterError: It is not in (0, 1].
    """
    if not 0 < value <= 1:
        raise HyperparameterError(name, f"{value} is no share of the responses: above 0, at most 1")

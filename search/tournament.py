"""A pivot tournament: the best of N responses by comparing pairs of them, with a number of comparisons linear in N.

A few responses are the pivots. Every other response is compared with each pivot, and the pivots with each other. The
strength of a response is the mean probability that it is better than a pivot; the strongest wins. With P responses and
k pivots that are k(P - k) + k(k - 1)/2 comparisons. The judge is asked in both orders of a pair, and answers the mean.

Source: llm-verifier (2607.05391), probabilistic pivot tournament.
Beyond the source: the pivots are the best by the judge's own scores, which are there already, instead of a first round
in a ring. Strength is measured against the pivots alone, half a win against oneself: a pivot that also counted its wins
over the weak would beat a better response that had only met the strong. Responses of the same text play as one, and
where some state an answer, only those play. A comparison that a failing model takes is left out of the mean.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from models.errors import ModelError
from models.interfaces import Meter, Problem, Step, Verifier
from search.candidate import Candidate
from search.errors import HyperparameterError
from search.expander import Expander
from search.observer import Decision
from search.voting import Ballot, Selection, rank

NUM_PIVOTS = 4
"""k: more of them measure strengths more finely, at as many more comparisons."""

UNABLE = "the verifier of this service cannot compare responses; verifier_format judge makes one that can"

P = TypeVar("P")
Compare = Callable[[P, P], Awaitable[float]]
"""Returns the probability that the first is better."""


@runtime_checkable
class Comparer(Verifier, Protocol):
    """A verifier that can compare two responses."""

    async def compare(self, problem: Problem, first: Sequence[Step], second: Sequence[Step], meter: Meter) -> float:
        """Return the probability in [0, 1] that `first` is the better response.

        Args:
            problem: What both answer.
            first: At least one step, none blank.
            second: Likewise.
            meter: Where the verifier's tokens are counted.

        Raises:
            ContextOverflowError: The two together are longer than the verifier's context.
            EngineUnavailableError: The engine died or refused the request.
        """


@dataclass(frozen=True, slots=True)
class Standings:
    """How a tournament ended.

    Attributes:
        strengths: In [0, 1], of each player in turn; None of one whose comparisons were all lost.
        num_comparisons: Pairs that were compared.
        errors: Of the comparisons that were lost.
    """

    strengths: tuple[float | None, ...]
    num_comparisons: int
    errors: tuple[ModelError, ...]


async def hold(players: Sequence[P], compare: Compare[P], num_pivots: int = NUM_PIVOTS) -> Standings:
    """Hold a tournament.

    Args:
        players: The pivots first.
        compare: Asked about each pair once; a ModelError loses the comparison.
        num_pivots: k, at least 1.
    """
    pivots = range(min(num_pivots, len(players)))
    pairs = [(place, pivot) for place in range(len(players)) for pivot in pivots if pivot < place]
    wins: list[list[float]] = [[0.5] if place in pivots else [] for place in range(len(players))]
    errors: list[ModelError] = []

    async def meet(place: int, pivot: int) -> float | None:
        try:
            return await compare(players[place], players[pivot])
        except ModelError as error:
            errors.append(error)
            return None

    for (place, pivot), won in zip(pairs, await asyncio.gather(*(meet(*pair) for pair in pairs)), strict=True):
        if won is not None:
            wins[place].append(won)
            if place in pivots:
                wins[pivot].append(1 - won)
    strengths = tuple(math.fsum(won) / len(won) if won else None for won in wins)
    return Standings(strengths, len(pairs) - len(errors), tuple(errors))


def comparer_for(selection: Selection, verifier: Verifier | None) -> Comparer | None:
    """Return the verifier that compares candidates where a selection asks for that; None where it does not.

    Raises:
        HyperparameterError: The verifier cannot compare.
    """
    if selection is not Selection.TOURNAMENT:
        return None
    if not isinstance(verifier, Comparer):
        raise HyperparameterError("selection", UNABLE)
    return verifier


async def decide(expander: Expander, ballot: Ballot[Candidate], comparer: Comparer) -> bool:
    """Have the candidates of a ballot play for its decision. Ties, as where all comparisons are lost, go to the score.

    Returns:
        Whether no comparison was lost.
    """
    late = "time was up in the tournament, so the scores decided"
    expander.tell(Decision({"comparisons": 0}, late, meanwhile="the responses are compared in pairs"))
    alike: dict[tuple[str, ...], list[Candidate]] = {}
    entrants = [(candidate, _shown(expander, candidate)) for candidate in rank(_entrants(ballot))]
    for candidate, steps in [(candidate, steps) for candidate, steps in entrants if steps]:
        alike.setdefault(tuple(step.text for step in steps), []).append(candidate)

    async def compare(first: Candidate, second: Candidate) -> float:
        pair = _shown(expander, first), _shown(expander, second)
        return await comparer.compare(expander.problem, *pair, expander.meter)

    found = await hold([candidates[0] for candidates in alike.values()], compare)
    for candidates, strength in zip(alike.values(), found.strengths, strict=True):
        ballot.strengths |= {candidate.path: strength for candidate in candidates if strength is not None}
    expander.tell(_decision(found))
    return not found.errors


def _entrants(ballot: Ballot[Candidate]) -> list[Candidate]:
    """Those who state an answer; all where none does."""
    votes = ballot.votes()
    answered = [candidate for vote in votes if vote.answer is not None for candidate in vote.candidates]
    return answered or [candidate for vote in votes for candidate in vote.candidates]


def _shown(expander: Expander, candidate: Candidate) -> tuple[Step, ...]:
    """What the verifier is shown of a candidate."""
    return tuple(filter(expander.is_judged, candidate.steps))


def _decision(found: Standings) -> Decision:
    values = {"comparisons": found.num_comparisons, "players": len(found.strengths)}
    lost = f", {len(found.errors)} more were lost ({found.errors[0]})" if found.errors else ""
    return Decision(
        values, f"a tournament of {{players}} different responses in {{comparisons}} comparisons chose{lost}"
    )

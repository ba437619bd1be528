"""How sure an elected answer is: from the votes to a probability that it is right.

The support of an answer is the score of the response that speaks for it times the answer's share of all votes, by
weight: high where the verifier believes the response and no other answer comes near. A calibrated map, measured on
problems whose answers are known, makes it a probability.

Source: isotonic regression for the map (Zadrozny and Elkan 2002, "Transforming classifier scores into accurate
multiclass probability estimates"). Knows the map, not how it was fitted (`search/calibration/choosing.py`).
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from search.errors import HyperparameterError
from search.voting import Vote, Voter


def support(votes: Sequence[Vote[Voter]]) -> float:
    """Return the support of the elected answer, in [0, 1]; 0 where none is elected. Without scores counts are weights.

    Args:
        votes: The elected answer first.
    """
    elected = [vote for vote in votes if vote.answer is not None]
    if not elected:
        return 0.0
    weights = [vote.count if vote.weight is None else vote.weight for vote in elected]
    score = elected[0].candidates[0].score
    total = math.fsum(weights)
    return (1.0 if score is None else score) * weights[0] / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Confidence:
    """A map from support to the probability that the answer is right: linear between knots, level beyond them.

    Attributes:
        supports: Of the knots, rising, in [0, 1]; at least one.
        probabilities: At the knots, never falling, in [0, 1].
    """

    supports: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what is no such map."""
        rising = all(a < b for a, b in zip(self.supports, self.supports[1:], strict=False))
        monotone = list(self.probabilities) == sorted(self.probabilities)
        within = all(0 <= value <= 1 for value in (*self.supports, *self.probabilities))
        if not (self.supports and len(self.supports) == len(self.probabilities) and rising and monotone and within):
            raise HyperparameterError("confidence", "knots of confidence must rise from 0 to 1, one probability each")

    def of(self, votes: Sequence[Vote[Voter]]) -> float:
        """Return the probability that the elected answer is right."""
        return self.at(support(votes))

    def at(self, value: float) -> float:
        """Return the probability at a support."""
        right = bisect_right(self.supports, value)
        if right in (0, len(self.supports)):
            return self.probabilities[max(right - 1, 0)]
        (x0, x1), (y0, y1) = self.supports[right - 1 : right + 1], self.probabilities[right - 1 : right + 1]
        return y0 + (y1 - y0) * (value - x0) / (x1 - x0)

"""DeepConf online: a response that looks worse than the first ones is stopped, and drawing ends at a consensus.

A few responses, the warm-up, run to their ends. The lowest score that each had on its way is what it is known by, and
the threshold is the lowest of the best of them, of which `keep` says how many. The others are drawn in waves; each is
judged step by step and stopped when its score falls below the threshold. Those that stay above it vote by their scores,
until an answer has so much of the weight that more votes are not worth their tokens.

Source: Fu et al. 2025, "Deep Think with Confidence" (2508.15260), section 3.3, algorithm 2: warm-up of 16, `keep` of .9
or .1, consensus of .95, and the lowest group confidence for the score.
Beyond the source: any verifier judges, not confidence alone, and at the ends of steps. Responses of the warm-up that
would have been stopped do not vote either. Others come in waves as large as the warm-up, so that a consensus saves
tokens; votes are cast in the order of the candidates, and drawing ends, too, when the rest cannot change the answer.
"""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from search.aggregation import Aggregation
from search.candidate import Candidate
from search.errors import HyperparameterError
from search.expander import Expander, in_order
from search.observer import Decision
from search.voting import Ballot, Selection, Vote, num_kept, refuse_share


@dataclass(frozen=True, slots=True)
class DeepConf:
    """Stop responses that fall below the warm-up's threshold, and drawing at a consensus.

    Attributes:
        n: N, the budget: responses drawn, at most.
        warmup: Responses that run to their ends, and the size of each later wave; at least 1.
        keep: eta, the share of the warm-up that lies at or above the threshold, in (0, 1]; 1 stops no response.
        consensus: tau, the leader's share of the weight at which drawing ends, in (.5, 1].
        early_stop: Whether drawing may end before N.
    """

    n: int
    warmup: int = 16
    keep: float = 0.9
    consensus: float = 0.95
    early_stop: bool = True

    def __post_init__(self) -> None:
        """Refuse hyperparameters that make no search."""
        if self.n < 1:
            raise HyperparameterError("n", f"a budget of {self.n} is too small: at least 1")
        if self.warmup < 1:
            raise HyperparameterError("warmup", f"{self.warmup} responses are too few: at least 1")
        refuse_share("keep", self.keep)
        if not 0.5 < self.consensus <= 1:
            raise HyperparameterError("consensus", f"{self.consensus} is no majority: above .5, at most 1")

    @property
    def selection(self) -> Selection:
        """A weighted vote."""
        return Selection.WEIGHTED

    @property
    def needs_verifier(self) -> bool:
        """Scores stop responses."""
        return True

    async def search(self, expander: Expander, ballot: Ballot[Candidate]) -> None:
        """Warm up, then draw in waves and cast the votes."""
        expander = expander.judging_thoughts()
        num_drawn = min(self.warmup, self.n)
        first = await expander.roll_out(Candidate().children(range(num_drawn)))
        lows = {response.path: low(response, expander.aggregation) for response in first}
        threshold = self._threshold([each for each in lows.values() if each is not None])
        ballot = ballot.until(self._has_consensus)
        for response in first:
            if (lows[response.path] or 0.0) >= threshold:
                ballot.cast(response)

        def is_hopeless(candidate: Candidate) -> bool:
            return candidate.score is not None and candidate.score < threshold

        num_stopped = 0
        self._tell(expander, threshold, num_stopped)
        while num_drawn < self.n and not self._is_decided(ballot, self.n - num_drawn):
            wave = Candidate().children(range(num_drawn, min(num_drawn + self.warmup, self.n)))
            async with aclosing(in_order(expander.respond(child, is_hopeless) for child in wave)) as growing:
                async for grown in growing:
                    num_drawn += 1
                    if grown and is_hopeless(grown):
                        num_stopped += 1
                    elif grown:
                        ballot.cast(grown)
                    if self._is_decided(ballot, self.n - num_drawn):
                        break
            self._tell(expander, threshold, num_stopped)

    def _threshold(self, lows: Sequence[float]) -> float:
        if self.keep == 1 or not lows:
            return 0.0
        return sorted(lows, reverse=True)[num_kept(len(lows), self.keep) - 1]

    def _is_decided(self, ballot: Ballot[Candidate], outstanding: int) -> bool:
        return ballot.may_end([1.0] * outstanding, early_stop=self.early_stop)

    def _has_consensus(self, votes: Sequence[Vote[Candidate]]) -> bool:
        weights = [vote.weight or 0.0 for vote in votes if vote.answer is not None]
        return sum(weights) > 0 and weights[0] >= self.consensus * sum(weights)

    def _tell(self, expander: Expander, threshold: float, num_stopped: int) -> None:
        values = {"keep": self.keep, "threshold": threshold, "stopped": num_stopped}
        expander.tell(Decision(values, "{stopped} responses fell below the threshold of the warm-up, {threshold:.3f}"))


def low(response: Candidate, aggregation: Aggregation) -> float | None:
    """Return the lowest score that a response had when one of its steps ended; None where it was not judged."""
    judged = [score for score in response.step_scores if score is not None]
    return min((aggregation.score(judged[:end]) for end in range(1, len(judged) + 1)), default=None)

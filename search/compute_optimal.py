"""Compute-optimal search: spend the budget where it pays.

A probe, a small search, shows how hard the problem is: how probable it is that the answer it elects is right. A table,
measured beforehand for these models and this budget (`winnow calibrate`), says for each difficulty how to spend the
rest: on which strategy, or not at all. The probe's candidates stay in the vote and in the bill.

Source: Snell et al. 2024 (2408.03314), section 3.2: bins of difficulty predicted from the verifier's scores, and in
each bin the strategy that did best on other problems.
Beyond the source: the probe is not thrown away; it is a search itself, not a sample, so that an easy problem is solved
when the probe ends; difficulty is a calibrated probability. With `target_confidence` the search ends as soon as its
answer is that probable, and not before. Of a policy whose template turns thoughts on and off, the probe may do without
them, and the rest think: thoughts are most of what a response costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from search.candidate import Candidate
from search.confidence import Confidence
from search.errors import HyperparameterError
from search.expander import Expander
from search.observer import Decision
from search.strategy import Strategy
from search.voting import Ballot, Selection, Vote

MODES = {None: "", False: " without thoughts", True: " with thoughts"}
"""In words, by what the policy is asked for."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Problems of one difficulty.

    Attributes:
        floor: Least confidence after the probe, in [0, 1]; the bin ends where the next easier one begins.
        rest: How the rest of the budget is spent; None: the probe's answer stands.
        thinks: Whether the policy is asked to think in the rest; None: as the problem says.
    """

    floor: float
    rest: Strategy | None
    thinks: bool | None = None


@dataclass(frozen=True, slots=True)
class ComputeOptimal:
    """Probe, then spend the rest as the table says.

    Attributes:
        n: N, the budget: of the probe and of the rest together, at most.
        probe: Tells how hard the problem is.
        confidence: Of the probe's answer.
        bins: By difficulty, the easiest first, the last with a floor of 0.
        final_confidence: Of an answer after the probe, where the search goes on.
        target_confidence: Probability that is enough, in (0, 1]; None leaves it to the bins.
        probe_thinks: Whether the policy is asked to think in the probe; None: as the problem says.
    """

    n: int
    probe: Strategy
    confidence: Confidence
    bins: tuple[Bin, ...]
    final_confidence: Confidence
    target_confidence: float | None = None
    probe_thinks: bool | None = None

    def __post_init__(self) -> None:
        """Refuse hyperparameters that make no search."""
        largest = self.probe.n + max((bin.rest.n for bin in self.bins if bin.rest), default=0)
        if largest > self.n:
            raise HyperparameterError("n", f"a budget of {self.n} is too small: the probe and the rest spend {largest}")
        floors = [bin.floor for bin in self.bins]
        if not floors or floors[-1] != 0 or floors != sorted(floors, reverse=True):
            raise HyperparameterError("bins", f"floors of bins fall to 0, the easiest bin first; these are {floors}")

    @property
    def selection(self) -> Selection:
        """Probe and rest vote together, by weight."""
        return Selection.WEIGHTED

    @property
    def needs_verifier(self) -> bool:
        """Difficulty is predicted from scores."""
        return True

    async def search(self, expander: Expander, ballot: Ballot[Candidate]) -> None:
        """Probe, decide, and spend the rest."""
        probe = "{probe}" + MODES[self.probe_thinks]
        meanwhile = f"{probe} probes how difficult the problem is"
        expander.tell(Decision(self._probing, f"time was up in the probe, {probe}", meanwhile=meanwhile))
        await self.probe.search(expander.thinking(self.probe_thinks), ballot)
        confidence = self.confidence.of(ballot.votes())
        place, bin = self._decide(confidence)
        values = self._probing | {"probe_confidence": confidence, "difficulty": place + 1, "rest": bin.rest}
        found = f"{probe} was {confidence:.0%} sure (difficulty {place + 1} of {len(self.bins)})"
        if bin.rest is None:
            expander.tell(Decision(values, f"{found}, so nothing followed", confidence))
            return
        values |= {} if bin.thinks is None else {"rest_thinks": bin.thinks}
        rest = "{rest}" + MODES[bin.thinks]
        reason = f"{found}, so {rest} followed"
        expander.tell(Decision(values, reason, meanwhile=f"{found}, so {rest} follows"))
        await bin.rest.search(expander.thinking(bin.thinks).after(self.probe.n), ballot.until(self._is_confident))
        expander.tell(Decision(values, reason, self.final_confidence.of(ballot.votes())))

    @property
    def _probing(self) -> dict[str, object]:
        return {"probe": self.probe} | ({} if self.probe_thinks is None else {"probe_thinks": self.probe_thinks})

    def _decide(self, confidence: float) -> tuple[int, Bin]:
        """Return the place of the bin, and the bin that says how the rest is spent."""
        place = next(place for place, bin in enumerate(self.bins) if confidence >= bin.floor)
        if self.target_confidence is None:
            return place, self.bins[place]
        if confidence >= self.target_confidence:
            return place, Bin(0.0, None)
        # not enough, though the table would stop: as for the next harder problems
        return place, next((bin for bin in self.bins[place:] if bin.rest), Bin(0.0, None))

    def _is_confident(self, votes: Sequence[Vote[Candidate]]) -> bool:
        return self.target_confidence is not None and self.final_confidence.of(votes) >= self.target_confidence

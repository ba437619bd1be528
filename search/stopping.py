"""Probable stopping: how probable it is that what is not drawn yet would elect another answer than the leading one.

A search consists of N independent parts, responses or subtrees, each of which adds its votes. What each adds to the
lead of an answer over a rival is a draw from one distribution, whatever their order. So after k parts the final lead is
predicted: the lead so far, R = N - k more draws with the mean and the spread seen so far, and what is not known of that
mean. What is predicted is the vote of all N, not which answer the policy prefers: of two answers that it gives equally
often no number of votes finds the preferred one, but all N elect the one that leads by more than the rest can change.

Looking after every part would let a lead by chance end the search. So the prediction is sceptical: it counts more
parts, `doubt_of` them, in which the two answers tied. The doubt grows with the number of looks. For large N it leaves
what a fair coin would do, under which the probability of a change is a martingale, and no number of looks inflates it.
For small N it is the least, in round numbers, with which two answers given equally often, the worst case, change in no
larger share of searches than is predicted (computed exactly: tests/search/test_stopping.py, search/stopping.md).

Not all problems are such ties: `tempered` makes of the probability in the worst case the one over problems as they
come. A search may end when that is at most 1 - `probability`.

Best responses are another matter: whether the best of N is among the k drawn depends on its place alone, which is
uniform; so R / N is the probability that it is still to come, however often one looks. It counts as having another
answer in one of so many cases as there are best ones so far, from the top, that agree.

Source: Aggarwal et al. 2023 (2305.11860), "Adaptive-Consistency", for stopping a vote by a posterior. Spiegelhalter,
Freedman and Parmar 1994, "Bayesian approaches to randomized trials", for predictions and sceptical priors as rules to
stop; Lan, Simon and Halperin 1982, "Stochastically curtailed tests in long-term clinical trials", for the fair coin.
Beyond the source: the vote of all N is predicted, not the mode; sums of scores and whole subtrees; answers that nobody
has given yet; the size of the doubt; best responses.
"""

import math
from bisect import insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile

from search.errors import HyperparameterError
from search.voting import Selection, Vote, Voter, voted


def doubt_of(num_parts: int, worst: float) -> float:
    """Return how many parts of a tie a prediction counts, so that it changes at most the share `worst` of ties."""
    return num_parts * num_parts * math.pow(worst, 0.65) / 9 + 2


@dataclass(frozen=True, slots=True)
class Probable:
    """Stop when what is left out probably changes nothing.

    Attributes:
        probability: That the answer is the one of the whole search, over problems as they come; in (0.5, 1).
    """

    probability: float = 0.95

    def __post_init__(self) -> None:
        """Refuse what is no confidence."""
        if not 0.5 < self.probability < 1:
            raise HyperparameterError("stop_probability", f"{self.probability} is not between 0.5 and 1")

    @property
    def risk(self) -> float:
        """Largest probability that the answer is another one."""
        return 1 - self.probability

    def shared(self, num_searches: int) -> "Probable":
        """Return the rule of each of several searches that together keep this one."""
        return Probable(1 - self.risk / num_searches)


EarlyStop = bool | Probable
"""Work that a search leaves out: none (False), what cannot change the answer (True), what probably does not."""


def refuse_tournament(early_stop: EarlyStop, selection: Selection) -> None:
    """Refuse to forecast a tournament, which whoever comes last may win.

    Raises:
        HyperparameterError: It is asked for.
    """
    if isinstance(early_stop, Probable) and selection is Selection.TOURNAMENT:
        raise HyperparameterError("early_stop", "probable is not supported with a tournament; use exact")


class Rule(Enum):
    """What ended a search that may stop when its answer is probable."""

    PROBABLE = "probable"  # the answer probably stays
    EXACT = "exact"  # it cannot change
    CONFIDENCE = "confidence"  # it is as probably right as was asked for
    ALL = "all"  # everything was drawn


@dataclass(frozen=True, slots=True)
class Stop:
    """How such a search ended.

    Attributes:
        rule: What ended it.
        num_candidates: Drawn, those included that were cancelled.
        of: Candidates that the whole search would have drawn.
        change_probability_bound: Probability that the whole search elects another answer, at most.
    """

    rule: Rule
    num_candidates: int
    of: int
    change_probability_bound: float

    @property
    def is_early(self) -> bool:
        """Whether candidates were left out."""
        return self.num_candidates < self.of


def total(stops: Sequence[Stop]) -> Stop | None:
    """Return how a search ended that consists of several, one after the other; None of none."""
    if not stops:
        return None
    bound = min(math.fsum(stop.change_probability_bound for stop in stops), 1.0)
    ended = [stop.rule for stop in stops if stop.rule is not Rule.ALL]
    rule = Rule.PROBABLE if Rule.PROBABLE in ended else ended[-1] if ended else Rule.ALL
    return Stop(rule, sum(stop.num_candidates for stop in stops), sum(stop.of for stop in stops), bound)


@dataclass(frozen=True, slots=True)
class Lead:
    """The lead of an answer over a rival.

    Attributes:
        now: Difference of their supports.
        drawn: What the parts of this search have added to it.
        square: Sum over these parts of the square of what each added.
    """

    now: float
    drawn: float
    square: float

    def extended(self, support: float, num_parts: int) -> "Lead":
        """Return it after further parts that all support the leader."""
        more = support * num_parts
        return Lead(self.now + more, self.drawn + more, self.square + support * more)


def loss_probability(lead: Lead, seen: int, outstanding: int, doubt: float, largest: float) -> float:
    """Return the probability that a lead is lost, 0 where nothing is outstanding.

    Args:
        lead: Over one rival.
        seen: k, parts whose votes are cast.
        outstanding: R, parts that may still be drawn.
        doubt: Parts of a tie that are counted with those seen.
        largest: Support that a part can give; one part that gives it to the rival is counted in the spread.
    """
    if not outstanding:
        return 0.0
    variance = (lead.square + largest**2) / (seen + 1)
    final = lead.now + outstanding * lead.drawn / (seen + doubt)
    spread = math.sqrt(variance * outstanding * (seen + outstanding + doubt) / (seen + doubt))
    return math.erfc(final / spread / math.sqrt(2)) / 2


def tempered(worst: float) -> float:
    """Return the probability of a change over problems as they come, from that in the worst case.

    A clear lead, which is hardly ever lost, belongs to a tie in every second problem at most, we assume; no lead, which
    is lost in half of the cases, always.
    """
    return worst * min(0.5 + 2 * worst * worst, 1.0)


def worst_of(risk: float) -> float:
    """Return what `tempered` makes `risk`, in (0, 0.5)."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if tempered(middle) < risk else (low, middle)
    return low


class Forecast:
    """Predicts the vote of a whole search from the parts drawn so far.

    Args:
        rule: When the search may end.
        selection: How the answer is chosen.
        num_parts: N, parts of the whole search.
        size: Candidates of a part.
        before: Votes of a search before this one, which count as they are.
    """

    def __init__(
        self, rule: Probable, selection: Selection, num_parts: int, size: int = 1, before: Sequence[Vote[Voter]] = ()
    ) -> None:
        self.risk = rule.risk
        self.num_parts = num_parts
        self.size = size
        self._selection = selection
        self._doubt = doubt_of(num_parts, worst_of(rule.risk))
        self._seen = 0
        self._before = self._supports(before)
        self._squares: defaultdict[frozenset[str], float] = defaultdict(float)  # of answers, and products of pairs
        self._largest = 1.0
        self._best: list[tuple[float, tuple[int, ...], str]] = []

    @property
    def outstanding(self) -> int:
        """Parts that are not seen yet."""
        return self.num_parts - self._seen

    def see(self, part: Sequence[Voter]) -> None:
        """Take in the votes of the next part."""
        self._seen += 1
        supports: defaultdict[str, float] = defaultdict(float)
        best: list[tuple[float, tuple[int, ...], str]] = []
        for candidate in part:
            if candidate.is_complete and (answer := voted(candidate)):
                score = candidate.score or 0.0
                supports[answer.key] += 1.0 if self._selection is Selection.MAJORITY else score
                best.append((-score, candidate.path, answer.key))
        if best:
            insort(self._best, min(best))  # siblings of a part resemble each other, so one speaks for all
        self._largest = max(self._largest, *supports.values(), 0.0)
        for key, support in supports.items():
            for other, its in supports.items():
                if key <= other:
                    self._squares[frozenset((key, other))] += support * its

    def change_probability(self, votes: Sequence[Vote[Voter]]) -> float:
        """Return how probable it is that all parts elect another answer than `votes`; 1 where these elect none."""
        if not any(vote.answer is not None for vote in votes):
            return 1.0
        if self._selection is Selection.BEST:
            return self._upset_probability(0)
        return max(tempered(self._loss_probability(lead, 0)) for lead in self._leads(votes))

    def needed(self, votes: Sequence[Vote[Voter]]) -> int:
        """Return the fewest parts more after which the search may end: all of them support the leader."""
        if self._selection is Selection.BEST:
            ends = (self._upset_probability(more) <= self.risk for more in range(1, self.outstanding))
        else:
            leads = self._leads(votes) or [Lead(0.0, 0.0, 0.0)]
            closest = max(leads, key=lambda lead: self._loss_probability(lead, 0))
            ends = (self._may_end(closest, more) for more in range(1, self.outstanding))
        return 1 + sum(1 for _ in takewhile(lambda may_end: not may_end, ends))

    def _may_end(self, lead: Lead, more: int) -> bool:
        after = lead.extended(self._largest, more)
        is_decided = after.now > self._largest * (self.outstanding - more)
        return is_decided or tempered(self._loss_probability(after, more)) <= self.risk

    def _loss_probability(self, lead: Lead, more: int) -> float:
        return loss_probability(lead, self._seen + more, self.outstanding - more, self._doubt, self._largest)

    def _leads(self, votes: Sequence[Vote[Voter]]) -> list[Lead]:
        """Return the leads over every rival, and over an answer that has no vote yet; none without a leader."""
        supports = self._supports(votes)
        if not supports:
            return []
        first = {key: vote.candidates[0].path for key, vote in _by_key(votes).items()}
        leader, *rivals = supports
        leads = [self._lead(leader, None, supports, is_earlier=True)]
        return leads + [self._lead(leader, each, supports, is_earlier=first[leader] < first[each]) for each in rivals]

    def _lead(self, leader: str, rival: str | None, supports: Mapping[str, float], *, is_earlier: bool) -> Lead:
        """A tie goes to the earlier answer, so its lead is half a vote more, and that over an earlier one less."""
        now = supports[leader] - supports.get(rival or "", 0.0)
        before = self._before.get(leader, 0.0) - self._before.get(rival or "", 0.0)
        square = self._squares[frozenset((leader,))]
        if rival is not None:
            square += self._squares[frozenset((rival,))] - 2 * self._squares[frozenset((leader, rival))]
        tie = 0.0 if self._selection is Selection.WEIGHTED else 0.5 if is_earlier else -0.5
        return Lead(now + tie, now - before, square)

    def _upset_probability(self, more: int) -> float:
        """Return the probability that a better response comes and has another answer, after `more` that agree."""
        agreeing = sum(1 for _ in takewhile(lambda each: each[2] == self._best[0][2], self._best))
        return (self.outstanding - more) / self.num_parts / (agreeing + more)

    def _supports(self, votes: Sequence[Vote[Voter]]) -> dict[str, float]:
        is_counted = self._selection is Selection.MAJORITY
        return {key: vote.count if is_counted else vote.weight or 0.0 for key, vote in _by_key(votes).items()}


def _by_key(votes: Sequence[Vote[Voter]]) -> dict[str, Vote[Voter]]:
    """Return the votes for answers by key, in their order."""
    answers = ((voted(vote.candidates[0]), vote) for vote in votes)
    return {answer.key: vote for answer, vote in answers if answer}

"""What a vote generates after its answer is decided: with early stopping, and without it.

An answer is decided when no scores of the responses outstanding could elect another one, whatever order they come in. A
strategy that stops early counts votes in the order of the candidates, so that the same seed elects the same answer, and
learns of tokens in portions: both are in what is measured here.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from rich.table import Table

from models.interfaces import Meter, Problem
from search.answers.answer import AnswerReader
from search.best_of_n import BestOfN
from search.candidate import Candidate
from search.observer import Silence
from search.voting import Ballot, Selection
from tests.bench.limit.pair import Pair
from tests.bench.limit.part import Bar, Job, median, spread, table

MOST_WASTED = 0.03
VOTES = {"majority": Selection.MAJORITY, "weighted_best_of_n": Selection.WEIGHTED}


class Settled(Silence):
    """Notes how many tokens had been generated when the answer was decided.

    Args:
        meter: Of the search.
        selection: How the answer is chosen.
        n: N, the budget.
    """

    def __init__(self, meter: Meter, selection: Selection, n: int) -> None:
        self._meter = meter
        self._ballot: Ballot[Candidate] = Ballot(selection)
        self._num_left = n
        self._num_tokens: int | None = None

    def on_growth(self, candidate: Candidate) -> None:
        """Count a response at its end."""
        if candidate.is_final and self._num_tokens is None:
            self._ballot.cast(candidate)
            self._num_left -= 1
            if self._ballot.is_decided([1.0] * self._num_left):
                self._num_tokens = self._meter.completion_tokens

    @property
    def num_late(self) -> int:
        """Tokens generated since then."""
        return 0 if self._num_tokens is None else self._meter.completion_tokens - self._num_tokens


@dataclass(frozen=True, slots=True)
class Election:
    """Tokens of one pass over problems.

    Attributes:
        num_tokens: Generated.
        num_late: After the answers were decided.
    """

    num_tokens: int
    num_late: int

    @property
    def share(self) -> float:
        """Of all tokens, those that came late."""
        return self.num_late / self.num_tokens


@dataclass(slots=True)
class Row:
    """Runs of one vote with one budget: with early stopping, and without."""

    strategy: str
    n: int
    stopping: list[Election] = field(default_factory=list)
    going_on: list[Election] = field(default_factory=list)

    async def measure(
        self, pair: Pair, problems: Sequence[Problem], in_flight: int, reader: AnswerReader, *, early_stop: bool
    ) -> None:
        """Search one way."""
        vote, observers = BestOfN(self.n, VOTES[self.strategy], early_stop=early_stop), list[Settled]()

        def watch(meter: Meter) -> Settled:
            observers.append(Settled(meter, vote.selection, vote.n))
            return observers[-1]

        run, _, _ = await pair.search(problems, vote, in_flight, reader=reader, watch=watch)
        election = Election(run.completion_tokens, sum(observer.num_late for observer in observers))
        (self.stopping if early_stop else self.going_on).append(election)


class Waste:
    """Votes by majority and by weight.

    Args:
        problems: Searched in every run.
        budgets: N.
        in_flight: Problems at a time.
    """

    def __init__(self, problems: Sequence[Problem], budgets: Sequence[int], in_flight: int) -> None:
        self._problems = problems
        self._in_flight = in_flight
        self._rows = [Row(name, n) for n in budgets for name in VOTES]

    def jobs(self, pair: Pair, reader: AnswerReader) -> list[Job]:
        """Two jobs a row; those with early stopping come first."""
        return [
            Job(
                f"{row.strategy}, N = {row.n}, {'stopping early' if early_stop else 'to the end'}",
                partial(row.measure, pair, self._problems, self._in_flight, reader, early_stop=early_stop),
            )
            for early_stop in (True, False)
            for row in self._rows
        ]

    def tables(self) -> list[Table]:
        """Shares of all tokens."""
        shown = table(
            f"Generated after the answer was decided, % of all tokens: {len(self._problems)} problems, "
            f"{self._in_flight} at a time",
            *("strategy", "N", "with early stopping", "without", "tokens a problem", "without"),
        )
        for row in self._rows:
            if row.stopping:
                both = row.stopping, row.going_on
                shares = [spread([100 * each.share for each in elections], 1) for elections in both]
                tokens = [[each.num_tokens / len(self._problems) for each in elections] for elections in both]
                shown.add_row(row.strategy, str(row.n), *shares, *(spread(each, 0) for each in tokens))
        return [shown]

    def bars(self) -> list[Bar]:
        """With early stopping."""
        return [
            Bar(
                f"{row.strategy}, N = {row.n}: share generated after the decision",
                median([each.share for each in row.stopping]),
                MOST_WASTED,
                is_ceiling=True,
            )
            for row in self._rows
            if row.stopping
        ]

    def raw(self) -> Any:
        """Every run."""
        return [asdict(row) for row in self._rows]

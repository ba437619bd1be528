"""How much of the engines' speed a search gets, by strategy and N, and how many tokens it computes more than once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from rich.table import Table

from models.interfaces import Problem
from tests.bench.limit.bare import at_once, policy_alone
from tests.bench.limit.pair import BEAM_WIDTH, Pair, Run, strategy
from tests.bench.limit.part import Bar, Job, median, spread, table

BARS = {
    ("weighted_best_of_n", 16): 0.95,
    ("beam_search", 16): 0.93,
    ("dvts", 16): 0.90,
    ("weighted_best_of_n", 64): 0.98,
    ("beam_search", 64): 0.88,
    ("dvts", 64): 0.88,
}
"""Of the engines' speed, with 8 problems in flight."""
MOST_READ_AGAIN = 1.10
"""Tokens that the policy computes for each that it must."""


@dataclass(slots=True)
class Cell:
    """Runs of one strategy with one budget, and of the bare engines behind each."""

    strategy: str
    n: int
    search: list[Run] = field(default_factory=list)
    at_once: list[Run] = field(default_factory=list)
    policy_alone: list[Run] = field(default_factory=list)

    async def measure(self, pair: Pair, problems: Sequence[Problem], in_flight: int) -> None:
        """Search, then have bare engines do the same work."""
        run, _, works = await pair.search(problems, strategy(self.strategy, self.n), in_flight)
        self.search.append(run)
        self.at_once.append(await at_once(pair, works, in_flight))
        self.policy_alone.append(await policy_alone(pair, works, in_flight, self.n))

    @property
    def of_at_once(self) -> list[float]:
        """Time of both bare engines at once over that of the search, run by run."""
        return [bare.seconds / run.seconds for run, bare in zip(self.search, self.at_once, strict=True)]

    @property
    def of_policy_alone(self) -> list[float]:
        """Tokens/s over those of the bare policy without a verifier beside it, run by run."""
        pairs = zip(self.search, self.policy_alone, strict=True)
        return [run.tokens_a_second / bare.tokens_a_second for run, bare in pairs]


class Efficiency:
    """Searches beside bare engines.

    Args:
        problems: Searched in every run.
        strategies: By name.
        budgets: N.
        in_flight: Problems at a time.
    """

    def __init__(
        self, problems: Sequence[Problem], strategies: Sequence[str], budgets: Sequence[int], in_flight: int
    ) -> None:
        self._problems = problems
        self._in_flight = in_flight
        self._cells = [Cell(name, n) for n in budgets for name in strategies]

    def jobs(self, pair: Pair) -> list[Job]:
        """A job a cell."""
        return [
            Job(f"{cell.strategy}, N = {cell.n}", partial(cell.measure, pair, self._problems, self._in_flight))
            for cell in self._cells
        ]

    def tables(self) -> list[Table]:
        """Speed, and what is computed again."""
        setting = f"{len(self._problems)} problems, {self._in_flight} at a time, M = {BEAM_WIDTH}"
        speed = table(
            f"Efficiency: {setting}",
            *("strategy", "N", "problems/s", "tokens/s", "of both engines at once", "of the policy alone"),
            *(
                "judged / distinct",
                "policy's tokens / distinct",
                "CPU of the service, µs a token",
                "µs a step",
                "both at once: µs a token",
            ),
        )
        for cell in self._cells:
            runs = cell.search
            if runs:
                speed.add_row(
                    cell.strategy,
                    str(cell.n),
                    spread([run.problems_a_second for run in runs]),
                    spread([run.tokens_a_second for run in runs], 0),
                    spread(cell.of_at_once),
                    spread(cell.of_policy_alone),
                    spread([run.verifier_tokens / run.distinct_tokens for run in runs]),
                    spread([run.policy_tokens / run.distinct_policy_tokens for run in runs]),
                    spread([1e6 * run.cpu_s / run.completion_tokens for run in runs], 1),
                    spread([1e6 * run.cpu_s / run.num_steps for run in runs], 0),
                    spread([1e6 * run.cpu_s / run.completion_tokens for run in cell.at_once], 1),
                )
        return [speed]

    def bars(self) -> list[Bar]:
        """What the issue asks for."""
        found = []
        for cell in self._cells:
            name, runs = f"{cell.strategy}, N = {cell.n}", cell.search
            if runs and (bar := BARS.get((cell.strategy, cell.n))):
                found.append(Bar(f"{name}: of both engines at once", median(cell.of_at_once), bar))
                found.append(Bar(f"{name}: of the policy alone", median(cell.of_policy_alone), bar))
            if runs:
                again = median([run.policy_tokens / run.distinct_policy_tokens for run in runs])
                found.append(Bar(f"{name}: policy's tokens / distinct", again, MOST_READ_AGAIN, is_ceiling=True))
        return found

    def raw(self) -> Any:
        """Every run."""
        return [asdict(cell) for cell in self._cells]

"""Searches beside the same searches in lock-step, on the same engines: how many times as many problems a second."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from rich.table import Table

from models.interfaces import Problem, TokenCount
from tests.bench.limit.lock_step import lock_step
from tests.bench.limit.pair import BEAM_WIDTH, Pair, Run, strategy
from tests.bench.limit.part import Bar, Job, median, spread, table

MOST_JUDGED = {40: 1.15, 20: 1.3}
"""Verifier tokens computed for each distinct one, by the tokens of a step."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is searched, and how.

    Attributes:
        strategy: By name.
        n: N, the budget.
        in_flight: Problems at a time.
        num_problems: Searched in every run.
        step_tokens: Of each step; None: as the pair has it.
        bar: How many times the problems/s of lock-step it must reach; None: lock-step is not run.
    """

    strategy: str
    n: int
    in_flight: int
    num_problems: int
    step_tokens: int | None = None
    bar: float | None = None

    def __str__(self) -> str:
        steps = f", steps of {self.step_tokens}" if self.step_tokens else ""
        return f"{self.strategy}, N = {self.n}, {self.in_flight} at a time{steps}"


@dataclass(slots=True)
class Row:
    """Runs of one setting, the search and lock-step in turn."""

    setting: Setting
    search: list[Run] = field(default_factory=list)
    lock_step: list[Run] = field(default_factory=list)

    async def measure(self, pair: Pair, problems: Sequence[Problem]) -> None:
        """Search both ways."""
        each = self.setting
        asked, steps = problems[: each.num_problems], TokenCount(each.step_tokens) if each.step_tokens else None
        run, _, _ = await pair.search(asked, strategy(each.strategy, each.n), each.in_flight, steps=steps)
        self.search.append(run)
        if each.bar is not None:
            self.lock_step.append(await lock_step(pair, asked, each.strategy, each.n, each.in_flight, steps=steps))

    @property
    def ratios(self) -> list[float]:
        """How many times the problems/s of lock-step, run by run."""
        return [slow.seconds / run.seconds for run, slow in zip(self.search, self.lock_step, strict=False)]

    @property
    def judged(self) -> list[float]:
        """Verifier tokens computed for each distinct one."""
        return [run.verifier_tokens / run.distinct_tokens for run in self.search]


class Beside:
    """Settings on one pair.

    Args:
        title: Of the table.
        problems: The first of these are searched.
        settings: What is measured.
    """

    def __init__(self, title: str, problems: Sequence[Problem], settings: Sequence[Setting]) -> None:
        self._title = title
        self._problems = problems
        self._rows = [Row(setting) for setting in settings]

    def jobs(self, pair: Pair) -> list[Job]:
        """A job a setting."""
        return [Job(str(row.setting), partial(row.measure, pair, self._problems)) for row in self._rows]

    def tables(self) -> list[Table]:
        """Both speeds, and what both compute."""
        shown = table(
            f"{self._title}, M = {BEAM_WIDTH}",
            *("strategy", "N", "at a time", "problems", "steps of", "problems/s", "lock-step", "ratio"),
            *("judged / distinct", "lock-step", "policy's tokens / distinct", "tokens a problem", "lock-step"),
        )
        for row in self._rows:
            each, runs, slow = row.setting, row.search, row.lock_step
            if not runs:
                continue
            shown.add_row(
                each.strategy,
                str(each.n),
                str(each.in_flight),
                str(each.num_problems),
                str(each.step_tokens or ""),
                spread([run.problems_a_second for run in runs]),
                spread([run.problems_a_second for run in slow]),
                spread(row.ratios),
                spread(row.judged),
                spread([run.verifier_tokens / own.distinct_tokens for own, run in zip(runs, slow, strict=False)], 1),
                spread([run.policy_tokens / run.distinct_policy_tokens for run in runs]),
                spread([run.completion_tokens / run.num_problems for run in runs], 0),
                spread([run.completion_tokens / run.num_problems for run in slow], 0),
            )
        return [shown]

    def bars(self) -> list[Bar]:
        """Ratios, and judged tokens where the steps have a length."""
        found = []
        for row in self._rows:
            each = row.setting
            if row.lock_step and each.bar is not None:
                found.append(Bar(f"{self._title}: {each}: times lock-step", median(row.ratios), each.bar))
            if row.search and each.step_tokens in MOST_JUDGED:
                most = MOST_JUDGED[each.step_tokens]
                found.append(
                    Bar(f"{self._title}: {each}: judged / distinct", median(row.judged), most, is_ceiling=True)
                )
        return found

    def raw(self) -> Any:
        """Every run."""
        return [asdict(row) for row in self._rows]

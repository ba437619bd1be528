"""Runs the grid that a calibration table is made from, and makes the table."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from models.interfaces import Problem, Sampling
from search.answers.pool import AnswerPool
from search.calibration.budgets import Grid, Plan, confidence_of, plan_budget, row_of
from search.calibration.costs import Cost
from search.calibration.difficulty import Prediction, assess
from search.calibration.table import Budget, Calibration, Costs, Identity
from search.calibration.traces import Trace, Traces
from search.compute_optimal import MODES
from search.evaluation.tasks import Task
from search.expander import Models
from search.solve import solve
from search.strategies import Parts, calibrated, label, name_of, strategies
from search.strategy import Strategy

TRIALS = 24
"""Problems asked one at a time, to learn how long that takes."""
COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


class Measuring:
    """What is measured, and with what progress.

    Args:
        tasks: Problems whose answers are known.
        traces: Keeps them.
        sampling: Of every response.
        concurrency: Problems at the same time.
        beam_width: M of the tree searches.
        modes: What the policy is asked for, whether to think: its default first; None where it cannot be asked.
    """

    def __init__(
        self,
        tasks: list[Task],
        traces: Traces,
        sampling: Sampling,
        concurrency: int,
        beam_width: int,
        modes: Sequence[bool | None] = (None,),
    ) -> None:
        self.tasks = tasks
        self.sampling = sampling
        self._traces = traces
        self._concurrency = concurrency
        self.beam_width = beam_width
        self._modes = modes

    async def grids(self, models: Models, budgets: tuple[int, ...]) -> list[Grid]:
        """Run the grid of each mode."""
        return [await self._grid(models, budgets, thinks) for thinks in self._modes]

    async def _grid(self, models: Models, budgets: tuple[int, ...], thinks: bool | None) -> Grid:
        largest = max(budgets)
        searches: list[Strategy] = []
        for row in calibrated():
            if row.parts is Parts.NONE:
                beams = _beams(budgets, self.beam_width)
                searches += [row.build(n, beam_width=self.beam_width) for n in beams]
            else:
                searches.append(row.build(largest, early_stop=False, beam_width=self.beam_width))
        with Progress(*COLUMNS, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
            for strategy in searches:
                await self._run(models, strategy, thinks, progress)
        found: dict[str, dict[int, list[Trace]]] = {}
        for strategy in searches:
            traces = self._traces.of(label(strategy) + MODES[thinks], self.tasks)
            found.setdefault(name_of(strategy), {})[strategy.n] = traces
        return Grid(found, self.beam_width, thinks)

    async def _run(self, models: Models, strategy: Strategy, thinks: bool | None, progress: Progress) -> None:
        assert isinstance(models.reader, AnswerPool)  # noqa: S101 - the composition root makes it so
        name = label(strategy) + MODES[thinks]
        bar = progress.add_task(name, total=len(self.tasks))

        def advance() -> None:
            progress.advance(bar)

        await self._traces.gather(
            models, models.reader, self.tasks, name, strategy, self.sampling, self._concurrency, advance, thinks
        )


def _beams(budgets: tuple[int, ...], beam_width: int) -> Iterator[int]:
    """Budgets of searches that hold no smaller ones: the smallest as a whole, others as what follows a probe."""
    yield min(budgets)
    for n in sorted(budgets)[1:]:
        yield n - min(n // 2, 16) // beam_width * beam_width


async def calibrate(
    measuring: Measuring, models: Models, identity: Identity, budgets: tuple[int, ...], made: Mapping[str, Any]
) -> tuple[Calibration, dict[int, Prediction]]:
    """Measure, choose, and return the table, and for each budget how well its probe predicts difficulty.

    Args:
        measuring: What to measure, and how.
        models: To be calibrated.
        identity: Of the models.
        budgets: N of the table's rows, rising.
        made: When, where and from which commit this is.
    """
    grids = await measuring.grids(models, budgets)
    plans = {n: plan_budget(grids, n) for n in budgets}
    rows = [await _row(measuring, models, n, plan) for n, plan in plans.items()]
    table = Calibration(
        identity=identity,
        temperature=measuring.sampling.temperature,
        made={**made, "problems": len(measuring.tasks)},
        budgets=rows,
        confidence=confidence_of(grids[0], budgets),
        costs=await measure_costs(measuring, models, rows, made),
    )
    return table, {n: assess(grids[0], plan) for n, plan in plans.items()}


async def measure_costs(
    measuring: Measuring, models: Models, budgets: Sequence[Budget], made: Mapping[str, Any]
) -> Costs:
    """Measure what every strategy takes that these models can run, with its defaults.

    Args:
        measuring: On which problems, and how they are sampled.
        models: To be measured.
        budgets: How `auto` spends those that are measured.
        made: When, where and from which commit this is.
    """
    able = [row for row in strategies().values() if row.lacks(models.verifier) is None]
    found: dict[str, dict[int, Cost]] = {row.name: {} for row in able}
    with Progress(*COLUMNS, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        bar = progress.add_task("costs", total=len(able) * len(budgets))
        for place, (budget, row) in enumerate(product(budgets, able)):
            n = budget.n
            strategy = budget.build(n) if row.fallback else row.build(n, beam_width=measuring.beam_width)
            found[row.name][n] = Cost.of(await _tried(measuring, models, strategy, place))
            progress.advance(bar)
    problems = len(measuring.tasks[:TRIALS])
    return Costs(made={**made}, problems=problems, beam_width=measuring.beam_width, strategies=found)


async def _row(measuring: Measuring, models: Models, n: int, plan: Plan) -> Budget:
    """Return the row of a plan, tried on a few problems."""
    spent = await _tried(measuring, models, row_of(n, plan, [0.0, 0.0], [0.0, 0.0]).build(n))
    return row_of(n, plan, [seconds for _, _, seconds in spent], [own + judged for own, judged, _ in spent])


async def _tried(
    measuring: Measuring, models: Models, strategy: Strategy, place: int = 0
) -> list[tuple[float, float, float]]:
    """Return the tokens generated, those judged and the seconds of searches on a few problems, one at a time.

    Every place has problems of its own as long as there are any, and samples others: a cache would hide what they take.
    """
    spent, first = [], place * TRIALS % len(measuring.tasks)
    sampling = replace(measuring.sampling, seed=place)
    for task in [*measuring.tasks[first:], *measuring.tasks[:first]][:TRIALS]:
        start = time.perf_counter()
        result = await solve(Problem(task.problem), strategy, models, sampling)
        seconds = time.perf_counter() - start
        spent.append((float(result.meter.completion_tokens), float(result.meter.verifier_tokens), seconds))
    return spent

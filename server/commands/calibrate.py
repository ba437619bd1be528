"""`winnow calibrate`: measures how a pair of models spends a budget best, and writes that down beside them."""

import asyncio
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from models.interfaces import Problem, Sampling
from search.answers.pool import AnswerPool
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.dvts import DVTS
from search.expander import Models
from search.solve import solve
from search.strategy import Strategy
from search.voting import Selection
from server.calibration import Budget, Calibration, Identity, Spending, calibration_file, write_calibration
from server.commands.evaluate import Counts
from server.evaluation.calibrating import Grid, Plan, confidence_of, plan_budget, row_of
from server.evaluation.evidence import Evidence
from server.evaluation.tasks import Task, demo_tasks, read_tasks
from server.settings import Settings, load_settings

TRIALS = 24
"""Problems asked one at a time, to learn how long that takes."""


@click.command()
@click.option("--problems", type=click.Path(exists=True, path_type=Path), help="JSON lines with problem and answer.")
@click.option("--held-out", default=400, show_default=True, type=click.IntRange(40), help="Demo problems to take.")
@click.option("--skip", default=500, show_default=True, type=click.IntRange(0), help="Leave to `winnow eval` so many.")
@click.option("--n", "budgets", default="4,16,64", show_default=True, type=Counts(), help="N, budgets of the table.")
@click.option("--beam-width", default=4, show_default=True, type=click.IntRange(2), help="M of the tree searches.")
@click.option("--temperature", default=0.8, show_default=True, type=click.FloatRange(0, 2), help="Of the policy.")
@click.option("--max-tokens", default=2048, show_default=True, type=click.IntRange(1), help="Longest response.")
@click.option("--concurrency", default=16, show_default=True, type=click.IntRange(1), help="Problems at the same time.")
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@click.option("--evidence", type=click.Path(path_type=Path), help="Keep what is measured; a run goes on from it.")
@click.option("--out", type=click.Path(path_type=Path), help="The table.  [default: where the service looks for it]")
def calibrate(
    problems: Path | None,
    held_out: int,
    skip: int,
    budgets: tuple[int, ...],
    beam_width: int,
    temperature: float,
    max_tokens: int,
    concurrency: int,
    recipe: Path | None,
    evidence: Path | None,
    out: Path | None,
) -> None:
    """Learn how `auto` should spend a budget with these models, and how probable their answers are.

    Measures the strategies on problems whose answers are known, bins the problems by how sure a small search is of
    them, and chooses for each bin. The table holds for this policy, this verifier and this prompt alone.
    """
    tasks = read_tasks(problems) if problems else demo_tasks(0, skip + held_out)[skip:]
    if len(tasks) < 40:
        raise click.BadParameter(f"{len(tasks)} problems are too few to learn from: at least 40")
    if max(budgets) < 4 or any(n % beam_width for n in budgets):
        raise click.BadParameter(f"a multiple of the beam width {beam_width} each, as 4,16,64", param_hint="--n")
    settings = load_settings(recipe)
    path = out or calibration_file(settings)
    sampling = Sampling(temperature, 1.0, max_tokens, seed=0)
    measuring = Measuring(tasks, Evidence(evidence), sampling, concurrency, beam_width)
    table = asyncio.run(_calibrate(measuring, settings, tuple(sorted(set(budgets)))))
    write_calibration(table, path)
    _show(table, path)


class Measuring:
    """What is measured, and with what progress.

    Args:
        tasks: Problems whose answers are known.
        evidence: Keeps the traces.
        sampling: Of every response.
        concurrency: Problems at the same time.
        beam_width: M of the tree searches.
    """

    def __init__(
        self, tasks: list[Task], evidence: Evidence, sampling: Sampling, concurrency: int, beam_width: int
    ) -> None:
        self.tasks = tasks
        self.sampling = sampling
        self._evidence = evidence
        self._concurrency = concurrency
        self._beam_width = beam_width

    async def grid(self, models: Models, budgets: tuple[int, ...]) -> Grid:
        """Run the grid."""
        largest = max(budgets)
        searches: dict[str, Strategy] = {
            f"flat {largest}": BestOfN(largest, Selection.WEIGHTED, early_stop=False),
            f"dvts {largest}": DVTS(largest, self._beam_width, early_stop=False),
        }
        beams = {n: f"beam {n}" for n in _beams(budgets, self._beam_width)}
        searches |= {name: BeamSearch(n, self._beam_width) for n, name in beams.items()}
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
            for name, strategy in searches.items():
                await self._run(models, name, strategy, progress)
        flat, dvts = list(searches)[:2]
        return Grid(
            self._evidence.of(flat, self.tasks),
            self._evidence.of(dvts, self.tasks),
            {n: self._evidence.of(name, self.tasks) for n, name in beams.items()},
            self._beam_width,
        )

    async def _run(self, models: Models, name: str, strategy: Strategy, progress: Progress) -> None:
        assert isinstance(models.reader, AnswerPool)  # noqa: S101 - the composition root makes it so
        bar = progress.add_task(name, total=len(self.tasks))

        def advance() -> None:
            progress.advance(bar)

        await self._evidence.gather(
            models, models.reader, self.tasks, name, strategy, self.sampling, self._concurrency, advance
        )


def _beams(budgets: tuple[int, ...], beam_width: int) -> Iterator[int]:
    """Budgets of the beam searches: the smallest as a whole, others as what follows a probe."""
    yield min(budgets)
    for n in sorted(budgets)[1:]:
        yield n - min(n // 2, 16) // beam_width * beam_width


async def _calibrate(measuring: Measuring, settings: Settings, budgets: tuple[int, ...]) -> Calibration:
    from server.__main__ import open_models

    async with open_models(settings) as (models, _):
        grid = await measuring.grid(models, budgets)
        rows = [await _row(measuring, models, grid, n, plan_budget(grid, n)) for n in budgets]
    return Calibration(
        identity=Identity.of(settings),
        temperature=measuring.sampling.temperature,
        made={"problems": len(measuring.tasks), "date": time.strftime("%Y-%m-%d"), "python": platform.python_version()},
        budgets=rows,
        confidence=confidence_of(grid, budgets),
    )


async def _row(measuring: Measuring, models: Models, grid: Grid, n: int, plan: Plan) -> Budget:
    """Return the row of a plan, tried on a few problems, one at a time."""
    strategy = row_of(grid, n, plan, [0.0, 0.0], [0.0, 0.0]).build(n)
    seconds, tokens = [], []
    for task in measuring.tasks[:TRIALS]:
        start = time.perf_counter()
        result = await solve(Problem(task.problem), strategy, models, measuring.sampling)
        seconds.append(time.perf_counter() - start)
        tokens.append(float(result.meter.completion_tokens + result.meter.verifier_tokens))
    return row_of(grid, n, plan, seconds, tokens)


def _show(table: Calibration, path: Path) -> None:
    console = Console(width=110)
    shown = Table("N", "probe", "sure from", "then", "problems", "right", title="how auto spends a budget")
    for row in table.budgets:
        for place, bin in enumerate(row.bins):
            first = (str(row.n), f"{_name(row.probe)}, N = {row.probe_n}") if place == 0 else ("", "")
            then = "nothing" if bin.rest is None or row.n == row.probe_n else f"{_name(bin.rest)}, the rest"
            shown.add_row(*first, f"{bin.floor:.2f}", then, str(bin.problems), f"{bin.accuracy:.0%}")
    console.print(shown)
    for row in table.budgets:
        console.print(
            f"N = {row.n}: {row.accuracy:.1%} right (cross-validated), {row.tokens[0]:,.0f} tokens and "
            f"{row.seconds[0]:.1f} s a problem"
        )
    console.print(f"written to {path}")


def _name(spending: Spending) -> str:
    return spending.strategy if spending.beam_width is None else f"{spending.strategy}, M = {spending.beam_width}"

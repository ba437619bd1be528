"""`winnow eval`: accuracy, tokens and seconds of every strategy on problems whose answers are known."""

import asyncio
import json
import statistics
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from search.answers.pool import AnswerPool
from search.evaluation.bootstrap import bootstrap
from server.commands.client import open_client, post_solve
from server.settings import Settings, load_settings

STRATEGIES = ("greedy", "majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts")


@dataclass(frozen=True, slots=True)
class Task:
    """A problem whose answer is known."""

    problem: str
    answer: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one problem went."""

    problem: str
    strategy: str
    answer: str | None
    is_correct: bool
    completion_tokens: int
    verifier_tokens: int
    verifier_cached_tokens: int


@dataclass(frozen=True, slots=True)
class Run:
    """One strategy on all problems."""

    strategy: str
    outcomes: tuple[Outcome, ...]
    seconds: float


@click.command("eval")
@click.option("--problems", type=click.Path(exists=True, path_type=Path), help="JSON lines with problem and answer.")
@click.option("--held-out", default=300, show_default=True, type=click.IntRange(1), help="Demo problems to take.")
@click.option("--strategies", default=",".join(STRATEGIES), show_default=True, help="Which, separated by commas.")
@click.option("--n", default=16, show_default=True, type=click.IntRange(1), help="N, the budget.")
@click.option("--beam-width", default=4, show_default=True, type=click.IntRange(1), help="M of the tree searches.")
@click.option("--temperature", default=0.8, show_default=True, type=click.FloatRange(0, 2), help="Of the policy.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the problems and the samples.")
@click.option("--concurrency", default=8, show_default=True, type=click.IntRange(1), help="Problems at the same time.")
@click.option("--url", help="Ask the service that runs there; without it the models are started here.")
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@click.option("--out", type=click.Path(path_type=Path), help="Write every outcome there as JSON lines.")
def evaluate(
    problems: Path | None,
    held_out: int,
    strategies: str,
    n: int,
    beam_width: int,
    temperature: float,
    seed: int,
    concurrency: int,
    url: str | None,
    recipe: Path | None,
    out: Path | None,
) -> None:
    """Measure strategies on problems whose answers are known.

    Accuracy comes with a 95 % interval, bootstrapped over problems; tokens are means per problem; seconds are for all
    problems of a strategy. Greedy is one sample at temperature 0.
    """
    names = strategies.split(",")
    unknown = sorted(set(names) - set(STRATEGIES))
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(STRATEGIES)}", param_hint="--strategies")
    tasks = read_tasks(problems) if problems else demo_tasks(seed, held_out)
    requests = {name: _request(name, n, beam_width, temperature, seed) for name in names}
    runs = asyncio.run(_run_all(tasks, requests, load_settings(recipe), url, concurrency))
    Console().print(table_of(runs, f"{len(tasks)} problems, N = {n}, M = {beam_width}, T = {temperature}"))
    if out:
        lines = (json.dumps(asdict(outcome), ensure_ascii=False) for run in runs for outcome in run.outcomes)
        out.write_text("\n".join(lines) + "\n")


def read_tasks(path: Path) -> list[Task]:
    """Read JSON lines with the fields problem and answer; others are ignored."""
    tasks = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            record = json.loads(line)
            tasks.append(Task(str(record["problem"]), str(record["answer"])))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            message = f"{path}, line {number}: needs problem and answer"
            raise click.BadParameter(message, param_hint="--problems") from error
    if not tasks:
        raise click.BadParameter(f"{path} holds no problem", param_hint="--problems")
    return tasks


def demo_tasks(seed: int, count: int) -> list[Task]:
    """Return problems of the demo's kind that it was not trained on."""
    from models.training.tasks.stream import held_out_problems

    return [Task(task.problem, task.answer) for task in held_out_problems(seed, count)]


def table_of(runs: Iterable[Run], title: str) -> Table:
    """Lay out the runs, one a row."""
    table = Table("strategy", "accuracy, %", title=title)
    for column in ("generated", "judged", "cached", "seconds"):
        table.add_column(column, justify="right")
    for run in runs:
        accuracy = bootstrap([100.0 * outcome.is_correct for outcome in run.outcomes])
        table.add_row(
            run.strategy,
            f"{accuracy.mean:.1f} ({accuracy.low:.1f} to {accuracy.high:.1f})",
            f"{statistics.fmean(outcome.completion_tokens for outcome in run.outcomes):,.0f}",
            f"{statistics.fmean(outcome.verifier_tokens for outcome in run.outcomes):,.0f}",
            f"{statistics.fmean(outcome.verifier_cached_tokens for outcome in run.outcomes):,.0f}",
            f"{run.seconds:.1f}",
        )
    return table


def _request(strategy: str, n: int, beam_width: int, temperature: float, seed: int) -> dict[str, Any]:
    if strategy == "greedy":
        return {"strategy": "majority", "n": 1, "temperature": 0.0, "seed": seed, "include": []}
    tree = {"beam_width": beam_width} if strategy in ("beam_search", "dvts") else {}
    return {"strategy": strategy, "n": n, "temperature": temperature, "seed": seed, "include": [], **tree}


async def _run_all(
    tasks: list[Task], requests: dict[str, dict[str, Any]], settings: Settings, url: str | None, concurrency: int
) -> list[Run]:
    async with AnswerPool() as answers, open_client(url, settings) as client:
        with Progress(console=Console(stderr=True)) as progress:
            ask = Ask(client, answers, progress, concurrency)
            return [await ask.all(tasks, name, request) for name, request in requests.items()]


@dataclass(frozen=True, slots=True)
class Ask:
    """Asks the service, a few problems at a time, and grades what it says."""

    client: httpx.AsyncClient
    answers: AnswerPool
    progress: Progress
    concurrency: int

    async def all(self, tasks: list[Task], strategy: str, request: dict[str, Any]) -> Run:
        """Run a strategy on every problem."""
        bar = self.progress.add_task(strategy, total=len(tasks))
        places = asyncio.Semaphore(self.concurrency)

        async def measure(task: Task) -> Outcome:
            async with places:
                outcome = await self.one(task, strategy, request)
            self.progress.advance(bar)
            return outcome

        start = time.perf_counter()
        outcomes = await asyncio.gather(*(measure(task) for task in tasks))
        return Run(strategy, tuple(outcomes), time.perf_counter() - start)

    async def one(self, task: Task, strategy: str, request: dict[str, Any]) -> Outcome:
        """Run a strategy on one problem."""
        reply = await post_solve(self.client, {"problem": task.problem, **request})
        answer, usage = reply["answer"], reply["usage"]
        return Outcome(
            problem=task.problem,
            strategy=strategy,
            answer=answer,
            is_correct=answer is not None and await self.answers.equivalent(task.answer, answer),
            completion_tokens=usage["completion_tokens"],
            verifier_tokens=usage["verifier_tokens"],
            verifier_cached_tokens=usage["verifier_cached_tokens"],
        )

"""Exact early stopping on the demo pair: the answers are the same, and what is saved, for each strategy.

    python -m tests.bench.early_stopping [--problems 80] [--seeds 5] [--n 16] [--strategies majority dvts ...]

Every case is a problem, a strategy and a seed, searched with early stopping and without it, beside other cases. The
engine computes a row a little otherwise in another batch. So of the answers that differ those are counted for which it
drew another response to the same seed, or made another child the best, and those where rounding decides the vote: the
two best scores, or sums of scores, are within 0.001. What is left would be a fault of early stopping.
"""

import argparse
import asyncio
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from models.training.demo.tasks.stream import held_out_problems
from search.answers.pool import AnswerPool
from server.cli.client import open_client, post_solve
from server.settings import load_settings

STRATEGIES = ("majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts", "auto")
CONCURRENCY = 16
ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class Case:
    """A search with early stopping, and the same without.

    Attributes:
        hasty, patient: What they reply.
        is_same: Both answers are equivalent; which response speaks for an answer, and so its notation, may differ.
    """

    hasty: dict[str, Any]
    patient: dict[str, Any]
    is_same: bool

    @property
    def is_drawn_otherwise(self) -> bool:
        """Whether the search that stops has brought to its end what the other has not: stopping only leaves out."""
        hasty, patient = (
            {(c["id"], c["response"]) for c in reply["candidates"] if c["finish"] == "complete"}
            for reply in (self.hasty, self.patient)
        )
        return not hasty <= patient

    @property
    def is_tie(self) -> bool:
        """Whether rounding may decide between the two leading answers."""
        votes = [vote for vote in self.patient["votes"] if vote["answer"] is not None]
        if len(votes) < 2 or votes[0]["weight"] is None:
            return False
        scores = sorted((c["score"] for c in self.patient["candidates"] if c["score"] is not None), reverse=True)
        return bool(votes[0]["weight"] - votes[1]["weight"] < ROUNDING or scores[0] - scores[1] < ROUNDING)


async def compare(
    client: httpx.AsyncClient, answers: AnswerPool, problem: str, strategy: str, n: int, seed: int
) -> Case:
    """Search twice, the one first in half of the cases and the other in the others: the second finds a warm cache."""
    request = {"problem": problem, "strategy": strategy, "n": n, "seed": seed, "include": ["candidates"]}
    replies = {
        stops: await post_solve(client, request | {"early_stop": stops}) for stops in (seed % 2 == 0, seed % 2 == 1)
    }
    given = [replies[stops]["answer"] for stops in (True, False)]
    is_same = given[0] == given[1] or (None not in given and await answers.equivalent(*given))
    return Case(replies[True], replies[False], is_same)


async def main(strategies: Sequence[str], num_problems: int, num_seeds: int, n: int) -> None:
    """Compare and print."""
    problems = [record.problem for record in held_out_problems(0, num_problems)]
    cases: dict[str, list[Case]] = defaultdict(list)
    places = asyncio.Semaphore(CONCURRENCY)
    async with AnswerPool(num_workers=1) as answers, open_client(None, load_settings()) as client:
        with Progress(console=Console(stderr=True)) as progress:
            bar = progress.add_task("cases", total=num_problems * num_seeds * len(strategies))

            async def measure(problem: str, strategy: str, seed: int) -> None:
                async with places:
                    cases[strategy].append(await compare(client, answers, problem, strategy, n, seed))
                progress.advance(bar)

            async with asyncio.TaskGroup() as group:
                for strategy in strategies:
                    for seed in range(num_seeds):
                        for problem in problems:
                            group.create_task(measure(problem, strategy, seed))
    show(cases, n)


def show(cases: dict[str, list[Case]], n: int) -> None:
    """Print a row for each strategy."""
    table = Table(title=f"exact early stopping, demo pair, N = {n}")
    reasons = "of the others: drawn otherwise", "near ties"
    for column in ("strategy", "same answer", *reasons, "generated", "judged", "seconds"):
        table.add_column(column, justify="left" if column == "strategy" else "right")
    for strategy, found in cases.items():
        others = [case for case in found if not case.is_same]
        table.add_row(
            strategy,
            f"{len(found) - len(others):,} of {len(found):,}",
            str(sum(case.is_drawn_otherwise for case in others)),
            str(sum(case.is_tie and not case.is_drawn_otherwise for case in others)),
            saved(found, "usage", "completion_tokens"),
            saved(found, "usage", "verifier_tokens"),
            saved(found, "timing", "search_s"),
        )
    Console(width=120).print(table)


def saved(cases: list[Case], part: str, name: str) -> str:
    """Return what early stopping leaves of the sum."""
    hasty, patient = (
        statistics.fmean(getattr(case, kind)[part][name] for case in cases) for kind in ("hasty", "patient")
    )
    return f"{hasty / patient - 1:+.0%}" if patient else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=80, help="Held-out demo problems.")
    parser.add_argument("--seeds", type=int, default=5, help="Seeds for each.")
    parser.add_argument("--n", type=int, default=16, help="N, the budget.")
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.strategies, arguments.problems, arguments.seeds, arguments.n))

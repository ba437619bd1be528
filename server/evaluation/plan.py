"""Which requests measure which strategies: a grid of cells, and the jobs that fill it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from search.voting import Selection

FLAT = {
    "majority": Selection.MAJORITY,
    "best_of_n": Selection.BEST,
    "weighted_best_of_n": Selection.WEIGHTED,
}
"""Strategies that draw the same responses, by how they vote."""
TREES = ("beam_search", "dvts")
STRATEGIES = ("greedy", *FLAT, *TREES)


class Cell(NamedTuple):
    """What one accuracy is measured for."""

    strategy: str
    n: int
    seed: int


@dataclass(frozen=True, slots=True)
class Job:
    """One request a problem, and the cells that its reply fills: its own first, then those subsampled from it."""

    cells: tuple[Cell, ...]
    request: dict[str, Any]

    @property
    def name(self) -> str:
        """For a progress bar."""
        own = self.cells[0]
        return f"{own.strategy} N = {own.n}, seed {own.seed}"


def plan_jobs(
    strategies: Sequence[str],
    num_seeds: Mapping[int, int],
    sampling: Mapping[str, Any],
    beam_width: int,
    *,
    subsample: bool = False,
) -> list[Job]:
    """Return the jobs that fill the grid.

    Args:
        strategies: Of `STRATEGIES`.
        num_seeds: For each budget N the seeds to use, from 0.
        sampling: Fields of a request: how responses are drawn.
        beam_width: M of the tree searches; N where N is smaller.
        subsample: Draw the responses of the flat strategies once a seed, at the largest N, and take from them all
            smaller N and all votes.
    """
    jobs = []
    if "greedy" in strategies:
        request = {**sampling, "strategy": "majority", "n": 1, "temperature": 0.0, "seed": 0, "include": []}
        jobs.append(Job((Cell("greedy", 1, 0),), request))
    for seed in range(max(num_seeds.values())):
        budgets = sorted((n for n, count in num_seeds.items() if seed < count), reverse=True)
        cells = [Cell(name, n, seed) for name in strategies if name in FLAT for n in budgets]
        if subsample and cells:
            drawn = "weighted_best_of_n" if {cell.strategy for cell in cells} - {"majority"} else "majority"
            cells.sort(key=lambda cell: (cell.n != budgets[0], cell.strategy != drawn))
            request = _request(cells[0], sampling) | {"strategy": drawn, "early_stop": False, "include": ["candidates"]}
            jobs.append(Job(tuple(cells), request))
        else:
            jobs += [Job((cell,), _request(cell, sampling)) for cell in cells]
        for cell in (Cell(name, n, seed) for name in strategies if name in TREES for n in budgets):
            jobs.append(Job((cell,), _request(cell, sampling) | {"beam_width": min(beam_width, cell.n)}))
    return jobs


def _request(cell: Cell, sampling: Mapping[str, Any]) -> dict[str, Any]:
    return {**sampling, "strategy": cell.strategy, "n": cell.n, "seed": cell.seed, "include": []}

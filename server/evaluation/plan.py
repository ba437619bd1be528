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
STRATEGIES = ("greedy", *FLAT, *TREES, "auto")


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

    @property
    def is_shared(self) -> bool:
        """True where the request asks for more work than its own cell needs: nothing is stopped, all is told."""
        return not self.request.get("early_stop", True)


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
            smaller N and all votes; likewise the subtrees of DVTS.
    """
    jobs = []
    if "greedy" in strategies:
        request = {**sampling, "strategy": "majority", "n": 1, "temperature": 0.0, "seed": 0, "include": []}
        jobs.append(Job((Cell("greedy", 1, 0),), request))
    for seed in range(max(num_seeds.values())):
        budgets = sorted((n for n, count in num_seeds.items() if seed < count), reverse=True)
        cells = [Cell(name, n, seed) for name in strategies if name != "greedy" for n in budgets]
        shared = [*_responses(cells, sampling), *_subtrees(cells, sampling, beam_width)] if subsample else []
        filled = {cell for job in shared for cell in job.cells}
        jobs += shared
        jobs += [Job((cell,), _request(cell, sampling, beam_width)) for cell in cells if cell not in filled]
    return jobs


def _responses(cells: Sequence[Cell], sampling: Mapping[str, Any]) -> list[Job]:
    """The job that draws the responses of all flat strategies."""
    flat = [cell for cell in cells if cell.strategy in FLAT]
    if not flat:
        return []
    flat.sort(key=lambda cell: (cell.n, list(FLAT).index(cell.strategy)), reverse=True)  # one that judges comes first
    request = _request(flat[0], sampling) | {"early_stop": False, "include": ["candidates"]}
    return [Job(tuple(flat), request)]


def _subtrees(cells: Sequence[Cell], sampling: Mapping[str, Any], beam_width: int) -> list[Job]:
    """The job that searches the subtrees of all DVTS with the same M, where there are several."""
    whole = sorted((cell for cell in cells if cell.strategy == "dvts" and cell.n % beam_width == 0), reverse=True)
    if len(whole) < 2:
        return []
    request = _request(whole[0], sampling, beam_width) | {"early_stop": False, "include": ["candidates", "tree"]}
    return [Job(tuple(whole), request)]


def _request(cell: Cell, sampling: Mapping[str, Any], beam_width: int = 1) -> dict[str, Any]:
    request = {**sampling, "strategy": cell.strategy, "n": cell.n, "seed": cell.seed, "include": []}
    if cell.strategy in TREES:
        request["beam_width"] = min(beam_width, cell.n)
    return request

"""Which requests measure which strategies: a grid of cells, and the jobs that fill it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from search.strategies import Parts, by_table, flat, one_sample, strategies, trees

GREEDY = "greedy"
"""One sample at temperature 0: what all strategies are compared with."""


def names() -> tuple[str, ...]:
    """Return what can be measured, from the simplest to what chooses among the others."""
    return (GREEDY, *(row.name for row in (*flat(), *trees(), *by_table())))


def usual_names() -> tuple[str, ...]:
    """Return those of `names()` that every service can run."""
    return tuple(name for name in names() if name == GREEDY or strategies()[name].unmet(None) is None)


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
    chosen: Sequence[str],
    num_seeds: Mapping[int, int],
    sampling: Mapping[str, Any],
    beam_width: int,
    *,
    subsample: bool = False,
) -> list[Job]:
    """Return the jobs that fill the grid.

    Args:
        chosen: Of `names()`.
        num_seeds: For each budget N the seeds to use, from 0.
        sampling: Fields of a request: how responses are drawn.
        beam_width: M of the tree searches; N where N is smaller.
        subsample: Draw the responses of the flat strategies once a seed, at the largest N, and take from them all
            smaller N and all votes; likewise the subtrees of DVTS.
    """
    jobs = []
    if GREEDY in chosen:
        request = {**sampling, "strategy": one_sample().name, "n": 1, "temperature": 0.0, "seed": 0, "include": []}
        jobs.append(Job((Cell(GREEDY, 1, 0),), request))
    for seed in range(max(num_seeds.values())):
        budgets = sorted((n for n, count in num_seeds.items() if seed < count), reverse=True)
        cells = [Cell(name, n, seed) for name in chosen if name != GREEDY for n in budgets]
        shared = [*_responses(cells, sampling), *_subtrees(cells, sampling, beam_width)] if subsample else []
        filled = {cell for job in shared for cell in job.cells}
        jobs += shared
        jobs += [Job((cell,), _request(cell, sampling, beam_width)) for cell in cells if cell not in filled]
    return jobs


def _responses(cells: Sequence[Cell], sampling: Mapping[str, Any]) -> list[Job]:
    """The job that draws the responses of all flat strategies."""
    order = [row.name for row in flat()]
    shared = [cell for cell in cells if cell.strategy in order]
    if not shared:
        return []
    shared.sort(key=lambda cell: (cell.n, order.index(cell.strategy)), reverse=True)  # one that judges comes first
    request = _request(shared[0], sampling) | {"early_stop": False, "include": ["candidates"]}
    return [Job(tuple(shared), request)]


def _subtrees(cells: Sequence[Cell], sampling: Mapping[str, Any], beam_width: int) -> list[Job]:
    """The jobs that search the subtrees of all budgets with the same M, where there are several."""
    jobs = []
    for name in (row.name for row in trees() if row.parts is Parts.SUBTREES):
        whole = sorted((cell for cell in cells if cell.strategy == name and cell.n % beam_width == 0), reverse=True)
        if len(whole) > 1:
            request = _request(whole[0], sampling, beam_width)
            jobs.append(Job(tuple(whole), request | {"early_stop": False, "include": ["candidates", "tree"]}))
    return jobs


def _request(cell: Cell, sampling: Mapping[str, Any], beam_width: int = 1) -> dict[str, Any]:
    request = {**sampling, "strategy": cell.strategy, "n": cell.n, "seed": cell.seed, "include": []}
    if strategies()[cell.strategy].has_beams:
        request["beam_width"] = min(beam_width, cell.n)
    return request

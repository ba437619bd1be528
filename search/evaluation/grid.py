"""Which requests measure which strategies: a grid of cells, and the jobs that fill it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import product
from typing import Any, NamedTuple

from models.glyphs import spelt_out
from search.strategies import Parts, by_table, flat, one_sample, request_fields, strategies, trees
from search.voting import Selection

GREEDY = "greedy"
"""One sample at temperature 0: what all strategies are compared with."""

SAMPLED = ("temperature", "top_p", "max_tokens", "system_prompt", "steps")
"""Fields of a request that every strategy reads."""

MAX_SHOWN = 40
"""Characters of a value that is shown as it is."""

Value = str | int | float | None
"""An object is written as JSON."""
Varied = tuple[tuple[str, Value], ...]
"""Fields of a request and the values that one configuration of several has for them."""


def shown(varied: Varied) -> str:
    """Return varied fields as `,name=value,name=value`, a long value cut off and told apart by its hash."""
    return spelt_out("".join(f",{name}={_short(value)}" for name, value in varied))


def _short(value: Value) -> str:
    text = "none" if value is None else " ".join(str(value).split())
    is_whole = len(text) <= MAX_SHOWN
    return text if is_whole else f"{text[:MAX_SHOWN]}... #{blake2b(str(value).encode(), digest_size=2).hexdigest()}"


class Configuration(NamedTuple):
    """A strategy, and the fields in which it differs from other configurations of the same strategy."""

    strategy: str
    varied: Varied = ()

    def __str__(self) -> str:
        return self.strategy + shown(self.varied)

    def at(self, n: int) -> "Point":
        """Return it at a budget."""
        return Point(self.strategy, n, self.varied)


class Point(NamedTuple):
    """A configuration at a budget."""

    strategy: str
    n: int
    varied: Varied = ()

    def __str__(self) -> str:
        return f"{self.strategy}@{self.n}{shown(self.varied)}"

    @property
    def configuration(self) -> Configuration:
        """It at any budget."""
        return Configuration(self.strategy, self.varied)


def names() -> tuple[str, ...]:
    """Return what can be measured, from the simplest to what chooses among the others."""
    return (GREEDY, *(row.name for row in (*flat(), *trees(), *by_table())))


def usual_names(*, has_verifier: bool = True) -> tuple[str, ...]:
    """Return those of `names()` that every service can run that has a verifier, or has none."""
    rows = strategies()
    usual = [name for name in names() if name == GREEDY or rows[name].unmet(None) is None]
    return tuple(name for name in usual if has_verifier or name == GREEDY or not rows[name].judges)


def can_vary() -> tuple[str, ...]:
    """Return the fields of a request that can be varied."""
    return (*(field.name for field in request_fields()), *SAMPLED)


def reads(name: str, field: str) -> bool:
    """Tell whether a field changes what one of `names()` answers."""
    if name == GREEDY:
        return field in ("max_tokens", "system_prompt")
    return field in SAMPLED or strategies()[name].reads(field)


def configurations(chosen: Iterable[str], varied: Mapping[str, Sequence[Value]]) -> list[Configuration]:
    """Return every strategy with every combination of the values of the fields that it reads.

    Args:
        chosen: Of `names()`.
        varied: Values by field, the one that the others are compared with first.
    """
    found = []
    for name in chosen:
        own = {field: values for field, values in varied.items() if reads(name, field)}
        found += [Configuration(name, tuple(zip(own, values, strict=True))) for values in product(*own.values())]
    return found


class Cell(NamedTuple):
    """What one accuracy is measured for."""

    strategy: str
    n: int
    seed: int
    varied: Varied = ()

    @property
    def point(self) -> Point:
        """It with any seed."""
        return Point(self.strategy, self.n, self.varied)


@dataclass(frozen=True, slots=True)
class Job:
    """One request a problem, and the cells that its reply fills: its own first, then those subsampled from it."""

    cells: tuple[Cell, ...]
    request: dict[str, Any]

    @property
    def name(self) -> str:
        """For a progress bar."""
        own = self.cells[0]
        return f"{own.point.configuration} N = {own.n}, seed {own.seed}"

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
    varied: Mapping[str, Sequence[Value]] | None = None,
    subsample: bool = False,
) -> list[Job]:
    """Return the jobs that fill the grid.

    Args:
        chosen: Of `names()`.
        num_seeds: For each budget N the seeds to use, from 0.
        sampling: Fields of a request: how responses are drawn.
        beam_width: M of the tree searches; N where N is smaller.
        varied: Values by field, of those that `can_vary()`: each is measured for every strategy that reads the field.
        subsample: Draw the responses of the flat strategies once a seed, at the largest N, and take from them all
            smaller N and all votes but tournaments, which ask the verifier; likewise the subtrees of DVTS.
    """
    jobs = []
    measured = configurations(chosen, varied or {})
    for greedy in (each for each in measured if each.strategy == GREEDY):
        request = {**sampling, "strategy": one_sample().name, "n": 1, "temperature": 0.0, "seed": 0, "include": []}
        jobs.append(Job((Cell(GREEDY, 1, 0, greedy.varied),), request | dict(greedy.varied)))
    for seed in range(max(num_seeds.values())):
        budgets = sorted((n for n, count in num_seeds.items() if seed < count), reverse=True)
        cells = [Cell(name, n, seed, own) for name, own in measured if name != GREEDY for n in budgets]
        votes = [cell for cell in cells if dict(cell.varied).get("selection") != Selection.TOURNAMENT.value]
        shared = [*_responses(votes, sampling), *_subtrees(votes, sampling, beam_width)] if subsample else []
        filled = {cell for job in shared for cell in job.cells}
        jobs += shared
        jobs += [Job((cell,), _request(cell, sampling, beam_width)) for cell in cells if cell not in filled]
    return jobs


def _responses(cells: Sequence[Cell], sampling: Mapping[str, Any]) -> list[Job]:
    """The jobs that draw the responses of all flat strategies, one for each of their configurations."""
    order = [row.name for row in flat()]
    jobs = []
    for alike in _by_varied(cell for cell in cells if cell.strategy in order):
        shared = sorted(alike, key=lambda cell: (cell.n, order.index(cell.strategy)), reverse=True)  # one that judges
        request = _request(shared[0], sampling) | {"early_stop": False, "include": ["candidates"]}
        jobs.append(Job(tuple(shared), request))
    return jobs


def _subtrees(cells: Sequence[Cell], sampling: Mapping[str, Any], beam_width: int) -> list[Job]:
    """The jobs that search the subtrees of all budgets with the same M, where there are several."""
    jobs = []
    for name in (row.name for row in trees() if row.parts is Parts.SUBTREES):
        for alike in _by_varied(cell for cell in cells if cell.strategy == name):
            width: Any = dict(alike[0].varied).get("beam_width", beam_width)
            whole = sorted((cell for cell in alike if cell.n % width == 0), key=lambda cell: cell.n, reverse=True)
            if len(whole) > 1:
                request = _request(whole[0], sampling, beam_width)
                jobs.append(Job(tuple(whole), request | {"early_stop": False, "include": ["candidates", "tree"]}))
    return jobs


def _by_varied(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Cells that share their varied fields, together."""
    groups: dict[Varied, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.varied, []).append(cell)
    return list(groups.values())


def _request(cell: Cell, sampling: Mapping[str, Any], beam_width: int = 1) -> dict[str, Any]:
    request = {**sampling, "strategy": cell.strategy, "n": cell.n, "seed": cell.seed, "include": []}
    if strategies()[cell.strategy].has_beams:
        request["beam_width"] = beam_width
    request |= dict(cell.varied)
    if "beam_width" in request:
        request["beam_width"] = min(request["beam_width"], cell.n)
    return request

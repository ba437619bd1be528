"""Outcomes, in memory and as JSON lines that an interrupted run goes on from.

The first line of a file says how its outcomes were made; a run with other settings does not mix its own with them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from server.evaluation.plan import Cell


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one problem went in one cell.

    Attributes:
        problem: What was asked.
        level: Its difficulty, where that is known.
        strategy: Of the cell.
        n: Of the cell.
        seed: Of the cell.
        answer: What came back.
        is_correct: Whether it is equivalent to the known answer.
        completion_tokens: Generated.
        verifier_tokens: Computed by the verifier; None for a cell subsampled from another's responses.
        verifier_cached_tokens: Judged from its cache; None likewise.
        seconds: From request to reply, among others at the same time; None likewise.
    """

    problem: str
    level: int | None
    strategy: str
    n: int
    seed: int
    answer: str | None
    is_correct: bool
    completion_tokens: int
    verifier_tokens: int | None = None
    verifier_cached_tokens: int | None = None
    seconds: float | None = None

    @property
    def cell(self) -> Cell:
        """What it was measured for."""
        return Cell(self.strategy, self.n, self.seed)


class Results:
    """The outcomes of a run.

    Args:
        path: File to keep them in; None keeps them in memory only.
        made: What the outcomes depend on, for the file's first line.

    Raises:
        click.BadParameter: The file was made with other settings, or is no such file.
    """

    def __init__(self, path: Path | None, made: dict[str, Any]) -> None:
        self._path = path
        self._outcomes: dict[tuple[str, Cell], Outcome] = {}
        if path is None:
            return
        if path.exists() and path.stat().st_size:
            self._load(path, made)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"made": made}) + "\n")

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """All of them."""
        return tuple(self._outcomes.values())

    def has(self, problem: str, cells: Iterable[Cell]) -> bool:
        """Tell whether all `cells` are measured for the problem."""
        return all((problem, cell) in self._outcomes for cell in cells)

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Keep the outcomes of one reply, in one write."""
        self._outcomes |= {(outcome.problem, outcome.cell): outcome for outcome in outcomes}
        if self._path:
            with self._path.open("a") as file:
                file.write("".join(json.dumps(asdict(outcome), ensure_ascii=False) + "\n" for outcome in outcomes))

    def _load(self, path: Path, made: dict[str, Any]) -> None:
        complete, _, torn = path.read_text().rpartition("\n")
        if torn:  # by a cut: its problem is measured again
            path.write_text(complete + "\n")
        try:
            first, *lines = map(json.loads, complete.splitlines())
            outcomes = [Outcome(**line) for line in lines]
            kept = first["made"]
        except (ValueError, KeyError, TypeError) as error:
            raise click.BadParameter(f"{path} holds no outcomes of this command", param_hint="--out") from error
        if kept != made:
            changed = sorted(name for name in made.keys() | kept.keys() if made.get(name) != kept.get(name))
            message = f"{path} was made with another {', '.join(changed)}; take another file"
            raise click.BadParameter(message, param_hint="--out")
        self._outcomes = {(outcome.problem, outcome.cell): outcome for outcome in outcomes}

"""The outcomes of a run, in memory and in a file that an interrupted run goes on from.

What the outcomes depend on must be the same in a run that goes on.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from models.files import Journal, UnreadableFileError
from search.evaluation.grid import Cell
from search.evaluation.outcomes import Outcome, read_evaluation


class Results:
    """The outcomes of a run.

    Args:
        path: File to keep them in; None keeps them in memory only.
        made: What the outcomes depend on, for the file's first line.
        told: What else is to be known of how this run makes them.

    Raises:
        UnreadableFileError: The file holds something else, or was made in another way.
        UnwritableFileError: It cannot be written.
    """

    def __init__(self, path: Path | None, made: dict[str, Any], told: dict[str, Any] | None = None) -> None:
        self.path = path
        self._journal = Journal(path) if path else None
        self._outcomes: dict[tuple[str, Cell], Outcome] = {}
        has_begun = self._journal is not None and self._load(self._journal, made)
        self._write({"told": told or {}} if has_begun else {"made": made, "told": told or {}})

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """All of them."""
        return tuple(self._outcomes.values())

    def has(self, problem: str, cells: Iterable[Cell], *, with_costs: bool = False) -> bool:
        """Tell whether all `cells` are measured for the problem, by requests of their own if `with_costs`."""
        found = [self._outcomes.get((problem, cell)) for cell in cells]
        return all(outcome is not None and (outcome.is_served or not with_costs) for outcome in found)

    def of(self, problem: str, cells: Iterable[Cell]) -> list[Outcome]:
        """Return what is measured of `cells` for the problem, in their order."""
        return [outcome for cell in cells if (outcome := self._outcomes.get((problem, cell)))]

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Keep the outcomes of one reply, in one write."""
        self._outcomes |= {(outcome.problem, outcome.cell): outcome for outcome in outcomes}
        self._write(*(outcome.as_record() for outcome in outcomes))

    def _write(self, *records: dict[str, Any]) -> None:
        if self._journal:
            self._journal.append(*records)

    def _load(self, journal: Journal, made: dict[str, Any]) -> bool:
        """Take in what is on file; False where nothing is yet."""
        try:
            if not journal.read():
                return False
            kept = read_evaluation(journal.path)
        except UnreadableFileError as error:
            raise UnreadableFileError(
                f"{journal.path} holds no outcomes of this command: choose another --out"
            ) from error
        if changed := sorted(name for name in made | kept.made if made.get(name) != kept.made.get(name)):
            values = "; ".join(f"{name} {kept.made.get(name)!r}, now {made.get(name)!r}" for name in changed)
            raise UnreadableFileError(f"{journal.path} was made otherwise: {values}; choose another --out")
        self._outcomes = {(outcome.problem, outcome.cell): outcome for outcome in kept.outcomes}
        return True

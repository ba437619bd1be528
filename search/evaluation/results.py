"""Outcomes, in memory and as JSON lines that an interrupted run goes on from.

The first line of a file says how its outcomes were made: in `made` what they depend on, which a run that goes on must
share; in `told` the rest. A run that goes on tells it of itself before its own outcomes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.files import Journal, UnreadableFileError
from search.evaluation.plan import Cell


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
        completion_tokens: Generated; for a cell subsampled from another's reply its share of that one's.
        verifier_tokens: Computed by the verifier; None for a subsampled cell.
        verifier_cached_tokens: Judged from its cache; None likewise.
        seconds: From request to reply, among others at the same time; None likewise.
        early_stop: Whether work that could not change the answer was left out, as in a request that does not say
            otherwise; None where that was not written down.
        num_right: Of the N responses, those that are right; None where not all of them were seen.
        confidence: What the reply said of its answer, in [0, 1]; None where it said nothing.
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
    early_stop: bool | None = None
    num_right: int | None = None
    confidence: float | None = None

    @property
    def cell(self) -> Cell:
        """What it was measured for."""
        return Cell(self.strategy, self.n, self.seed)

    @property
    def is_served(self) -> bool:
        """True where its tokens and seconds are those of a request for this cell and no more."""
        return self.seconds is not None and self.early_stop is not False


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

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Keep the outcomes of one reply, in one write."""
        self._outcomes |= {(outcome.problem, outcome.cell): outcome for outcome in outcomes}
        self._write(*map(asdict, outcomes))

    def _write(self, *records: dict[str, Any]) -> None:
        if self._journal:
            self._journal.append(*records)

    def _load(self, journal: Journal, made: dict[str, Any]) -> bool:
        """Take in what is on file; False where nothing is yet."""
        try:
            first, *lines = journal.read() or [{}]
            if not first:
                return False
            outcomes = [Outcome(**line) for line in lines if "told" not in line]
            kept = dict(first["made"])
        except (UnreadableFileError, ValueError, KeyError, TypeError) as error:
            raise UnreadableFileError(
                f"{journal.path} holds no outcomes of this command: choose another --out"
            ) from error
        if changed := sorted(name for name in made if made[name] != kept.get(name)):
            values = "; ".join(f"{name} {kept.get(name)!r}, now {made[name]!r}" for name in changed)
            raise UnreadableFileError(f"{journal.path} was made otherwise: {values}; choose another --out")
        self._outcomes = {(outcome.problem, outcome.cell): outcome for outcome in outcomes}
        return True

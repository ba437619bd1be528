"""Files of outcomes: how every problem went in every cell, and how that was made.

The first line of a file says how its outcomes were made: in `made` what they depend on, in `told` the rest. A run that
goes on tells the rest of itself before its own outcomes.
"""

from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from models.files import Journal, UnreadableFileError
from models.glyphs import spelt_out
from search.evaluation.grid import Cell, Varied, names


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
        varied: Of the cell.
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
    varied: Varied = ()

    @property
    def cell(self) -> Cell:
        """What it was measured for."""
        return Cell(self.strategy, self.n, self.seed, self.varied)

    @property
    def is_served(self) -> bool:
        """True where its tokens and seconds are those of a request for this cell and no more."""
        return self.seconds is not None and self.early_stop is not False

    def as_record(self) -> dict[str, Any]:
        """Return it as a line of a file."""
        return asdict(self) | {"varied": dict(self.varied)}


FIELDS = frozenset(field.name for field in fields(Outcome))

COUNT, MEASURE = (int,), (int, float, type(None))
KINDS: dict[str, tuple[type, ...]] = {
    "problem": (str,),
    "strategy": (str,),
    "n": COUNT,
    "seed": COUNT,
    "is_correct": (bool,),
    "completion_tokens": COUNT,
    "verifier_tokens": MEASURE,
    "verifier_cached_tokens": MEASURE,
    "seconds": MEASURE,
}
"""What the fields that are read may be."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A file of outcomes.

    Attributes:
        name: Of the models: policy + verifier, the last two parts of each; the file's where it names none.
        made: How the outcomes were made, as the first line says.
        outcomes: Of every problem in every cell, the last one written.
    """

    name: str
    made: dict[str, Any]
    outcomes: tuple[Outcome, ...]


def read_evaluation(path: Path) -> Evaluation:
    """Read a file that `winnow eval --out` wrote, or still writes: a torn last line is left out.

    Fields that this version does not know are left out, too.

    Raises:
        UnreadableFileError: It is no such file; the message names the line.
    """
    head, *lines = Journal(path).read() or [{}]
    if not isinstance(made := head.get("made"), dict):
        raise UnreadableFileError(f"{path}, line 1: does not say how it was made, as files of winnow eval --out do")
    outcomes = {}
    for number, record in enumerate(lines, start=2):
        if "told" not in record:  # where a run went on, it tells of itself
            outcome = _outcome(path, number, record)
            outcomes[outcome.problem, outcome.cell] = outcome
    return Evaluation(_models(head) or path.stem, made, tuple(outcomes.values()))


def _outcome(path: Path, number: int, record: dict[str, Any]) -> Outcome:
    known = {name: value for name, value in record.items() if name in FIELDS}
    varied = known.pop("varied", {})
    if not isinstance(varied, dict) or not all(
        isinstance(value, str | int | float | None) for value in varied.values()
    ):
        raise UnreadableFileError(f"{path}, line {number}: varied cannot be {varied!r}")
    try:
        outcome = Outcome(**known, varied=tuple(varied.items()))
    except TypeError as error:
        missing = sorted(
            field.name for field in fields(Outcome) if field.default is MISSING and field.name not in record
        )
        raise UnreadableFileError(f"{path}, line {number}: no {', '.join(missing)}") from error
    for name, kinds in KINDS.items():
        value = getattr(outcome, name)
        if type(value) not in kinds or (name == "n" and value < 1):
            raise UnreadableFileError(f"{path}, line {number}: {name} cannot be {value!r}")
    if outcome.strategy not in names():
        known_ones = ", ".join(names())
        raise UnreadableFileError(f"{path}, line {number}: strategy {outcome.strategy!r} is none of {known_ones}")
    return outcome


def _models(head: dict[str, Any]) -> str:
    """Return the names of the models: what the run tells, else what its outcomes depend on."""
    told, made = head.get("told"), head["made"]
    models = told.get("models") if isinstance(told, dict) else None
    named = models if isinstance(models, list) else [made.get("policy"), made.get("verifier")]
    return " + ".join(_short(str(model)) for model in named if model)


def _short(model: str) -> str:
    return spelt_out("/".join(model.rstrip("/").split("/")[-2:]))

"""Outcomes of `winnow eval` for those who only read them: what they were made with, and how every problem went."""

from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from models.files import Journal, UnreadableFileError
from search.evaluation.results import Outcome

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
        outcomes: At least one.
    """

    name: str
    made: dict[str, Any]
    outcomes: tuple[Outcome, ...]


def read_evaluation(path: Path) -> Evaluation:
    """Read a file that `winnow eval --out` wrote, or still writes: a torn last line is left out.

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
    if not outcomes:
        raise UnreadableFileError(f"{path} holds no outcome")
    return Evaluation(_models(head) or path.stem, made, tuple(outcomes.values()))


def _outcome(path: Path, number: int, record: dict[str, Any]) -> Outcome:
    """Fields that this version does not know are left out."""
    try:
        outcome = Outcome(**{name: value for name, value in record.items() if name in FIELDS})
    except TypeError as error:
        missing = sorted(
            field.name for field in fields(Outcome) if field.default is MISSING and field.name not in record
        )
        raise UnreadableFileError(f"{path}, line {number}: no {', '.join(missing)}") from error
    for name, kinds in KINDS.items():
        value = getattr(outcome, name)
        if type(value) not in kinds or (name == "n" and value < 1):
            raise UnreadableFileError(f"{path}, line {number}: {name} cannot be {value!r}")
    return outcome


def _models(head: dict[str, Any]) -> str:
    """Return the names of the models: what the run tells, else what its outcomes depend on."""
    told, made = head.get("told"), head["made"]
    models = told.get("models") if isinstance(told, dict) else None
    named = models if isinstance(models, list) else [made.get("policy"), made.get("verifier")]
    return " + ".join(_short(str(model)) for model in named if model)


def _short(model: str) -> str:
    return "/".join(model.rstrip("/").split("/")[-2:])

"""The formats of step labels that are read and written, a row each. A file's format is known by its fields."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.files import UnreadableFileError
from models.labels import math_shepherd, own, prm800k, rlhflow, trl_stepwise
from models.labels.response import LabelledResponse, Row
from models.rows import read_rows


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """A format of step labels.

    Attributes:
        name: As `--format` spells it.
        fields: That each row has.
        read: The responses of a row; raises ValueError for one that cannot be used.
        write: Rows of responses, from a threshold of the labels on.
        is_binary: Whether its labels are right or wrong, and no shares.
    """

    name: str
    fields: frozenset[str]
    read: Callable[[Row], list[LabelledResponse]]
    write: Callable[[Sequence[LabelledResponse], float], list[Row]]
    is_binary: bool = True

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(sorted(self.fields))})"


FORMATS = {
    each.name: each
    for each in (
        LabelFormat("winnow", own.FIELDS, own.read, own.write, is_binary=False),
        LabelFormat("trl-stepwise", trl_stepwise.FIELDS, trl_stepwise.read, trl_stepwise.write),
        LabelFormat("prm800k", prm800k.FIELDS, prm800k.read, prm800k.write),
        LabelFormat("math-shepherd", math_shepherd.FIELDS, math_shepherd.read, math_shepherd.write),
        LabelFormat("rlhflow", rlhflow.FIELDS, rlhflow.read, rlhflow.write),
    )
}

Read = tuple[int, LabelledResponse | ValueError]
"""The number of a row, from 1, and a response of it, or why it cannot be used."""


def format_of(row: Row) -> LabelFormat | None:
    """Return the format whose fields a row has; None where it has those of none."""
    return next((each for each in FORMATS.values() if each.fields <= row.keys()), None)


def read_labels(path: Path, name: str | None = None) -> Iterator[Read]:
    """Yield the labelled responses of a file: JSON lines, JSON or Parquet.

    Args:
        path: Of the file.
        name: Its format; None recognises it by the first row that has the fields of one.

    Raises:
        UnreadableFileError: It cannot be read, or its format is not recognised.
    """
    rows = list(read_rows(path, spelt_numbers=False))
    held = [row for _, row in rows if not isinstance(row, ValueError)]
    found = FORMATS[name] if name else next((each for row in held if (each := format_of(row))), None)
    if found is None:
        has = f"; its first row has {', '.join(held[0]) or 'no field'}" if held else ""
        allowed = "; ".join(map(str, FORMATS.values()))
        raise UnreadableFileError(f"{path}: not a file of step labels{has}; allowed are rows with: {allowed}")
    for number, row in rows:
        yield from ((number, each) for each in _read(row, found))


def _read(row: Row | ValueError, known: LabelFormat) -> Sequence[LabelledResponse | ValueError]:
    if isinstance(row, ValueError):
        return [row]
    try:
        return known.read(row)
    except ValueError as error:
        return [error]

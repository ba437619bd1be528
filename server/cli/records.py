"""Files of answers, one JSON object a line: read line by line, gold and predictions matched.

A line that cannot be used is kept with its fault. Knows nothing of what answers mean.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.files import find_field, parse_object, read_lines
from search.answers.extract import extract_answer

RESPONSE = "response"
"""The field that holds a whole response, in which only an answer that it states counts."""


class RecordsError(Exception):
    """The files cannot be read, or not be matched; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a file.

    Attributes:
        number: Of the line, from 1.
        id: Of the record; None where it has none.
        answer: The answer; None where the line states none.
        fault: Why the line cannot be used; None where it can.
    """

    number: int
    id: str | None = None
    answer: str | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """A gold answer and its prediction; None where there is none."""

    gold: Record
    pred: Record | None


def read_records(path: Path, fields: Sequence[str], id_field: str) -> list[Record]:
    """Read a file.

    Args:
        path: JSON lines.
        fields: Names of the field with the answer; the first that a record has is taken. `samples.0.answer` is a field
            within a list within a field.
        id_field: Name of the field that identifies a record.

    Raises:
        UnreadableFileError: The file cannot be read.
        RecordsError: No line of it can be used.
    """
    lines = list(read_lines(path, blank=True))
    records = list(_without_repeats(_read(number, line, fields, id_field) for number, line in lines))
    if all(record.fault for record in records):
        first = f"; line 1: {records[0].fault}" if records else ""
        raise RecordsError(f"{path}: no line can be used{first}")
    return records


def match(gold: Sequence[Record], pred: Sequence[Record]) -> list[Pair]:
    """Match predictions to gold answers: by id where all usable lines of both have one, else line by line.

    Raises:
        RecordsError: They are matched by line, and one file is longer.
    """
    if all(record.id is not None or record.fault for record in (*gold, *pred)):
        by_id: dict[str | None, Record] = {record.id: record for record in pred if record.id is not None}
        return [Pair(record, by_id.get(record.id)) for record in gold]
    if len(gold) != len(pred):
        raise RecordsError(f"{len(gold)} gold lines and {len(pred)} predictions: without ids in both, as many of each")
    return [Pair(*pair) for pair in zip(gold, pred, strict=True)]


def _read(number: int, line: bytes, fields: Sequence[str], id_field: str) -> Record:
    try:
        record = parse_object(line, spelt_numbers=True)
    except ValueError as error:
        return Record(number, fault=str(error))
    id_ = record.get(id_field)
    id_ = id_ if isinstance(id_, str) else None
    for field in fields:
        found, value = find_field(record, field)
        if found and not isinstance(value, str | None):
            return Record(number, id_, fault=f"{field} is neither text nor a number")
        if found:
            return Record(number, id_, _answer(value or "", field))
    return Record(number, id_, fault=f"no field {' or '.join(fields)}; it has {', '.join(record) or 'none'}")


def _answer(text: str, field: str) -> str | None:
    """The answer that a text states; what states none is itself the answer, unless it is a response."""
    is_response = field.rpartition(".")[2] == RESPONSE
    return extract_answer(text) or (None if is_response else text.strip() or None)


def _without_repeats(records: Iterator[Record]) -> Iterator[Record]:
    first: dict[str, int] = {}
    for record in records:
        if record.id is not None and first.setdefault(record.id, record.number) != record.number:
            yield Record(record.number, fault=f"id {record.id!r} stands in line {first[record.id]} already")
        else:
            yield record

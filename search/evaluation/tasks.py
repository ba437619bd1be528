"""Problems whose answers are known: the demo's own, and files of benchmarks as they come.

Read are JSON lines as MATH (and MATH-500), GSM8K and AIME have them: the problem in `problem` or `question`, the answer
in `answer` (GSM8K's whole solutions, which end in `#### 42`, too) or in the box of a `solution`, the difficulty in
`level` as 3 or "Level 3". Names may be capitalised; other fields are ignored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.files import UnreadableFileError, parse_object, read_lines
from search.answers.extract import extract_answer

PROBLEM_FIELDS = ("problem", "question")
ANSWER_FIELDS = ("answer", "solution")
PARQUET_MAGIC = b"PAR1"
MAX_FAULTS = 20
"""Bad lines that are named; the others are counted."""
LEVEL = re.compile(r"(?:level\s*)?(\d{1,9})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Task:
    """A problem, its answer, and its difficulty level and family where it has them."""

    problem: str
    answer: str
    level: int | None = None
    family: str | None = None


def read_tasks(path: Path) -> list[Task]:
    """Read a file of problems; one that stands in it several times is read once.

    A file with a bad line is refused as a whole: an accuracy on the rest would be that of another benchmark.

    Raises:
        UnreadableFileError: It cannot be read, or lines of it cannot be used; the message says which and why.
    """
    tasks: dict[str, Task] = {}
    faults = []
    for number, line in _lines(path):
        try:
            task = _read(line)
            if tasks.setdefault(task.problem, task).answer != task.answer:
                raise ValueError("the problem of an earlier line with another answer")
        except ValueError as error:
            faults.append(f"{path}, line {number}: {error}")
    if faults:
        more = [f"{path}: and {len(faults) - MAX_FAULTS:,} more bad lines"] if len(faults) > MAX_FAULTS else []
        raise UnreadableFileError("\n".join([*faults[:MAX_FAULTS], *more]))
    if not tasks:
        raise UnreadableFileError(f"{path} holds no problem")
    return list(tasks.values())


def _lines(path: Path) -> list[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers."""
    with path.open("rb") as file:
        if file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC:
            raise UnreadableFileError(
                f"{path} is a Parquet file; only JSON lines are read: convert it (in pandas: to_json, lines=True)"
            )
    return read_lines(path)


def _read(line: bytes) -> Task:
    """Read a line; its numbers stay as they are written.

    Raises:
        ValueError: It holds no problem with an answer.
    """
    record = parse_object(line, spelt_numbers=True)
    fields = {str(name).lower(): value for name, value in record.items()}
    _, problem = _first(fields, PROBLEM_FIELDS)
    name, text = _first(fields, ANSWER_FIELDS)
    answer = extract_answer(text) or (text if name == "answer" else None)
    if answer is None:
        raise ValueError(f"{name} states no answer, in a box or elsewhere")
    family = fields.get("family")
    return Task(problem, answer, _level(fields.get("level")), family if isinstance(family, str) else None)


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, str]:
    """The first of the fields that is there, and its text."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            return name, value.strip()
    raise ValueError(f"needs text as {' or '.join(names)}; it has {', '.join(fields) or 'no field'}")


def _level(said: Any) -> int | None:
    found = LEVEL.fullmatch(said.strip()) if isinstance(said, str) else None
    return int(found[1]) if found else None

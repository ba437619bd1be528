"""Problems whose answers are known: the demo's own, and files of benchmarks as they come.

Read are JSON lines as MATH (and MATH-500), GSM8K and AIME have them: the problem in `problem` or `question`, the answer
in `answer` (GSM8K's whole solutions, which end in `#### 42`, too) or in the box of a `solution`, the difficulty in
`level` as 3 or "Level 3". Names may be capitalised; other fields are ignored.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from search.answers.extract import extract_answer

PROBLEM_FIELDS = ("problem", "question")
ANSWER_FIELDS = ("answer", "solution")
PARQUET_MAGIC = b"PAR1"
LEVEL = re.compile(r"(?:level\s*)?(\d{1,9})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Task:
    """A problem, its answer, and its difficulty level where it has one."""

    problem: str
    answer: str
    level: int | None = None


def demo_tasks(seed: int, count: int) -> list[Task]:
    """Return problems of the demo's kind that it was not trained on."""
    from models.training.demo.tasks.stream import held_out_problems

    return [Task(task.problem, task.answer, task.level) for task in held_out_problems(seed, count)]


def read_tasks(path: Path) -> list[Task]:
    """Read a file of problems; one that stands in it several times is read once.

    Raises:
        click.BadParameter: It is no such file, or a line of it is none; the message says which and why.
    """
    tasks: dict[str, Task] = {}
    for number, line in _lines(path):
        try:
            task = _read(line)
        except ValueError as error:
            raise _refused(f"{path}, line {number}: {error}") from error
        if tasks.setdefault(task.problem, task).answer != task.answer:
            raise _refused(f"{path}, line {number}: the problem of an earlier line with another answer")
    if not tasks:
        raise _refused(f"{path} holds no problem")
    return list(tasks.values())


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    content = path.read_bytes()
    if content.startswith(PARQUET_MAGIC):
        raise _refused(
            f"{path} is a Parquet file; only JSON lines are read: convert it (in pandas: to_json, lines=True)"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(f"{path} is no text in UTF-8; allowed: JSON lines") from error
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def _read(line: str) -> Task:
    """Read a line; its numbers stay as they are written.

    Raises:
        ValueError: It holds no problem with an answer.
    """
    try:
        record = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}); allowed: one object a line") from error
    if not isinstance(record, dict):
        raise ValueError("not an object; allowed: one object a line")
    fields = {str(name).lower(): value for name, value in record.items()}
    _, problem = _first(fields, PROBLEM_FIELDS)
    name, text = _first(fields, ANSWER_FIELDS)
    answer = extract_answer(text) or (text if name == "answer" else None)
    if answer is None:
        raise ValueError(f"{name} states no answer, in a box or elsewhere")
    return Task(problem, answer, _level(fields.get("level")))


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


def _refused(message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint="--problems")

"""Problems whose answers are known: the demo's own, and files of benchmarks as they come.

What a field is called says what it is, in the order of the tables below; names may be capitalised, and what lm-eval
logs as `doc` is read in place of its row. A story and choices are joined with the question by one template, which the
file's description names. Other fields are ignored.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from models.files import SpeltNumber, UnreadableFileError, find_field
from models.rows import read_rows
from search.answers.extract import extract_answer
from search.evaluation.choices import Choices, of_columns, read_choices, right_choice

PROBLEM_FIELDS = ("problem", "question", "question_stem", "prompt", "input", "query", "content")
STORY_FIELDS = ("passage", "body", "context", "story")
CHOICES_FIELDS = ("choices", "options")
ANSWER_FIELDS = (
    "expected_answer", "final_answer", "answer", "correct", "correct_answer", "answerkey", "answer_key", "label",
    "target", "gold", "gold_answer", "ground_truth", "reward_model.ground_truth", "answer_number", "solution",
)  # fmt: skip
WORKED = frozenset({"answer", "solution"})
"""Fields that may hold a whole solution, of which only what it states is the answer."""

MAX_FAULTS = 20
"""Bad rows that are named; the others are counted."""
LEVEL = re.compile(r"(?:level\s*)?(\d{1,9})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Task:
    """A problem and its answer.

    Attributes:
        problem: What is asked, with its story and its choices.
        answer: The right answer; of a choice, its letter.
        level: The difficulty, where it has one.
        others: Further answers that are right.
        family: What kind of problem it is, where that is known.
    """

    problem: str
    answer: str
    level: int | None = None
    others: tuple[str, ...] = ()
    family: str | None = None


@dataclass(frozen=True, slots=True)
class Fields:
    """Which fields of a row are read; what is empty is found by the usual names.

    A name may lead into a field: `doc.question`, `answers.0`.

    Attributes:
        problem: Names of fields that are joined, line by line, to the problem.
        answer: Name of the field with the answer.
        choices: Name of the field with the choices.
    """

    problem: tuple[str, ...] = ()
    answer: str | None = None
    choices: str | None = None


@dataclass(frozen=True, slots=True)
class TaskFile:
    """What a file of problems holds.

    Attributes:
        tasks: Each problem once.
        num_rows: Rows of the file.
        num_repeated: Rows that hold a problem of an earlier row.
        faults: Rows that are left out, and why.
        template: How a problem is joined from its fields.
    """

    tasks: tuple[Task, ...]
    num_rows: int
    num_repeated: int
    faults: tuple[str, ...]
    template: str

    @property
    def description(self) -> str:
        """Rows, problems, what was left out, and the template, in a line."""
        counts = f"{self.num_rows:,} rows, {len(self.tasks):,} problems"
        repeated = f", {self.num_repeated:,} repeated" if self.num_repeated else ""
        left_out = f", {len(self.faults):,} left out" if self.faults else ""
        return f"{counts}{repeated}{left_out}; a problem is {self.template}"

    def named_faults(self) -> Iterator[str]:
        """Yield the bad rows, the first ones by name."""
        yield from self.faults[:MAX_FAULTS]
        if len(self.faults) > MAX_FAULTS:
            yield f"and {len(self.faults) - MAX_FAULTS:,} more"


def read_tasks(path: Path, fields: Fields | None = None) -> TaskFile:
    """Read a file of problems; one that stands in it several times is read once, a bad row is left out.

    Raises:
        UnreadableFileError: It cannot be read, or no row of it can be used; the message says which and why.
    """
    chosen = fields or Fields()
    tasks: dict[str, Task] = {}
    templates: dict[str, None] = {}
    faults, num_rows, num_repeated = [], 0, 0
    for number, row in read_rows(path):
        num_rows += 1
        try:
            if isinstance(row, ValueError):
                raise row
            task, template = _read(row, chosen)
            num_repeated += task.problem in tasks
            if tasks.setdefault(task.problem, task).answer != task.answer:
                num_repeated -= 1
                raise ValueError("the problem of an earlier line with another answer")
            templates[template] = None
        except ValueError as error:
            faults.append(f"{path}, line {number}: {error}")
    if not tasks:
        more = [f"{path}: and {len(faults) - MAX_FAULTS:,} more bad lines"] if len(faults) > MAX_FAULTS else []
        raise UnreadableFileError("\n".join([*faults[:MAX_FAULTS], *more]) or f"{path} holds no problem")
    return TaskFile(tuple(tasks.values()), num_rows, num_repeated, tuple(faults), " or ".join(templates))


def _read(row: Mapping[str, Any], chosen: Fields) -> tuple[Task, str]:
    """Read a row, and say how its problem is joined.

    Raises:
        ValueError: It holds no problem with an answer.
    """
    document = row.get("doc")
    fields = {str(name).lower(): value for name, value in row.items()}
    fields |= {str(name).lower(): value for name, value in document.items()} if isinstance(document, dict) else {}
    named = chosen.problem or _usual_problem(fields)
    texts = [_text(row, fields, name) for name in named]
    name, choices = _choices(row, fields, chosen.choices)
    template = [f"{{{name}}}" for name in named]
    if choices:
        texts.append("\n".join(f"({letter}) {text}" for letter, text in zip(ascii_uppercase, choices, strict=False)))
        template.append(f"({{{name}}} as (A), (B), ...)")
    answer, *others = _answers(row, fields, chosen.answer, choices)
    family = fields.get("family")
    kind = family if isinstance(family, str) else None
    task = Task("\n".join(texts), answer, _level(fields.get("level")), tuple(others), kind)
    return task, " + ".join(template)


def _usual_problem(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the fields with the story, where there is one, and with the question."""
    problem = next((name for name in PROBLEM_FIELDS if _plain(fields.get(name))), None)
    if problem is None:
        raise ValueError(f"needs text as one of {', '.join(PROBLEM_FIELDS)}; it has {', '.join(fields) or 'no field'}")
    stories = (name for name in STORY_FIELDS if (text := _plain(fields.get(name))) and text not in fields[problem])
    return (*stories, problem)


def _text(row: Mapping[str, Any], fields: Mapping[str, Any], name: str) -> str:
    text = _plain(_find(row, fields, name))
    if text is None:
        raise ValueError(f"{name} is not text; it has {', '.join(fields) or 'no field'}")
    return text


def _find(row: Mapping[str, Any], fields: Mapping[str, Any], name: str) -> Any:
    """The value of a field, by its own name or by its usual one in lower case."""
    found, value = find_field(row, name)
    return value if found else find_field(fields, name)[1]


def _plain(value: Any) -> str | None:
    """The text of a field, or of the last message of a conversation; None where it holds none."""
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        value = value[-1].get("content")
    return value.strip() or None if isinstance(value, str) else None


def _choices(row: Mapping[str, Any], fields: Mapping[str, Any], chosen: str | None) -> tuple[str, Choices]:
    """The name of the field with choices, and these; none where there are none."""
    name = chosen or next((name for name in CHOICES_FIELDS if fields.get(name)), None)
    if name is None:
        return "columns", of_columns(fields)
    return name, read_choices(_find(row, fields, name))


def _answers(row: Mapping[str, Any], fields: Mapping[str, Any], chosen: str | None, choices: Choices) -> Sequence[str]:
    """The right answers, at least one."""
    names = [chosen] if chosen else [name for name in ANSWER_FIELDS if choices or name != "label"]
    for name in names:
        value = _find(row, fields, name)
        texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        stated = [text for text in texts if isinstance(text, str) and text.strip()]
        if not stated or len(stated) < len(texts):
            continue
        if choices:
            return right_choice(stated[0], choices, _labels(fields), isinstance(stated[0], SpeltNumber))
        return [_stated(text, name, is_chosen=name == chosen) for text in stated]
    wanted = chosen or f"one of {', '.join(ANSWER_FIELDS)}"
    raise ValueError(f"needs an answer as {wanted}; it has {', '.join(fields)}")


def _labels(fields: Mapping[str, Any]) -> Sequence[str]:
    found, labels = find_field(fields, "choices.label")
    return labels if found and isinstance(labels, list) else ()


def _stated(text: str, name: str, is_chosen: bool) -> str:
    """The answer that a text states; what states none is itself the answer, unless it is a solution."""
    stated = extract_answer(text) if name in WORKED or is_chosen else None
    if stated is None and name == "solution":
        raise ValueError("solution states no answer, in a box or elsewhere")
    return stated or text.strip()


def _level(said: Any) -> int | None:
    found = LEVEL.fullmatch(said.strip()) if isinstance(said, str) else None
    return int(found[1]) if found else None

"""Problems whose answers are known."""

import json
from dataclasses import dataclass
from pathlib import Path

import click


@dataclass(frozen=True, slots=True)
class Task:
    """A problem, its answer, and its difficulty level where it has one."""

    problem: str
    answer: str
    level: int | None = None


def read_tasks(path: Path) -> list[Task]:
    """Read JSON lines with the fields problem and answer, and perhaps a whole number as level; others are ignored."""
    tasks = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            record = json.loads(line)
            level = record.get("level")
            tasks.append(Task(str(record["problem"]), str(record["answer"]), level if isinstance(level, int) else None))
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            message = f"{path}, line {number}: needs problem and answer"
            raise click.BadParameter(message, param_hint="--problems") from error
    if not tasks:
        raise click.BadParameter(f"{path} holds no problem", param_hint="--problems")
    return tasks


def demo_tasks(seed: int, count: int) -> list[Task]:
    """Return problems of the demo's kind that it was not trained on."""
    from models.training.tasks.stream import held_out_problems

    return [Task(task.problem, task.answer, task.level) for task in held_out_problems(seed, count)]

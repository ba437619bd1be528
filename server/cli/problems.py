"""Problems of a file, for the commands that measure, calibrate and label."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from models.files import UnreadableFileError, parse_object, read_lines
from search.evaluation.tasks import Fields, TaskFile, read_tasks
from server.cli.failures import report


def read_problems(path: Path, fields: Fields | None = None) -> TaskFile:
    """Read a file of problems, and name the rows that are left out.

    Raises:
        UnreadableFileError: It cannot be read, or no row of it can be used.
    """
    found = read_tasks(path, fields)
    for fault in found.named_faults():
        report(f"left out: {fault}")
    return found


def read_texts(path: Path, most: int) -> list[str]:
    """Read the first problems of a file, without their answers.

    Raises:
        UnreadableFileError: It cannot be read, or holds no problem.
    """
    found = list(islice(_texts(path), most))
    if not found:
        raise UnreadableFileError(f"{path} holds no problem")
    return found


def _texts(path: Path) -> Iterator[str]:
    for number, line in read_lines(path):
        try:
            record = parse_object(line)
        except ValueError as error:
            raise UnreadableFileError(f"{path}, line {number}: {error}") from error
        problem = record.get("problem", record.get("question"))
        if not isinstance(problem, str) or not problem.strip():
            raise UnreadableFileError(f"{path}, line {number}: needs a problem or a question, a text")
        yield problem.strip()

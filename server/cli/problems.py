"""Problems of a file, for the commands that measure, calibrate and label."""

from pathlib import Path

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

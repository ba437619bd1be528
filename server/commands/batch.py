"""A file of problems in, a file of results out, each line for itself.

A result is written as soon as it is there, so that a run that was stopped goes on where it was; when all are there, the
file is brought into the order of the problems. Knows no models.
"""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click
import httpx
from rich.progress import Progress

from server.commands.client import RefusedError, UnreachableError, post_solve
from server.schemas import SolveRequest

PATIENCE_S = 1800.0
"""How long a busy service is waited for, by one problem."""


class BatchError(click.ClickException):
    """A file cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file of problems.

    Attributes:
        number: From 1.
        id: What the file calls it; None where it does not.
        request: What is asked; None where the line cannot be used.
        fault: Why it cannot be used; None where it can.
    """

    number: int
    id: Any = None
    request: Mapping[str, Any] | None = None
    fault: str | None = None


def read_lines(path: Path, options: Mapping[str, Any]) -> list[Line]:
    """Read a file of problems: JSON lines with `problem` and whatever else `POST /solve` takes.

    Args:
        path: The file. Fields that `POST /solve` does not have, such as the right answer, are left out.
        options: Fields for lines that do not have them.

    Raises:
        BatchError: It cannot be read.
    """
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise BatchError(f"{path}: {error.strerror}") from error
    return [_line(number, line, options) for number, line in enumerate(lines, start=1) if line.strip()]


def _line(number: int, line: bytes, options: Mapping[str, Any]) -> Line:
    try:
        record = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        return Line(number, fault=f"not JSON in UTF-8: {error}")
    if not isinstance(record, dict) or not isinstance(record.get("problem"), str):
        return Line(number, fault="not an object with a text `problem`")
    fields = {name: value for name, value in record.items() if name in SolveRequest.model_fields}
    return Line(number, record.get("id"), {"include": [], **options, **fields})


class Results:
    """The file of results, one JSON object a line; `line` says which problem it belongs to.

    Args:
        path: Where it is; results that stand there are kept.

    Raises:
        BatchError: It cannot be read or written, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[int, dict[str, Any]] = {}
        try:
            whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""  # a torn last line is lost
            for record in map(json.loads, filter(bytes.strip, whole.split(b"\n"))):
                self._records[record["line"]] = record
            self._file: IO[str] = self._replace()
        except OSError as error:
            raise BatchError(f"{path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise BatchError(f"{path} exists and holds no results: choose another --out") from error

    def has(self, line: Line) -> bool:
        """Whether the answer of a line is there.

        Raises:
            BatchError: There is one of another problem, or it was asked with other options.
        """
        record = self._records.get(line.number)
        if record is None or "error" in record:
            return False
        if record.get("request") != line.request:
            raise BatchError(f"{self._path} holds, for line {line.number}, another request: choose another --out")
        return True

    def add(self, line: Line, result: Mapping[str, Any]) -> None:
        """Write what became of a line."""
        named = {} if line.id is None else {"id": line.id}
        request = {} if line.request is None else {"request": dict(line.request)}
        self._records[line.number] = {"line": line.number, **named, **request, **result}
        self._file.write(_json(self._records[line.number]))
        self._file.flush()

    def close(self) -> None:
        """Bring the file into order."""
        self._file.close()
        self._replace().close()

    def _replace(self) -> IO[str]:
        """Write all records, in order, to a new file that takes the place of the old one at once."""
        new = self._path.with_name(f"{self._path.name}.new")
        file = new.open("w")
        file.writelines(_json(self._records[number]) for number in sorted(self._records))
        file.flush()
        os.replace(new, self._path)
        return file


async def solve_all(
    client: httpx.AsyncClient, lines: Sequence[Line], results: Results, concurrency: int, progress: Progress
) -> tuple[int, int]:
    """Ask for what is not there yet.

    Args:
        client: Of the service.
        lines: The problems.
        results: Where the answers go, and which are there.
        concurrency: Requests at a time.
        progress: Is advanced, and told of lines that fail.

    Returns:
        How many lines have an answer now, and how many have none.

    Raises:
        BatchError: The results are of other requests.
        UnreachableError: The service is gone; what is there is kept.
    """
    waiting = [line for line in lines if not results.has(line)]
    bar = progress.add_task("solving", total=len(lines), completed=len(lines) - len(waiting))
    places, num_failed = asyncio.Semaphore(concurrency), 0

    async def solve(line: Line) -> None:
        nonlocal num_failed
        async with places:
            result = await _ask(client, line)
        results.add(line, result)
        progress.advance(bar)
        if "error" in result:
            num_failed += 1
            progress.console.print(f"line {line.number}: {result['error']}", markup=False, highlight=False)

    gone: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for line in waiting:
                group.create_task(solve(line))
    except* UnreachableError as errors:
        gone = errors.exceptions[0]  # raised here, it would come in a group of its own
    if gone is not None:
        raise gone
    return len(lines) - num_failed, num_failed


async def _ask(client: httpx.AsyncClient, line: Line) -> Mapping[str, Any]:
    if line.request is None:
        return {"error": line.fault}
    try:
        reply = await post_solve(client, dict(line.request), PATIENCE_S)
    except UnreachableError:
        raise
    except RefusedError as error:
        return {"error": error.message}
    return {**{name: value for name, value in reply.items() if name != "id"}, "request_id": reply["id"]}


def _json(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"

"""A file of problems in, a file of results out, each line on its own.

A result is written as soon as it arrives, so that an interrupted run can resume; at the end the file is sorted into the
order of the problems. Knows no models.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx
from pydantic import BaseModel
from rich.console import Console
from rich.progress import Progress

from models.files import Journal, UnreadableFileError, UnwritableFileError, parse_object, read_lines, replace_file
from models.glyphs import spelt_out
from server.cli.client import RefusedError, UnreachableError, open_client, post
from server.cli.failures import UnusableError, end
from server.cli.searches import bounded
from server.given import ScoreRequest
from server.schemas import SolveRequest
from server.settings import Settings

CONCURRENCY = 8
PATIENCE_S = 1800.0
"""How long a problem waits for a busy service."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where the lines of a file go.

    Attributes:
        path: Of the service.
        request: What it takes.
        defaults: Of fields that neither a line nor an option gives.
        needs: Field that every line has beside `problem`; None for no other.
    """

    path: str
    request: type[BaseModel]
    defaults: Mapping[str, Any]
    needs: str | None = None


SOLVE = Route("/solve", SolveRequest, {"include": []})
SCORE = Route("/v1/steps/score", ScoreRequest, {}, needs="responses")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file of problems.

    Attributes:
        number: From 1.
        id: From the file; None if it has none.
        request: None if the line cannot be used.
        fault: Why it cannot be used; None if it can.
    """

    number: int
    id: Any = None
    request: Mapping[str, Any] | None = None
    fault: str | None = None


def read_requests(path: Path, options: Mapping[str, Any], route: Route = SOLVE) -> list[Line]:
    """Read a file of problems: JSON lines with `problem` and whatever else a route takes.

    Args:
        path: The file. Fields that the route does not have, such as the right answer, are left out.
        options: Fields for lines that do not have them.
        route: Where they go.

    Raises:
        UnreadableFileError: It cannot be read.
    """
    return [_line(number, line, options, route) for number, line in read_lines(path)]


def _line(number: int, line: bytes, options: Mapping[str, Any], route: Route) -> Line:
    try:
        record = parse_object(line)
    except ValueError as error:
        return Line(number, fault=str(error))
    if not isinstance(record.get("problem"), str):
        return Line(number, record.get("id"), fault="no text in the field problem")
    if route.needs and route.needs not in record:
        return Line(number, record.get("id"), fault=f"no field {route.needs}")
    for name in ("stream", "background"):
        if record.get(name, False) is not False:
            return Line(number, record.get("id"), fault=f"{name}: not supported in a file; omit it")
    fields = {name: value for name, value in record.items() if name in route.request.model_fields}
    return Line(number, record.get("id"), {**route.defaults, **options, **fields})


class Results:
    """The file of results, one JSON object a line; `line` says which problem it belongs to.

    Args:
        path: Of the file; existing results are kept.
        made: What makes the results of this run.

    Raises:
        UnusableError: It cannot be read, or is not a file of results.
    """

    def __init__(self, path: Path, made: Mapping[str, Any]) -> None:
        self.path = path
        self._journal = Journal(path)
        self._made = dict(made)
        self._records: dict[int, dict[str, Any]] = {}
        try:
            for record in self._journal.read():
                self._records[_line_of(record)] = record
        except (UnreadableFileError, ValueError) as error:
            raise UnusableError(f"{error}; {path} is not a file of results: choose another --out") from error

    def has(self, line: Line) -> bool:
        """Return whether a line has its answer.

        Raises:
            UnusableError: The answer belongs to another problem or other options.
        """
        record = self._records.get(line.number)
        if record is None or "error" in record:
            return False
        if record.get("request") != line.request:
            raise UnusableError(f"{self.path} holds, for line {line.number}, another request: choose another --out")
        return True

    def add(self, line: Line, result: Mapping[str, Any]) -> None:
        """Write the result of a line.

        Raises:
            UnwritableFileError: The disk is full, for example; what was written is kept.
        """
        named = {} if line.id is None else {"id": line.id}
        request = {} if line.request is None else {"request": dict(line.request)}
        made = {} if "error" in result else {"made": self._made}
        record = bounded({"line": line.number, **named, **request, **result, **made})
        self._records[line.number] = record
        self._journal.append(record)

    def sort(self) -> None:
        """Sort the file into the order of the problems.

        Raises:
            UnwritableFileError: There is no room; what was written is kept, unsorted.
        """
        lines = (json.dumps(self._records[number], ensure_ascii=False) for number in sorted(self._records))
        replace_file(self._journal.path, "".join(f"{line}\n" for line in lines))


async def ask_file(
    url: str | None, settings: Settings, lines: Sequence[Line], results: Results, concurrency: int, route: Route
) -> None:
    """Ask for what a file of results lacks, say how many lines have one, and end the command.

    Args:
        url: Of the service; None starts the models here.
        settings: Of the models that are started here.
        lines: Of the file of requests.
        results: Of this and earlier runs.
        concurrency: Requests in parallel.
        route: Where the lines go.
    """
    try:
        with Progress(console=Console(stderr=True)) as progress:
            async with open_client(url, settings) as client:
                answered, failed = await ask_all(client, lines, results, concurrency, progress, route)
    finally:
        with suppress(UnwritableFileError):  # for a full disk, which the run has ended of
            results.sort()
    click.echo(f"{answered:,} answered, {failed:,} failed: {results.path}", err=True)
    end(failed)


async def ask_all(
    client: httpx.AsyncClient,
    lines: Sequence[Line],
    results: Results,
    concurrency: int,
    progress: Progress,
    route: Route = SOLVE,
) -> tuple[int, int]:
    """Ask for the results that are not there yet.

    Args:
        client: Of the service.
        lines: The problems.
        results: Of this and earlier runs.
        concurrency: Requests in parallel.
        progress: Shows the progress, and lines that fail.
        route: Where the lines go.

    Returns:
        The numbers of lines with and without an answer.

    Raises:
        UnusableError: The results belong to other requests.
        UnreachableError: The service is gone; the results are kept.
        UnwritableFileError: For example, the disk is full; the results are kept.
    """
    waiting = [line for line in lines if not results.has(line)]
    bar = progress.add_task(route.path, total=len(lines), completed=len(lines) - len(waiting))
    places, num_failed = asyncio.Semaphore(concurrency), 0

    async def ask(line: Line) -> None:
        nonlocal num_failed
        async with places:
            result = await _ask(client, line, route)
        results.add(line, result)
        progress.advance(bar)
        if "error" in result:
            num_failed += 1
            told = spelt_out(f"line {line.number}: {result['error']}")
            progress.console.print(told, markup=False, highlight=False)

    async with asyncio.TaskGroup() as group:
        for line in waiting:
            group.create_task(ask(line))
    return len(lines) - num_failed, num_failed


async def _ask(client: httpx.AsyncClient, line: Line, route: Route) -> Mapping[str, Any]:
    if line.request is None:
        return {"error": line.fault}
    try:
        reply = await post(client, route.path, dict(line.request), PATIENCE_S)
    except UnreachableError:
        raise
    except RefusedError as error:
        return {"error": error.message}
    return {**{name: value for name, value in reply.items() if name != "id"}, "request_id": reply["id"]}


def _line_of(record: Mapping[str, Any]) -> int:
    if type(number := record.get("line")) is not int:
        raise ValueError("no number in the field line")
    return number

"""Files of searches, a JSON object a line: what was asked and the whole reply, as `winnow solve --file` writes them.

`winnow eval --searches` writes the same, and beside it the right answers. A line that is too long to be read again
loses its tree, then its candidates, and says so.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from models.files import Journal, UnreadableFileError
from models.rows import MAX_LINE_BYTES, read_rows
from search.evaluation.tasks import Task
from search.stored import StoredSearch, of_reply
from search.strategies import request_fields, strategies
from server.cli.failures import report
from server.schemas import CandidateOut, SolveRequest, TreeOut

KEPT = {"candidates": ["candidates"], "tree": ["candidates", "tree"]}
"""What `include` of a request asks for, by what is to be kept."""

NODE = re.compile(r"\d{1,9}(\.\d{1,9}){0,4096}")
LEFT_OUT = "left_out"

MAX_FAULTS = 5
"""Bad lines that are named; the others are counted."""

T = TypeVar("T")
Read = tuple[int, StoredSearch | ValueError]
"""The number of a line, and its search, or why it cannot be used."""


class SearchFile:
    """The file that the searches of an evaluation are kept in.

    Args:
        path: Of the file; what is in it is kept.
        made: What makes them.
    """

    def __init__(self, path: Path, made: Mapping[str, Any]) -> None:
        self._journal = Journal(path)
        self._made = dict(made)

    def add(self, task: Task, request: Mapping[str, Any], reply: Mapping[str, Any]) -> None:
        """Write a search.

        Raises:
            UnwritableFileError: It cannot be written.
        """
        golds = [task.answer, *task.others]
        told = {"request": dict(request), "gold": golds, "level": task.level, "made": self._made}
        self._journal.append(bounded(told | dict(reply)))


def bounded(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record that can be read again: without its tree, or its candidates, if it would be too long."""
    for evidence in ("tree", "candidates"):
        if record.get(evidence) is None or _size(record) < MAX_LINE_BYTES:
            continue
        record = record | {evidence: None, LEFT_OUT: [*record.get(LEFT_OUT, []), evidence]}
    return record


def _size(record: Mapping[str, Any]) -> int:
    return len(json.dumps(record, ensure_ascii=False).encode())


class _Record(BaseModel):
    """A line: fields of a request, of a reply, and what stands beside them."""

    model_config = ConfigDict(extra="ignore")

    request: dict[str, Any]
    strategy: dict[str, Any]
    answer: str | None
    response: str | None
    score: float | None
    thinking: str | None = None
    candidates: list[CandidateOut] | None = None
    tree: TreeOut | None = None
    gold: list[str] = Field(default_factory=list)
    level: int | None = None
    made: dict[str, Any] = Field(default_factory=dict)

    @field_validator("strategy")
    @classmethod
    def _check_strategy(cls, value: dict[str, Any]) -> dict[str, Any]:
        n, seed = value.get("n"), value.get("seed")
        if value.get("name") not in strategies():
            raise ValueError(f"there is no strategy {value.get('name')!r}")
        if type(n) is not int or n < 1 or type(seed) not in (int, type(None)):
            raise ValueError("n and seed must be whole numbers")
        fields = (*(field.name for field in request_fields()), "judge", "temperature")
        SolveRequest.model_validate({"problem": "?"} | {name: value[name] for name in fields if name in value})
        return value

    @field_validator("candidates", "tree")
    @classmethod
    def _check_names(cls, value: list[CandidateOut] | TreeOut | None) -> list[CandidateOut] | TreeOut | None:
        nodes = value.nodes if isinstance(value, TreeOut) else value or []
        if strange := [node.id for node in nodes if not NODE.fullmatch(node.id)]:
            raise ValueError(f"{strange[0][:40]!r} is no name of a node")
        return value


def read_searches(path: Path) -> Iterator[Read]:
    """Yield the searches of a file, each once: the last one that has its problem and its request.

    Raises:
        UnreadableFileError: The file cannot be read.
    """
    found: dict[str, Read] = {}
    for number, row in read_rows(path, spelt_numbers=False):
        try:
            if isinstance(row, ValueError):
                raise row
            stored = _search(row)
        except ValueError as error:
            found[f"line {number}"] = (number, error)
        else:
            found[json.dumps([stored.problem, row["request"], row.get("line")], sort_keys=True)] = (number, stored)
    yield from sorted(found.values(), key=lambda item: item[0])


def is_search(row: Mapping[str, Any]) -> bool:
    """Tell whether a row is one of a file of searches, or of the outcomes that lie beside it."""
    return isinstance(row.get("request"), dict) or "made" in row or {"line", "error"} <= row.keys()


def _search(row: Mapping[str, Any]) -> StoredSearch:
    if "error" in row:
        raise ValueError(f"it has no reply: {str(row['error'])[:200]}")
    if "made" in row and "request" not in row:
        raise ValueError("outcomes hold no responses; keep the searches, too: winnow eval --searches FILE")
    try:
        record = _Record.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    problem = record.request.get("problem")
    if not isinstance(problem, str):
        raise ValueError("request.problem: not text")
    prompt = record.request.get("system_prompt")
    reply = record.model_dump(include={"strategy", "answer", "response", "score", "thinking", "candidates", "tree"})
    return of_reply(
        problem,
        reply,
        system_prompt=record.made.get("system_prompt") if prompt is None else prompt or None,
        golds=record.gold,
        level=record.level,
        made=record.made,
    )


def with_golds(stored: StoredSearch, tasks: Mapping[str, Task]) -> StoredSearch:
    """Return a search with the right answers that a file of problems knows."""
    task = tasks.get(stored.problem)
    return replace(stored, golds=(task.answer, *task.others), level=task.level) if task else stored


def usable(file: Path, found: Iterable[tuple[int, T | ValueError]]) -> tuple[list[T], list[str]]:
    """Return what can be used of a file, and what is wrong with the rest.

    Raises:
        UnreadableFileError: Nothing can be used.
    """
    good: list[T] = []
    faults = []
    for number, each in found:
        if isinstance(each, ValueError):
            faults.append(f"{file}, line {number}: {each}")
        else:
            good.append(each)
    if not good:
        raise UnreadableFileError(f"nothing can be used; {faults[0]}" if faults else f"{file} is empty")
    return good, faults


def name_faults(faults: Sequence[str]) -> None:
    """Print the first bad lines, and the number of the others."""
    for fault in faults[:MAX_FAULTS]:
        report(f"left out: {fault}")
    if len(faults) > MAX_FAULTS:
        report(f"left out: {len(faults) - MAX_FAULTS:,} lines more")

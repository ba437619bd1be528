"""Math-Shepherd: `{"input": "problem Step 1: ... ки", "label": the same with + or - for ки, "task"}`, a step a line.

The problem ends where "Step 1:" begins, or where the column `winnow` says.

Source: Wang et al. 2024 (2312.08935); the data set peiyi9979/Math-Shepherd.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from models.labels.response import (
    OURS,
    Facts,
    LabelledResponse,
    Row,
    bare,
    checked,
    facts_of,
    response_of,
    shown_facts,
)

FIELDS = frozenset({"input", "label"})
TAG = "ки"
"""Stands behind each step."""

RIGHT, WRONG = "+", "-"
TASK = "winnow"
_FIRST_STEP = re.compile(r"(?:#{1,6} {0,4})?\bStep 1 {0,4}:")


@dataclass(frozen=True, slots=True)
class _Shepherd:
    input: str
    label: str


_KIND = TypeAdapter(_Shepherd)


def read(row: Row) -> list[LabelledResponse]:
    """Return the response.

    Raises:
        ValueError: A field is missing or cannot be used.
    """
    found, facts = checked(_KIND, {name: row.get(name) for name in FIELDS}), facts_of(row)
    *pieces, rest = found.input.split(TAG)
    if not pieces:
        raise ValueError(f"input: no step ends with {TAG}")
    if rest.strip():
        raise ValueError(f"input: the last step does not end with {TAG}")
    signs, left = [], found.label
    for number, piece in enumerate(pieces, start=1):
        sign = left[len(piece) : len(piece) + 1]
        if not left.startswith(piece) or sign not in (RIGHT, WRONG) or not sign:
            raise ValueError(f"label: not the text of input with {RIGHT} or {WRONG} for {TAG} behind step {number}")
        signs.append(float(sign == RIGHT))
        left = left[len(piece) + 1 :]
    problem, first = split_problem(pieces[0], facts)
    steps = [first, *(piece.removeprefix("\n") for piece in pieces[1:])]
    return [response_of(problem, [step.removesuffix(" ") for step in steps], signs, facts)]


def write(responses: Sequence[LabelledResponse], threshold: float) -> list[Row]:
    """Return a row for each response whose steps are all labelled and do not hold the tag."""
    return [_write(each, threshold) for each in responses if None not in each.labels and can_write(each)]


def can_write(response: LabelledResponse) -> bool:
    """Tell whether a response can be told from its tags."""
    return TAG not in response.problem + response.text


def _write(response: LabelledResponse, threshold: float) -> Row:
    steps = bare(response.steps)
    signs = [RIGHT if label >= threshold else WRONG for label in response.known_labels]
    shown = [
        f"{response.problem} " + "\n".join(f"{step} {mark}" for step, mark in zip(steps, marks, strict=True))
        for marks in ([TAG] * len(steps), signs)
    ]
    return {"input": shown[0], "label": shown[1], "task": response.family or TASK, OURS: shown_facts(response)}


def split_problem(text: str, facts: Facts) -> tuple[str, str]:
    """Split the problem from the first step.

    Raises:
        ValueError: Nothing says where it ends.
    """
    if facts.problem is not None and text.startswith(f"{facts.problem} "):
        return facts.problem, text[len(facts.problem) + 1 :]
    begins = _FIRST_STEP.search(text)
    if begins is None or not text[: begins.start()].strip():
        raise ValueError(
            f'nothing says where the problem ends; allowed: "Step 1:" behind it, or the problem in {OURS}.problem'
        )
    return text[: begins.start()].strip(), text[begins.start() :]

"""RLHFlow: `{"conversations": [{"role": "user", "content": step}, {"role": "assistant", "content": "+"}, ...]}`.

A verdict is + or -. The first step stands behind the problem, in one text with it: it begins at "Step 1:", or where the
column `winnow` says.

Source: Xiong et al. 2024, RLHFlow; the data sets RLHFlow/Mistral-PRM-Data and RLHFlow/Deepseek-PRM-Data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from models.labels.math_shepherd import RIGHT, WRONG, split_problem
from models.labels.response import OURS, LabelledResponse, Row, bare, checked, facts_of, response_of, shown_facts

FIELDS = frozenset({"conversations"})


@dataclass(frozen=True, slots=True)
class _Turn:
    role: Literal["user", "assistant"]
    content: str


_KIND = TypeAdapter(Annotated[list[_Turn], Field(min_length=2)])


def read(row: Row) -> list[LabelledResponse]:
    """Return the response.

    Raises:
        ValueError: A field is missing or cannot be used.
    """
    turns, facts = checked(_KIND, row.get("conversations")), facts_of(row)
    roles = [turn.role for turn in turns]
    if roles != ["user", "assistant"] * (len(turns) // 2):
        raise ValueError("conversations: turns of user and assistant must alternate, a user's first")
    verdicts = [turn.content.strip() for turn in turns[1::2]]
    if strange := [verdict for verdict in verdicts if verdict not in (RIGHT, WRONG)]:
        raise ValueError(f"conversations: {strange[0][:40]!r} is no verdict; allowed: {RIGHT} or {WRONG}")
    problem, first = split_problem(turns[0].content, facts)
    steps = [first, *(turn.content for turn in turns[2::2])]
    return [response_of(problem, steps, [float(verdict == RIGHT) for verdict in verdicts], facts)]


def write(responses: Sequence[LabelledResponse], threshold: float) -> list[Row]:
    """Return a row for each response whose steps are all labelled."""
    return [_write(response, threshold) for response in responses if None not in response.labels]


def _write(response: LabelledResponse, threshold: float) -> Row:
    first, *steps = bare(response.steps)
    turns = []
    for step, label in zip([f"{response.problem} {first}", *steps], response.known_labels, strict=True):
        turns.append({"role": "user", "content": step})
        turns.append({"role": "assistant", "content": RIGHT if label >= threshold else WRONG})
    return {"conversations": turns, OURS: shown_facts(response)}

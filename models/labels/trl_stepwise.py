"""TRL's stepwise supervision: `{"prompt", "completions": [step, ...], "labels": [bool, ...]}`.

Steps stand without what ends them: the trainer puts its `step_separator` behind each.

Source: TRL, "Dataset formats and types", stepwise supervision; `PRMTrainer.tokenize_row`.
Beyond the source: labels may be shares in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter

from models.labels.response import (
    OURS,
    Label,
    LabelledResponse,
    Row,
    bare,
    checked,
    facts_of,
    response_of,
    shown_facts,
)

FIELDS = frozenset({"prompt", "completions", "labels"})


@dataclass(frozen=True, slots=True)
class _Stepwise:
    prompt: str
    completions: Annotated[list[str], Field(min_length=1)]
    labels: list[Label]


_KIND = TypeAdapter(_Stepwise)


def read(row: Row) -> list[LabelledResponse]:
    """Return the response.

    Raises:
        ValueError: A field is missing or cannot be used.
    """
    found = checked(_KIND, {name: row.get(name) for name in FIELDS})
    if len(found.completions) != len(found.labels):
        raise ValueError(f"{len(found.completions)} completions, but {len(found.labels)} labels; allowed: one each")
    return [response_of(found.prompt, found.completions, found.labels, facts_of(row))]


def write(responses: Sequence[LabelledResponse], threshold: float) -> list[Row]:
    """Return a row for each response whose steps are all labelled."""
    return [
        {
            "prompt": response.problem,
            "completions": bare(response.steps),
            "labels": [label >= threshold for label in response.known_labels],
            OURS: shown_facts(response),
        }
        for response in responses
        if None not in response.labels
    ]

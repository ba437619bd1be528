"""A response whose steps are labelled: the noun that every format of step labels is read into and written from."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from models.interfaces import DELIMITER

RIGHT_FROM = 0.5
"""The least label or score of a step that counts as right."""

OURS = "winnow"
"""The column of an exported row that says what the format has no field for."""

T = TypeVar("T")
Row = dict[str, Any]
Label = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class LabelledResponse:
    """A response whose steps are labelled.

    Attributes:
        problem: What it answers.
        answer: The right answer; None where the data does not say.
        steps: Text of each step, with its delimiter.
        token_ids: Of each step, as the policy sampled them, of the last one with the end of the sequence; None where
            the data has texts alone.
        labels: Of each step, in [0, 1]: how likely a response that goes on from there is to be right; None of a step
            that is not labelled. The last one is.
        is_complete: Whether the policy ended it; if not it was cut at the token limit.
        system_prompt: Instruction under which it was sampled.
        family: Kind of the problem, if the data says it.
        error_kind: Kind of the first error, if the data says it.
        states_answer: Whether an answer was read in it; None where labels do not rest on answers.
    """

    problem: str
    answer: str | None
    steps: tuple[str, ...]
    token_ids: tuple[tuple[int, ...], ...] | None
    labels: tuple[Label | None, ...]
    is_complete: bool
    system_prompt: str | None = None
    family: str | None = None
    error_kind: str | None = None
    states_answer: bool | None = None

    def __post_init__(self) -> None:
        num_steps = len(self.steps)
        if not num_steps == len(self.labels) > 0 or (self.token_ids is not None and len(self.token_ids) != num_steps):
            raise ValueError("steps, token_ids and labels must be of the same number, at least one")
        if self.token_ids is not None and not all(self.token_ids):
            raise ValueError("token_ids of a step are empty")
        if self.labels[-1] is None:
            raise ValueError("the last step has no label")

    @property
    def text(self) -> str:
        """The whole response."""
        return "".join(self.steps)

    @property
    def known_labels(self) -> tuple[float, ...]:
        """Labels of the steps that have one."""
        return tuple(label for label in self.labels if label is not None)


def checked(kind: TypeAdapter[T], row: object) -> T:
    """Read what a row of a foreign file holds.

    Raises:
        ValueError: It is not of this kind; the message names the field and what is allowed.
    """
    try:
        return kind.validate_python(row)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise ValueError(f"{field + ': ' if field else ''}{first['msg']}") from error


@dataclass(frozen=True, slots=True)
class Facts:
    """What the column `OURS` says of a response, and a format has no field for. All of it may be missing.

    Attributes:
        problem: Where the format puts the problem and the first step in one text.
        separator: What stands between two steps.
        ending: What stands behind the last one.
        is_complete: As in `LabelledResponse`, and so the others.
    """

    problem: str | None = None
    separator: str = DELIMITER
    ending: str = ""
    is_complete: bool = True
    answer: str | None = None
    system_prompt: str | None = None
    family: str | None = None
    error_kind: str | None = None
    states_answer: bool | None = None


_FACTS = TypeAdapter(Facts)


def facts_of(row: Row) -> Facts:
    """Read the column `OURS` of a row, if it has one.

    Raises:
        ValueError: A value in it is of another kind.
    """
    column = row.get(OURS)
    known = {field.name for field in fields(Facts)}
    given = column.items() if isinstance(column, dict) else ()
    return checked(_FACTS, {name: value for name, value in given if name in known and value is not None})


def shown_facts(response: LabelledResponse) -> Row:
    """Return the column `OURS` of a response."""
    own = ("problem", "is_complete", "answer", "system_prompt", "family", "error_kind", "states_answer")
    separator = separator_of(response.steps)
    ending = separator if response.steps[-1].endswith(separator) else ""
    return {name: getattr(response, name) for name in own} | {"separator": separator, "ending": ending}


def separator_of(steps: Sequence[str]) -> str:
    """Return what ends each step but the last: the delimiter, or nothing that they share."""
    return DELIMITER if all(step.endswith(DELIMITER) and step.strip() for step in steps[:-1]) else ""


def bare(steps: Sequence[str]) -> list[str]:
    """Return steps without what ends them."""
    separator = separator_of(steps)
    return [step.removesuffix(separator) for step in steps]


def response_of(problem: str, steps: Sequence[str], labels: Sequence[float | None], facts: Facts) -> LabelledResponse:
    """Return the response that a row describes; steps are joined by the separator.

    Raises:
        ValueError: It is no response.
    """
    if not steps:
        raise ValueError("it has no steps")
    if not problem.strip():
        raise ValueError("its problem is blank")
    if blank := next((place for place, step in enumerate(steps, 1) if not step.strip()), None):
        raise ValueError(f"step {blank} is blank")
    return LabelledResponse(
        problem=problem,
        answer=facts.answer,
        steps=(*(step + facts.separator for step in steps[:-1]), steps[-1] + facts.ending),
        token_ids=None,
        labels=tuple(labels),
        is_complete=facts.is_complete,
        system_prompt=facts.system_prompt,
        family=facts.family,
        error_kind=facts.error_kind,
        states_answer=facts.states_answer,
    )

"""Whether two answers are equivalent, and why, in plain words."""

from dataclasses import dataclass

from search.answers.reading.text import is_text_key
from search.answers.workers import JobStatus

_TROUBLES = {
    JobStatus.TIMEOUT: "took longer than its time limit and compares as text",
    JobStatus.FAILURE: "could not be computed and compares as text",
}


@dataclass(frozen=True, slots=True)
class Canonical:
    """What an answer compares as.

    Attributes:
        key: Its canonical form; where no worker computed one, that of its text.
        unit: Of measurement; None where it has none.
        outcome: Whether a worker did.
    """

    key: str
    unit: str | None = None
    outcome: JobStatus = JobStatus.DONE


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found out about two answers.

    Attributes:
        is_equivalent: Whether they are one answer; False where one of them is none.
        keys: Their canonical forms; None for what is no answer.
        reason: Why, in plain words.
    """

    is_equivalent: bool
    keys: tuple[str | None, str | None]
    reason: str


def compare(first: Canonical | None, second: Canonical | None) -> Comparison:
    """Compare two answers; None is none, and equivalent to nothing."""
    if first is None or second is None:
        reason = "neither has an answer" if first is second else "one has no answer"
        return Comparison(False, (first.key if first else None, second.key if second else None), reason)
    differ_in_unit = None not in (first.unit, second.unit) and first.unit != second.unit
    finding = "different units" if differ_in_unit else _finding(first.key, second.key)
    reason = "; ".join([*_troubles(first, second), finding])
    return Comparison(first.key == second.key and not differ_in_unit, (first.key, second.key), reason)


def _finding(first: str, second: str) -> str:
    num_texts = is_text_key(first) + is_text_key(second)
    if first == second:
        return "same text after normalising" if num_texts else "same canonical value"
    return ("different values", "one is a value, the other text", "different texts after normalising")[num_texts]


def _troubles(first: Canonical, second: Canonical) -> list[str]:
    """Say which of the two is not what it would be with more time or memory."""
    named = (("a", first), ("b", second))
    return [f"{name} {_TROUBLES[answer.outcome]}" for name, answer in named if answer.outcome in _TROUBLES]

"""What a judge is asked: by which criteria, of what, and whether it thinks first.

Imports no engine and no tensor: settings name these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from models.spelling import did_you_mean

MAX_CRITERIA = 8
MAX_CRITERION_CHARS = 2_000

CRITERIA: Mapping[str, tuple[str, ...]] = {
    "mathematics": (
        "Every step follows from the problem and from the steps before it, every calculation in it is right, and what "
        "it arrives at is what the problem asks for.",
    ),
    "code": (
        "The code does what the problem asks for every input that it allows, empty and extreme ones included.",
        "The code runs as it stands: its syntax, names, types and calls are right, and it ends.",
    ),
    "open": (
        "What the response says is true, and nothing in it is invented.",
        "The response answers all of what was asked, and keeps to it.",
        "The response is clear and well ordered for the person who asked.",
    ),
}
"""By the names that a recipe may give in place of texts."""

MATHEMATICS = "mathematics"


class Reads(Enum):
    """What one verdict is about."""

    RESPONSE = "response"  # a call gets one verdict, on the response as far as it goes
    STEPS = "steps"  # each step gets a verdict, given those before it


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """How a judge judges.

    Attributes:
        criteria: In words; each is asked for in two requests of its own, and the verdicts are averaged.
        reads: What a verdict is about.
        max_thoughts: Most tokens of thoughts before a verdict; 0 asks for it at once.
    """

    criteria: tuple[str, ...] = CRITERIA[MATHEMATICS]
    reads: Reads = Reads.RESPONSE
    max_thoughts: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        if not 1 <= len(self.criteria) <= MAX_CRITERIA:
            raise ValueError(f"there are {len(self.criteria)} criteria; allowed: 1 to {MAX_CRITERIA}")
        for text in self.criteria:
            if not text.strip() or "\0" in text:
                raise ValueError("a criterion is blank or holds NUL; say it in words")
            if len(text) > MAX_CRITERION_CHARS:
                raise ValueError(f"a criterion has {len(text):,} characters; allowed: {MAX_CRITERION_CHARS:,}")

    def __str__(self) -> str:
        thinks = f", {self.max_thoughts} tokens of thoughts" if self.max_thoughts else ""
        return f"{self.reads.value} by {' | '.join(self.criteria)}{thinks}"


def criteria_of(named: str | list[str]) -> tuple[str, ...]:
    """Return the texts of criteria, which are named or listed.

    Raises:
        ValueError: There is no set of this name.
    """
    if isinstance(named, str):
        if named not in CRITERIA:
            allowed = f"list them, or name {', '.join(CRITERIA)}"
            raise ValueError(f"there are no criteria named {named!r}; {did_you_mean(named, CRITERIA, allowed)}")
        return CRITERIA[named]
    return tuple(text.strip() for text in named)

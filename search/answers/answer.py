"""An answer: what is extracted from a response and compared with other answers."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class TrialOutcome(Enum):
    """What came of running a program against tests."""

    PASSED = "passed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    UNTESTED = "untested"  # it was not run, or no sandbox could be started


@dataclass(frozen=True, slots=True)
class Trial:
    """A program run against tests.

    Attributes:
        outcome: What came of it.
        detail: What failed, or why it was not run, in words.
        seconds: How long it took.
    """

    outcome: TrialOutcome
    detail: str | None = None
    seconds: float = 0.0

    @property
    def verdict(self) -> bool | None:
        """Whether it passed; None where it was not run."""
        return None if self.outcome is TrialOutcome.UNTESTED else self.outcome is TrialOutcome.PASSED


@dataclass(frozen=True, slots=True)
class Answer:
    """What a response says the answer is.

    Attributes:
        text: As the response wrote it, without the box around it.
        key: Canonical form: two answers are equivalent exactly when their keys are equal.
        is_verified: Whether it passed a check against its problem; None when nothing could be checked.
        trial: Of an answer that is a program: what its tests said.
        kind: What answers vote by first, where not their keys alone decide: those of one kind, then, among these, those
            of one key. None where they vote once.
        fields: Of an answer that has parts, where each is and its canonical form.
    """

    text: str
    key: str
    is_verified: bool | None = None
    kind: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    trial: Trial | None = None

    @property
    def may_win(self) -> bool:
        """False where a check found it wrong, and of a program that has not passed its tests."""
        return self.is_verified is True if self.trial else not self.is_refuted

    @property
    def is_refuted(self) -> bool:
        """True where a check against its problem found it wrong."""
        return self.is_verified is False


class AnswerReader(Protocol):
    """Finds the answer of a response and brings it into canonical form."""

    async def read(self, response: str) -> Answer | None:
        """Return the answer of `response`; None when it states none."""

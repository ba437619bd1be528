"""An answer: what is extracted from a response and compared with other answers."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """What a response says the answer is.

    Attributes:
        text: As the response wrote it, without the box around it.
        key: Canonical form: two answers are equivalent exactly when their keys are equal.
        is_verified: Whether it passed a check against its problem; None when nothing could be checked.
        kind: What answers vote by first, where not their keys alone decide: those of one kind, then, among these, those
            of one key. None where they vote once.
        fields: Of an answer that has parts, where each is and its canonical form.
    """

    text: str
    key: str
    is_verified: bool | None = None
    kind: str | None = None
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def is_refuted(self) -> bool:
        """True where a check against its problem found it wrong."""
        return self.is_verified is False


class AnswerReader(Protocol):
    """Finds the answer of a response and brings it into canonical form."""

    async def read(self, response: str) -> Answer | None:
        """Return the answer of `response`; None when it states none."""

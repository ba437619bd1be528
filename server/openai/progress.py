"""The progress of a search in short lines, for clients that show reasoning."""

import asyncio

from search.candidate import Candidate
from search.code.examiner import NOT_YET
from search.observer import Loss, Silence
from server.solving.replies import name_of

MAX_CHARS = 200
"""Of an answer, which may be a long document."""


class Progress(Silence):
    """The observer that writes a line when a round begins and when a candidate ends.

    Attributes:
        lines: Not read yet; None after the last.
    """

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._round = 0

    def on_growth(self, candidate: Candidate) -> None:
        if len(candidate.path) > self._round:
            self._round = len(candidate.path)
            self.lines.put_nowait(f"round {self._round}\n")
        if not candidate.is_growing:
            self.lines.put_nowait(f"candidate {name_of(candidate.path)}: {_fate(candidate)}\n")

    def on_loss(self, loss: Loss) -> None:
        self.lines.put_nowait(f"candidate {name_of(loss.path)}: lost to a failing model\n")

    def close(self) -> None:
        """End the lines."""
        self.lines.put_nowait(None)


def _fate(candidate: Candidate) -> str:
    if candidate.is_stopped:
        return "stopped: it could not win"
    if not candidate.is_complete:
        return "truncated"
    answer = f"answers {_short(candidate.answer.text)}" if candidate.answer else "states no answer"
    if candidate.answer and (trial := candidate.answer.trial):
        answer = "its program is tested" if trial is NOT_YET else f"its program: {trial.outcome.value}"
    refuted = ", which fails the check" if candidate.answer and candidate.answer.is_refuted else ""
    score = "" if candidate.score is None else f" (score {candidate.score:.3f})"
    return f"{answer}{refuted}{score}"


def _short(answer: str) -> str:
    return answer if len(answer) <= MAX_CHARS else f"{answer[:MAX_CHARS]}..."

"""What a search tells while it runs: how candidates grow, which are lost, and what the strategy decides."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from models.errors import ModelError
from search.candidate import Candidate


@dataclass(frozen=True, slots=True)
class Loss:
    """A candidate that a failing model took from the search.

    Attributes:
        path: Its place in the tree.
        error: What the model raised.
    """

    path: tuple[int, ...]
    error: ModelError


@dataclass(frozen=True, slots=True)
class Decision:
    """What a strategy found out and decided. A later decision of the same search replaces it.

    Attributes:
        values: For the reply, by name: numbers, lists of numbers, strategies, or None.
        reason: In words; `{name}` stands for the value of that name.
        confidence: Calibrated probability that the answer is right; None when the strategy has measured none.
    """

    values: Mapping[str, object]
    reason: str
    confidence: float | None = None


class Observer(Protocol):
    """Is told of everything as it happens. Must return at once."""

    def on_growth(self, candidate: Candidate) -> None:
        """A candidate has a new step, a new score or an answer; called again with the same path as it grows."""

    def on_loss(self, loss: Loss) -> None:
        """A candidate was lost."""

    def on_decision(self, decision: Decision) -> None:
        """The strategy has decided how to go on."""


class Silence:
    """The observer that ignores everything."""

    def on_growth(self, candidate: Candidate) -> None:
        """Ignore it."""

    def on_loss(self, loss: Loss) -> None:
        """Ignore it."""

    def on_decision(self, decision: Decision) -> None:
        """Ignore it."""

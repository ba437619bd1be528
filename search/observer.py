"""Whoever watches a search: a page that draws the tree, a progress bar, a test."""

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


class Observer(Protocol):
    """Is told of every growth as it happens. Must return at once."""

    def on_growth(self, candidate: Candidate) -> None:
        """A candidate has a new step, a new score or an answer; called again with the same path as it grows."""

    def on_loss(self, loss: Loss) -> None:
        """A candidate was lost."""


class Silence:
    """The observer that ignores everything."""

    def on_growth(self, candidate: Candidate) -> None:
        """Ignore it."""

    def on_loss(self, loss: Loss) -> None:
        """Ignore it."""

"""What a search tells while it runs: how candidates grow, which are lost or dropped, how the vote stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from models.errors import ModelError
from search.candidate import Candidate
from search.voting import Tally


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
        reason: In words, for the reply; `{name}` stands for the value of that name.
        confidence: Calibrated probability that the answer is right; None when the strategy has measured none.
        meanwhile: In such words, what the search does until the next decision; None where `reason` says it.
    """

    values: Mapping[str, object]
    reason: str
    confidence: float | None = None
    meanwhile: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Candidates that a strategy compared, of which it continues the best.

    Attributes:
        ranked: Those compared, the best first.
        num_kept: How many of them are kept, from the front.
    """

    ranked: tuple[Candidate, ...]
    num_kept: int

    @property
    def kept(self) -> tuple[Candidate, ...]:
        """Those that are kept."""
        return self.ranked[: self.num_kept]

    @property
    def dropped(self) -> tuple[tuple[int, Candidate], ...]:
        """Those that could grow and are not continued, each with its rank, from 1."""
        ranks = enumerate(self.ranked[self.num_kept :], self.num_kept + 1)
        return tuple((rank, candidate) for rank, candidate in ranks if candidate.is_growing)


class Observer(Protocol):
    """Is told of everything as it happens. Must return at once."""

    def on_growth(self, candidate: Candidate) -> None:
        """A candidate has a new step, a new score or an answer; called again with the same path as it grows."""

    def on_loss(self, loss: Loss) -> None:
        """A candidate was lost."""

    def on_choice(self, choice: Choice) -> None:
        """The strategy has chosen which candidates to continue; what it drops grows no more."""

    def on_votes(self, tally: Callable[[], Tally[Candidate]]) -> None:
        """Votes were cast, or fewer can follow. `tally` counts them; it costs nothing unless it is called."""

    def on_decision(self, decision: Decision) -> None:
        """The strategy has decided how to go on."""


class Silence:
    """The observer that ignores everything."""

    def on_growth(self, candidate: Candidate) -> None:
        """Ignore it."""

    def on_loss(self, loss: Loss) -> None:
        """Ignore it."""

    def on_choice(self, choice: Choice) -> None:
        """Ignore it."""

    def on_votes(self, tally: Callable[[], Tally[Candidate]]) -> None:
        """Ignore it."""

    def on_decision(self, decision: Decision) -> None:
        """Ignore it."""

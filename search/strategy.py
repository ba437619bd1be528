"""What every search strategy is, and what a compute-optimal one tells of itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from search.voting import Ballot, Selection

if TYPE_CHECKING:
    from search.expander import Expander


class Strategy(Protocol):
    """A search strategy: frozen hyperparameters and one procedure."""

    @property
    def n(self) -> int:
        """N, the budget."""

    @property
    def selection(self) -> Selection:
        """How the answer is chosen."""

    @property
    def needs_verifier(self) -> bool:
        """Whether candidates are judged."""

    async def search(self, expander: "Expander", ballot: Ballot) -> None:
        """Grow candidates and cast the votes of the complete ones."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided after a probe.

    Attributes:
        confidence: Probability that the probe's answer is right, in [0, 1].
        difficulty: Place of the bin, 1 is the easiest.
        num_bins: How many there are.
        rest: How the rest of the budget is spent; None: not at all.
    """

    confidence: float
    difficulty: int
    num_bins: int
    rest: Strategy | None

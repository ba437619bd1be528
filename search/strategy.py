"""What every search strategy is."""

from typing import Protocol

from search.candidate import Candidate
from search.expander import Expander
from search.voting import Ballot, Selection


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

    async def search(self, expander: Expander, ballot: Ballot[Candidate]) -> None:
        """Grow candidates and cast the votes of the complete ones."""

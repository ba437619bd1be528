"""Diverse verifier tree search: independent greedy searches, so that one promising prefix cannot take the whole budget.

Split the budget into N/M subtrees. Each samples M steps, keeps the best, samples M steps after it, and so on; it ends
when the step it chose is final. The complete candidates of its last step vote: the chosen one and its complete
siblings.

Source: Beeching, Tunstall and Rush 2024, "Scaling test-time compute with open models" (Hugging Face blog), section
"Diverse Verifier Tree Search".
Beyond the source: subtrees never wait for each other. A truncated step is never chosen. At `max_steps` the last step
runs to the end of the response. Votes are cast in the order of the subtrees; once those outstanding cannot change the
answer, they are stopped. Probable stopping (search/stopping.py) draws the subtrees in waves.
"""

from contextlib import aclosing
from dataclasses import dataclass

from search.candidate import Candidate
from search.expander import Expander, in_order
from search.stopping import EarlyStop, Forecast, Probable, refuse_tournament
from search.tree import refuse_nonsense
from search.voting import Ballot, Selection
from search.waves import cast_in_waves


@dataclass(frozen=True, slots=True)
class DVTS:
    """Search N/M subtrees, each of which keeps the best of M candidates at every step.

    Attributes:
        n: N, the budget: candidates in flight.
        beam_width: M, steps sampled by a subtree at a time; divides N. With N = 1 it has no meaning.
        max_steps: Steps, at least 1; the last runs to the end of the response.
        lookahead: k, greedy steps rolled out before a step is judged.
        selection: How the answer is chosen among complete candidates.
        early_stop: Which subtrees to leave out: those that cannot, or probably do not, change the answer.
    """

    n: int
    beam_width: int = 4
    max_steps: int = 40
    lookahead: int = 0
    selection: Selection = Selection.WEIGHTED
    early_stop: EarlyStop = True

    def __post_init__(self) -> None:
        """Refuse hyperparameters that make no search."""
        refuse_nonsense(self.n, self.beam_width, self.max_steps, self.lookahead)
        refuse_tournament(self.early_stop, self.selection)

    @property
    def needs_verifier(self) -> bool:
        """The kept step is chosen by score."""
        return True

    @property
    def num_subtrees(self) -> int:
        """N/M, the independent searches."""
        return max(self.n // self.beam_width, 1)

    async def search(self, expander: Expander, ballot: Ballot[Candidate]) -> None:
        """Search every subtree and cast its votes."""
        width = min(self.beam_width, self.n)
        if isinstance(self.early_stop, Probable):
            forecast = Forecast(self.early_stop, self.selection, self.num_subtrees, width, ballot.votes())
            expander.stops.append(
                await cast_in_waves(ballot, lambda index: self._subtree(expander, index, width), forecast)
            )
            return
        async with aclosing(in_order(self._subtree(expander, i, width) for i in range(self.num_subtrees))) as subtrees:
            outstanding = self.n
            async for candidates in subtrees:
                outstanding -= width
                for candidate in candidates:
                    ballot.cast(candidate)
                if ballot.may_end([1.0] * outstanding, early_stop=self.early_stop):
                    return

    async def _subtree(self, expander: Expander, index: int, width: int) -> list[Candidate]:
        """Follow the best of `width` steps to its end; return the candidates of the last step."""
        chosen, indices = Candidate(), range(index * width, (index + 1) * width)
        for _ in range(self.max_steps - 1):
            children = await expander.expand(chosen.children(indices), self.lookahead)
            best = expander.keep(1, [child for child in children if child.is_complete or child.is_growing])
            if not best or best[0].is_complete:
                return children
            chosen, indices = best[0], range(width)
        return await expander.roll_out(chosen.children(indices))

"""REBASE, reward-balanced search: share the budget among all prefixes by how promising they are.

Sample N first steps and judge them. The budget of a round is N less the responses that have ended; each growing node
gets a share of it as large as its share in a softmax of the scores, and so many children; and so on. A good prefix gets
many children, a poor one few or none, and no budget is lost: without losses N responses come to an end. The answer is
chosen among the complete by weighted vote.

Source: Wu et al. 2024, "Inference Scaling Laws" (2408.00724), section 3.2, "Reward Balanced Search"; rounding as in the
authors' code: from the best node down, each takes its share, rounded up, of what is left.
Beyond the source: of equal nodes the earlier is served first. At `max_steps` the rest run to their end. The default of
T_b is ours. The search ends early when no score of the candidates outstanding can change the answer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from search.candidate import Candidate
from search.errors import HyperparameterError
from search.expander import Expander
from search.voting import Ballot, Selection, rank


@dataclass(frozen=True, slots=True)
class Rebase:
    """Give each node a number of children by the softmax of its score.

    Attributes:
        n: N, the budget: responses that come to an end.
        balance_temperature: T_b, above 0: near 0 the best node takes all; the larger, the more alike the shares.
        max_steps: Steps, at least 1; the last runs to the end of the response.
        early_stop: Whether to end the search when nothing can change the answer.
    """

    n: int
    balance_temperature: float = 0.1
    max_steps: int = 40
    early_stop: bool = True

    def __post_init__(self) -> None:
        """Refuse hyperparameters that make no search."""
        if self.n < 1:
            raise HyperparameterError("n", f"a budget of {self.n} is too small: at least 1")
        if not self.balance_temperature > 0:
            raise HyperparameterError("balance_temperature", f"{self.balance_temperature} is too small: above 0")
        if self.max_steps < 1:
            raise HyperparameterError("max_steps", f"{self.max_steps} steps are too few: at least 1")

    @property
    def selection(self) -> Selection:
        """A weighted vote."""
        return Selection.WEIGHTED

    @property
    def needs_verifier(self) -> bool:
        """Shares follow scores."""
        return True

    async def search(self, expander: Expander, ballot: Ballot[Candidate]) -> None:
        """Grow the tree until the budget has ended, and cast its votes."""
        budget = self.n  # B_i
        children = Candidate().children(range(budget))
        for _ in range(self.max_steps - 1):
            grown = await expander.expand(children)
            for child in grown:
                ballot.cast(child)
            budget -= sum(child.is_final for child in grown)  # less C_i
            nodes = rank([child for child in grown if child.is_growing])
            if not nodes or ballot.may_end(_ceilings(expander, nodes, budget), early_stop=self.early_stop):
                return
            widths = share(budget, [node.score or 0.0 for node in nodes], self.balance_temperature)
            expander.keep(sum(map(bool, widths)), nodes)
            children = [
                child for node, width in zip(nodes, widths, strict=True) for child in node.children(range(width))
            ]
        for child in await expander.roll_out(children):
            ballot.cast(child)


def share(budget: int, scores: Sequence[float], temperature: float) -> list[int]:
    """Share a budget by the softmax of scores, the highest first, at `temperature`; the shares add up to the budget."""
    weights = [Fraction(math.exp((score - scores[0]) / temperature)) for score in scores]  # so that nothing is rounded
    left, widths = sum(weights), []
    for weight in weights:
        width = math.ceil(budget * weight / left) if budget else 0
        widths.append(width)
        budget -= width
        left -= weight
    return widths


def _ceilings(expander: Expander, nodes: Sequence[Candidate], budget: int) -> list[float]:
    return [max(expander.ceiling(node) for node in nodes)] * budget

"""How pictures tell strategies and budgets apart: a colour a strategy, a shape a budget, everywhere the same.

Source: Okabe and Ito 2008, "Color universal design": colours that differ for colour-blind eyes, too.
"""

from collections.abc import Sequence

from search.evaluation.plan import GREEDY
from search.strategies import strategies

GREEDY_COLOUR = "#56B4E9"
OPTIMAL = "#000000"
SHAPES = "osD^vP*X"


def colour_of(name: str) -> str:
    """Return the colour of a strategy, or of the greedy sample."""
    return GREEDY_COLOUR if name == GREEDY else strategies()[name].colour


def shapes_of(budgets: Sequence[int]) -> dict[int, str]:
    """Return the shape of each budget."""
    return {n: SHAPES[place % len(SHAPES)] for place, n in enumerate(sorted(budgets))}

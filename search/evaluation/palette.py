"""How pictures tell apart: a colour a strategy, dashes a configuration of it, a shape a budget, everywhere the same.

Source: Okabe and Ito 2008, "Color universal design": colours that differ for colour-blind eyes, too.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from search.evaluation.grid import GREEDY, Configuration
from search.strategies import strategies

Dashes = Literal["-", "--", ":", "-."]

GREEDY_COLOUR = "#56B4E9"
OPTIMAL = "#000000"
SHAPES = "osD^vP*X"
DASHES: tuple[Dashes, ...] = ("-", "--", ":", "-.")
HATCHES = ("", "///", "...", "xxx", "---", "+++")


def colour_of(name: str) -> str:
    """Return the colour of a strategy, or of the greedy sample."""
    return GREEDY_COLOUR if name == GREEDY else strategies()[name].colour


def places_of(configurations: Sequence[Configuration]) -> dict[Configuration, int]:
    """Return the place of each configuration among those of its strategy, by which dashes and hatches go."""
    seen: Counter[str] = Counter()
    places = {}
    for each in configurations:
        places[each] = seen[each.strategy]
        seen[each.strategy] += 1
    return places


def shapes_of(budgets: Sequence[int]) -> dict[int, str]:
    """Return the shape of each budget."""
    return {n: SHAPES[place % len(SHAPES)] for place, n in enumerate(sorted(budgets))}

"""How pictures tell strategies and budgets apart: a colour a strategy, a shape a budget, everywhere the same.

Source: Okabe and Ito 2008, "Color universal design": colours that differ for colour-blind eyes, too.
"""

from collections.abc import Sequence

COLOURS = {
    "greedy": "#56B4E9",
    "majority": "#999999",
    "best_of_n": "#E69F00",
    "weighted_best_of_n": "#D55E00",
    "beam_search": "#0072B2",
    "dvts": "#009E73",
    "auto": "#CC79A7",
}
OPTIMAL = "#000000"
SHAPES = "osD^vP*X"


def shapes_of(budgets: Sequence[int]) -> dict[int, str]:
    """Return the shape of each budget."""
    return {n: SHAPES[place % len(SHAPES)] for place, n in enumerate(sorted(budgets))}

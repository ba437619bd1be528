"""A world whose searches branch, for views that need no model: several steps, scores and answers."""

from tests.natures import Tree, answer, step
from tests.worlds import World


def branching() -> World:
    ends = (answer("132", 0.9), answer("90", 0.31), answer("132", 0.72), answer("12", 0.1))
    sums = step(
        "First, $17 + 28 = 45$.", 0.9, step(r"Then $45 \cdot 3 = 135$.", 0.86, *ends), step("So.", 0.3, *ends[1:])
    )
    return World(
        Tree(sums, step("First, $28 * 3 = 84$.", 0.4, step("So 101.", 0.35, *ends)), step("Well.", 0.6, *ends))
    )

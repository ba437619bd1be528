"""Says in a result whether its problem is like those that the calibration table was made from."""

import asyncio
from dataclasses import replace

from models.interfaces import Problem
from search.diagnostics import Novelty
from search.solve import SearchResult
from server.solving.state import State

LONG_CHARS = 4_096
"""What is longer is compared in a thread: 65,536 characters take 0.1 s."""


async def compare(result: SearchResult, problem: Problem, state: State) -> SearchResult:
    """Return a result that tells the novelty of its problem; the same result where no table measures it.

    All that was said is compared: a calibrated problem has no turns before it.
    """
    novelty = await novelty_of(problem, state)
    if novelty is None:
        return result
    return replace(result, diagnostics=result.diagnostics.comparing(novelty, _kind(state)))


async def novelty_of(problem: Problem, state: State) -> Novelty | None:
    """Return how new a problem is, and its turns before it; None where no table measures it."""
    table = state.calibrated.table
    if table is None or table.familiarity is None:
        return None
    familiarity = table.familiarity
    asked = "\n\n".join((*(turn.text for turn in problem.history), problem.text))
    is_long = len(asked) > LONG_CHARS
    return await asyncio.to_thread(familiarity.novelty, asked) if is_long else familiarity.novelty(asked)


def _kind(state: State) -> str:
    table = state.calibrated.table
    assert table is not None  # noqa: S101 - it told the novelty
    assert table.familiarity is not None  # noqa: S101 - the same
    made_for = state.settings.made_for or table.familiarity.made_for
    if made_for is None:
        return f"it is unlike the {table.familiarity.problems:,} problems of the calibration table"
    return f"this policy was trained on {made_for}"

"""A smaller budget out of a larger one's candidates, against a search that really had it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.best_of_n import BestOfN
from search.evaluation.subsample import elect
from search.voting import Selection
from tests.natures import Chance
from tests.search.helpers import search
from tests.worlds import World


@pytest.mark.asyncio(loop_scope="function")
@given(world_seed=st.integers(0, 1000), n=st.integers(1, 8), selection=st.sampled_from(Selection))
async def test_the_first_n_elect_what_a_budget_of_n_elects(world_seed: int, n: int, selection: Selection) -> None:
    whole = await search(World(Chance(world_seed)), BestOfN(8, Selection.WEIGHTED, early_stop=False))
    small = await search(World(Chance(world_seed)), BestOfN(n, selection))
    chosen = small.chosen.answer if small.chosen else None
    elected = elect(whole.candidates, n, selection)
    assert (elected and elected.key) == (chosen and chosen.key)


def test_nobody_elects_nothing() -> None:
    assert elect([], 4, Selection.WEIGHTED) is None

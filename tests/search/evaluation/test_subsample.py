"""A smaller budget out of a larger one's candidates, against a search that really had it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ModelError
from search.best_of_n import BestOfN
from search.dvts import DVTS
from search.evaluation.subsample import elect, elect_subtrees
from search.solve import SearchResult
from search.voting import Selection
from tests.natures import Chance, Tree, answer, cut, step
from tests.search.helpers import elected, search
from tests.worlds import World

VOTES = [selection for selection in Selection if selection is not Selection.TOURNAMENT]
SEEDS = st.integers(0, 1000)


@pytest.mark.asyncio(loop_scope="function")
@given(world_seed=SEEDS, n=st.integers(1, 8), selection=st.sampled_from(VOTES))
async def test_the_first_n_elect_what_a_budget_of_n_elects(world_seed: int, n: int, selection: Selection) -> None:
    whole = await search(World(Chance(world_seed)), BestOfN(8, Selection.WEIGHTED, early_stop=False))
    small = await search(World(Chance(world_seed)), BestOfN(n, selection))
    chosen = small.chosen.answer if small.chosen else None
    elected = elect(whole.candidates, n, selection)
    assert (elected and elected.key) == (chosen and chosen.key)


@pytest.mark.asyncio(loop_scope="function")
@given(world_seed=SEEDS, n=st.integers(1, 8), keep=st.sampled_from([0.1, 0.5, 0.9, 1.0]))
async def test_the_share_kept_of_the_first_n_is_that_of_a_budget_of_n(world_seed: int, n: int, keep: float) -> None:
    whole = await search(World(Chance(world_seed)), BestOfN(8, early_stop=False))
    chosen = (await search(World(Chance(world_seed)), BestOfN(n, keep=keep))).chosen
    elected = elect(whole.candidates, n, Selection.WEIGHTED, keep)
    assert (elected and elected.key) == (chosen and chosen.answer and chosen.answer.key)


def test_nobody_elects_nothing() -> None:
    assert elect([], 4, Selection.WEIGHTED) is None


@pytest.mark.asyncio(loop_scope="function")
@settings(max_examples=300)
@given(
    world_seed=SEEDS,
    seed=SEEDS,
    beam_width=st.integers(1, 4),
    num_subtrees=st.integers(1, 4),
    max_steps=st.integers(1, 5),
    selection=st.sampled_from(VOTES),
    max_tokens=st.sampled_from([20, 1000]),
    lost=st.sets(st.sampled_from(["a\n\n", "bb\n\n", "no idea"])),
    judgements_lost=st.sets(st.sampled_from(["aa\n\n", r"\boxed{2}"])),
)
@pytest.mark.no_cover
async def test_the_first_subtrees_are_the_search_with_their_budget(
    world_seed: int,
    seed: int,
    beam_width: int,
    num_subtrees: int,
    max_steps: int,
    selection: Selection,
    max_tokens: int,
    lost: set[str],
    judgements_lost: set[str],
) -> None:
    async def run(n: int) -> SearchResult:
        world = World(Chance(world_seed))
        world.policy.failures = {text: ModelError("lost") for text in lost}
        world.verifier.failures = {text: ModelError("lost") for text in judgements_lost}
        strategy = DVTS(n, beam_width, max_steps, selection=selection, early_stop=False)
        return await search(world, strategy, seed=seed, max_tokens=max_tokens)

    n = beam_width * num_subtrees
    whole, small = await run(4 * beam_width), await run(n)
    found = elect_subtrees(whole.candidates, n, beam_width, selection)
    assert (found and found.key) == elected(small)
    assert [candidate for candidate in whole.candidates if candidate.path[0] < n] == list(small.candidates)


async def test_a_subtree_whose_best_step_lost_all_its_children_does_not_vote() -> None:
    world = World(Tree(step("a", 0.9, answer("9", 1.0)), answer("1", 0.4), answer("2", 0.1), answer("2", 0.1)))
    world.policy.failures = {r"\boxed{9}": ModelError("lost")}
    result = await search(world, DVTS(4, 2, early_stop=False))
    found = elect_subtrees(result.candidates, 4, 2)
    assert found
    assert found.key == elected(result) == "2"


async def test_without_a_vote_the_best_complete_candidate_answers() -> None:
    world = World(Tree(step("a", 0.9, cut("x")), answer("1", 0.4)))
    result = await search(world, DVTS(2, 2, early_stop=False))
    found = elect_subtrees(result.candidates, 2, 2)
    assert found
    assert found.key == elected(result) == "1"


def test_a_tree_without_candidates_elects_nothing() -> None:
    assert elect_subtrees([], 4, 2) is None

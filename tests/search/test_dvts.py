from search.dvts import DVTS
from tests.natures import Tree, answer, cut, step
from tests.search.helpers import drawn_after, elected, search
from tests.worlds import World


def small_world() -> World:
    """Two subtrees of two steps: a and d are their best."""
    a = step("a", 0.9, step("a1", 0.5), answer("1", 0.6))
    d = step("d", 0.3, answer("2", 0.9), answer("3", 0.1))
    return World(Tree(a, step("b", 0.1), step("c", 0.2), d))


async def test_every_subtree_follows_its_best_step_to_the_end() -> None:
    world = small_world()
    result = await search(world, DVTS(4, 2))
    assert drawn_after(world) == [""] * 4 + ["a", "a", "d", "d"]
    assert [(vote.answer, vote.weight) for vote in result.votes] == [("2", 0.9), ("1", 0.6), ("3", 0.1)]


async def test_paths_number_the_first_steps_across_subtrees() -> None:
    result = await search(small_world(), DVTS(4, 2))
    paths = [candidate.path for candidate in result.candidates]
    assert paths == [(0,), (0, 0), (0, 1), (1,), (2,), (3,), (3, 0), (3, 1)]


async def test_complete_siblings_of_earlier_steps_do_not_vote() -> None:
    world = World(Tree(step("a", 0.9, answer("1", 0.2)), answer("2", 0.8)))
    result = await search(world, DVTS(2, 2))
    assert [(vote.answer, vote.count) for vote in result.votes] == [("1", 2)]


async def test_a_better_unfinished_step_is_followed_though_a_sibling_is_complete() -> None:
    world = World(Tree(answer("1", 0.4), step("a", 0.5, answer("2", 0.1))))
    assert elected(await search(world, DVTS(2, 2))) == "2"


async def test_a_truncated_step_is_never_chosen_though_its_prefix_scores_higher() -> None:
    world = World(Tree(step("a", 0.9, cut("x"), step("b", 0.2, answer("1", 0.3)))))
    result = await search(world, DVTS(2, 2))
    assert drawn_after(world)[-2:] == ["a b", "a b"]
    assert elected(result) == "1"


async def test_a_subtree_that_can_only_be_truncated_leaves_the_vote_to_the_others() -> None:
    world = World(Tree(cut("x"), cut("x"), answer("1", 0.3), answer("1", 0.2)))
    result = await search(world, DVTS(4, 2))
    assert [(vote.answer, vote.count) for vote in result.votes] == [("1", 2)]


async def test_at_max_steps_the_last_step_runs_to_the_end() -> None:
    world = World(Tree(step("a", 0.5, step("b", 0.5, step("c", 0.5, answer("1", 0.5))))))
    result = await search(world, DVTS(2, 2, max_steps=2))
    assert [len(candidate.steps) for candidate in result.candidates] == [1, 4, 4, 1]
    assert result.votes[0].count == 2


async def test_a_budget_of_one_is_one_subtree_of_one() -> None:
    assert DVTS(1, 4).num_subtrees == 1
    assert DVTS(16, 4).num_subtrees == 4

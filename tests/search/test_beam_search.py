import pytest

from search.beam_search import BeamSearch
from search.voting import Selection
from tests.natures import Tree, answer, cut, step
from tests.search.helpers import drawn_after, elected, search
from tests.worlds import World


def small_world() -> World:
    """Four first steps, of which a and c are the best; two of their four children are complete."""
    a = step("a", 0.9, step("a1", 0.3), answer("1", 0.9))
    c = step("c", 0.8, step("c1", 0.7, answer("2", 0.95), answer("3", 0.1)), answer("2", 0.4))
    return World(Tree(a, step("b", 0.2), c, step("d", 0.1)))


async def test_the_beam_grows_as_worked_out_by_hand() -> None:
    world = small_world()
    result = await search(world, BeamSearch(4, 2))
    assert drawn_after(world) == [""] * 4 + ["a", "a", "c", "c"] + ["c c1"] * 2
    assert [(vote.answer, vote.count, vote.weight) for vote in result.votes] == [
        ("2", 2, 0.4 + 0.95),
        ("1", 1, 0.9),
        ("3", 1, 0.1),
    ]


async def test_the_best_response_speaks_for_the_elected_answer() -> None:
    result = await search(small_world(), BeamSearch(4, 2))
    assert result.chosen is not None
    assert (result.chosen.path, result.chosen.text) == ((2, 0, 0), "c\n\nc1\n\n\\boxed{2}")
    assert (result.chosen.score, result.chosen.step_scores) == (0.95, (0.8, 0.7, 0.95))


async def test_the_whole_tree_is_in_the_result() -> None:
    result = await search(small_world(), BeamSearch(4, 2))
    paths = [candidate.path for candidate in result.candidates]
    assert paths == [(0,), (0, 0), (0, 1), (1,), (2,), (2, 0), (2, 0, 0), (2, 0, 1), (2, 1), (3,)]
    assert result.rounds == 3
    assert [candidate.path for candidate in result.final_candidates] == [(0, 1), (2, 0, 0), (2, 0, 1), (2, 1)]


@pytest.mark.parametrize(
    ("selection", "expected"), [(Selection.WEIGHTED, "1"), (Selection.BEST, "2"), (Selection.MAJORITY, "3")]
)
async def test_the_selection_chooses_among_the_complete(selection: Selection, expected: str) -> None:
    answers = [answer("1", 0.6), answer("1", 0.7), answer("2", 0.9), *[answer("3", 0.1)] * 3]
    result = await search(World(Tree(*answers)), BeamSearch(6, 3, selection=selection))
    assert elected(result) == expected


async def test_of_equal_steps_the_earlier_survive() -> None:
    world = World(Tree(*[step(name, 0.5, answer("1", 0.5)) for name in "abcd"]))
    await search(world, BeamSearch(4, 2))
    assert drawn_after(world)[4:] == ["a", "a", "b", "b"]


@pytest.mark.parametrize(("num_complete", "survivors"), [(0, "abcd"), (1, "abc"), (2, "abc"), (3, "ab"), (7, "a")])
async def test_the_complete_take_their_places_in_the_budget(num_complete: int, survivors: str) -> None:
    growing = [step(name, 0.5, answer("1", 0.5)) for name in "abcdefgh"[: 8 - num_complete]]
    world = World(Tree(*[answer("2", 0.5)] * num_complete, *growing))
    await search(world, BeamSearch(8, 2, early_stop=False))
    assert sorted(set(drawn_after(world)[8:])) == list(survivors)


async def test_a_single_survivor_has_no_more_children_than_places_are_left() -> None:
    world = World(Tree(answer("1", 0.5), *[step(name, 0.5, answer("2", 0.5)) for name in "abc"]))
    await search(world, BeamSearch(4, 4, early_stop=False))
    assert drawn_after(world)[4:] == ["a"] * 3


async def test_a_truncated_candidate_is_not_extended() -> None:
    world = World(Tree(step("a", 0.9, cut("x"), step("b", 0.2, answer("1", 0.3)))))
    await search(world, BeamSearch(2, 2))
    assert drawn_after(world) == ["", "", "a", "a", "a b", "a b"]


async def test_after_max_steps_the_rest_run_to_their_end() -> None:
    world = World(Tree(step("a", 0.5, step("b", 0.5, step("c", 0.5, answer("1", 0.5))))))
    result = await search(world, BeamSearch(2, 2, max_steps=2))
    assert [len(candidate.steps) for candidate in result.candidates] == [1, 4, 4, 1]
    assert result.rounds == 2
    assert result.votes[0].count == 2

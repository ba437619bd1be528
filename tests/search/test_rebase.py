"""REBASE in worlds worked out by hand, and its laws."""

from math import exp
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import EngineUnavailableError
from search.aggregation import Aggregation
from search.best_of_n import BestOfN
from search.errors import HyperparameterError
from search.rebase import Rebase, share
from search.voting import Selection
from tests.natures import Chance, Tree, answer, cut, step
from tests.search.helpers import Watch, drawn_after, elected, search
from tests.worlds import World

ONE = Rebase(8, early_stop=False)
scores = st.lists(st.floats(0, 1), min_size=1, max_size=64).map(lambda found: sorted(found, reverse=True))


@pytest.mark.parametrize(
    ("budget", "given_scores", "temperature", "widths"),
    [
        (4, [0.5, 0.5, 0.5], 1.0, [2, 1, 1]),
        (8, [0.5, 0.5], 0.1, [4, 4]),
        # e^0 : e^-1 : e^-2 is .665 : .245 : .090; ceil(16 x .665) = 11, ceil(5 x .731) = 4, and the one that is left
        (16, [0.9, 0.8, 0.7], 0.1, [11, 4, 1]),
        (3, [0.9, 0.8, 0.7], 0.1, [2, 1, 0]),
        (5, [1.0, 0.0], 0.001, [5, 0]),
        (5, [1.0, 0.0], 1e-6, [5, 0]),
        (7, [1.0, 0.0], 1e9, [4, 3]),
        (6, [0.2], 0.1, [6]),
    ],
)
def test_shares_are_rounded_up_from_the_best_node_down(
    budget: int, given_scores: list[float], temperature: float, widths: list[int]
) -> None:
    assert share(budget, given_scores, temperature) == widths


@settings(max_examples=300)
@given(st.integers(1, 300), scores, st.floats(0.001, 100))
def test_shares_add_up_to_the_budget_and_never_rise(budget: int, given_scores: list[float], temperature: float) -> None:
    widths = share(budget, given_scores, temperature)
    assert sum(widths) == budget
    assert all(width >= 0 for width in widths)
    assert widths[0] >= budget * exp(0) / len(widths)


async def test_the_tree_grows_as_worked_out_by_hand() -> None:
    a = step("a", 0.9, answer("1", 0.9), step("a1", 0.5, answer("2", 0.8)), answer("1", 0.7), answer("3", 0.1))
    world = World(Tree(a, step("b", 0.8, answer("2", 0.6)), step("c", 0.1), answer("3", 0.2)))
    result = await search(world, Rebase(4, early_stop=False))
    # one of four is complete; of the three left a takes ceil(3 x .731) = 3; then one child is left, and goes to a1
    assert drawn_after(world) == ["", "", "", "", "a", "a", "a", "a a1"]
    assert [(vote.answer, vote.count) for vote in result.votes] == [("1", 2), ("2", 1), ("3", 1)]


async def test_a_warmer_balance_leaves_something_to_the_others() -> None:
    steps = [step(name, score, answer("1", 0.5)) for name, score in (("a", 0.9), ("b", 0.6), ("c", 0.3), ("d", 0.1))]
    world = World(Tree(*steps))
    await search(world, Rebase(4, balance_temperature=10.0, early_stop=False))
    assert drawn_after(world)[4:] == ["a", "a", "b", "c"]


async def test_of_equal_nodes_the_earlier_is_served_first() -> None:
    a = step("a", 0.5, answer("1", 0.5), step("p", 0.5, answer("1", 0.5)))
    b = step("b", 0.5, step("q", 0.5, answer("1", 0.5)), answer("1", 0.5))
    world = World(Tree(a, b, step("c", 0.0), step("d", 0.0)))
    await search(world, Rebase(4, balance_temperature=0.01, early_stop=False))
    assert drawn_after(world)[4:] == ["a", "a", "b", "b", "a p", "b q"]


async def test_truncated_responses_take_their_places_in_the_budget_too() -> None:
    world = World(Tree(cut("x"), step("a", 0.5, answer("1", 0.5)), cut("y"), step("b", 0.5, answer("1", 0.5))))
    result = await search(world, Rebase(4, early_stop=False))
    assert drawn_after(world)[4:] == ["a", "b"]
    assert (len(result.final_candidates), result.votes[0].count) == (4, 2)


async def test_a_lost_node_leaves_its_share_to_the_others() -> None:
    world = World(Tree(step("a", 0.9), step("b", 0.5, answer("1", 0.5))))
    world.policy.failures["a\n\n"] = EngineUnavailableError("gone")
    result = await search(world, Rebase(2, early_stop=False))
    assert (result.votes[0].count, len(result.losses)) == (2, 1)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
async def test_as_many_responses_end_as_the_budget_has(seed: int, temperature: float) -> None:
    watch = Watch()
    result = await search(World(Chance(seed)), Rebase(8, temperature, early_stop=False), seed=seed, observer=watch)
    assert len(result.final_candidates) == 8
    for depth in range(1, result.rounds + 1):
        grown = [candidate for candidate in result.candidates if len(candidate.path) == depth]
        ended = [candidate for candidate in result.final_candidates if len(candidate.path) < depth]
        assert len(grown) + len(ended) <= 8


@pytest.mark.parametrize("seed", range(8))
async def test_a_tree_of_one_step_is_weighted_best_of_n(seed: int) -> None:
    tree, flat = Rebase(8, max_steps=1, early_stop=False), BestOfN(8, Selection.WEIGHTED, early_stop=False)
    expected, result = [await search(World(Chance(seed)), each, seed=seed) for each in (flat, tree)]
    assert [candidate.steps for candidate in result.candidates] == [c.steps for c in expected.candidates]
    assert elected(result) == elected(expected)


@pytest.mark.parametrize("seed", range(8))
async def test_no_response_is_longer_than_it_may_be(seed: int) -> None:
    result = await search(World(Chance(seed)), Rebase(8, max_steps=3, early_stop=False), seed=seed)
    assert result.rounds <= 3
    assert len(result.final_candidates) == 8


@settings(max_examples=150)
@given(st.integers(0, 1000), st.sampled_from(list(Aggregation)), st.integers(0, 100))
@pytest.mark.no_cover
async def test_early_stopping_never_changes_the_answer(seed: int, aggregation: Aggregation, shuffle: int) -> None:
    hasty, patient = [
        await search(World(Chance(seed), shuffle), Rebase(8, early_stop=early_stop), aggregation=aggregation, seed=seed)
        for early_stop in (True, False)
    ]
    assert elected(hasty) == elected(patient)


async def test_it_stops_when_nothing_can_change_the_answer() -> None:
    world = World(Tree(*[answer("1", 1.0)] * 3, step("a", 0.1, answer("2", 1.0))))
    await search(world, Rebase(4))
    assert drawn_after(world) == [""] * 4


@pytest.mark.parametrize("seed", range(4))
async def test_the_order_in_which_calls_end_does_not_change_the_result(seed: int) -> None:
    first, *others = [await search(World(Chance(seed), shuffle), ONE, seed=seed) for shuffle in (None, 1, 2)]
    assert others == [first, first]


async def test_every_token_is_billed() -> None:
    world = World(Chance(5))
    result = await search(world, ONE)
    assert result.meter.completion_tokens == world.policy.num_tokens


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"n": 0}, "n"),
        ({"balance_temperature": 0.0}, "balance_temperature"),
        ({"balance_temperature": float("nan")}, "balance_temperature"),
        ({"max_steps": 0}, "max_steps"),
    ],
)
def test_what_makes_no_search_is_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(HyperparameterError) as raised:
        Rebase(**{"n": 4} | fields)
    assert raised.value.field == field

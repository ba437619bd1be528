"""Exact early stopping: it never changes the answer, and it saves what it can."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.aggregation import Aggregation
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.dvts import DVTS
from search.solve import SearchResult, Status
from search.voting import Selection
from tests.natures import Branch, Chance, Tree, answer, step
from tests.search.helpers import an_hour_later, elected, search
from tests.worlds import World

pytestmark = pytest.mark.asyncio(loop_scope="function")  # the clock that jumps an hour is no engine's

NUMBERS = st.integers(1, 4)
SEEDS = st.integers(0, 1000)


@st.composite
def any_strategy(draw: st.DrawFn) -> BestOfN | BeamSearch | DVTS:
    beam_width, selection = draw(NUMBERS), draw(st.sampled_from(Selection))
    n, max_steps, lookahead = beam_width * draw(NUMBERS), draw(NUMBERS), draw(st.integers(0, 2))
    strategies: list[BestOfN | BeamSearch | DVTS] = [
        BestOfN(n, selection),
        BeamSearch(n, beam_width, max_steps, lookahead, selection),
        DVTS(n, beam_width, max_steps, lookahead, selection),
    ]
    return draw(st.sampled_from(strategies))


@settings(max_examples=500)
@given(
    strategy=any_strategy(),
    aggregation=st.sampled_from(Aggregation),
    max_tokens=st.sampled_from([8, 20, 1000]),
    world_seed=SEEDS,
    seed=SEEDS,
    shuffle=SEEDS,
    refuted=st.frozensets(st.sampled_from(["1/2", "2", "3"])),
)
@pytest.mark.no_cover
async def test_it_never_changes_the_answer(
    strategy: BestOfN | BeamSearch | DVTS,
    aggregation: Aggregation,
    max_tokens: int,
    world_seed: int,
    seed: int,
    shuffle: int,
    refuted: frozenset[str],
) -> None:
    async def run(early_stop: bool) -> SearchResult:
        world, each = World(Chance(world_seed), shuffle), replace(strategy, early_stop=early_stop)
        return await search(world, each, aggregation=aggregation, max_tokens=max_tokens, seed=seed, refuted=refuted)

    hasty, patient = await run(True), await run(False)
    assert elected(hasty) == elected(patient)
    assert elected(hasty) not in refuted
    assert hasty.meter.completion_tokens <= patient.meter.completion_tokens


def world_without_a_nine(*branches: Branch) -> World:
    """A world in which the answer 9 never comes."""
    world = World(Tree(*branches))
    world.policy.gates[r"\boxed{9}"] = asyncio.Event()
    return world


async def patient_search(
    world: World, strategy: BestOfN | BeamSearch | DVTS, aggregation: Aggregation = Aggregation.LAST
) -> SearchResult:
    return await an_hour_later(search(world, strategy, aggregation=aggregation, deadline_s=60))


@pytest.mark.parametrize("selection", [Selection.MAJORITY, Selection.WEIGHTED])
async def test_responses_that_cannot_change_the_vote_are_stopped(selection: Selection) -> None:
    world = world_without_a_nine(*[answer("1", 1.0)] * 3, *[answer("9", 1.0)] * 2)
    result = await patient_search(world, BestOfN(5, selection))
    assert (result.status, elected(result)) == (Status.COMPLETE, "1")
    assert (world.policy.num_cancelled, world.policy.num_in_flight) == (2, 0)


@pytest.mark.parametrize("strategy", [BestOfN(5, Selection.MAJORITY), BestOfN(5), DVTS(5, 1)])
async def test_without_it_all_are_waited_for(strategy: BestOfN | DVTS) -> None:
    world = world_without_a_nine(*[answer("1", 1.0)] * 3, *[answer("9", 1.0)] * 2)
    result = await patient_search(world, replace(strategy, early_stop=False))
    assert result.status is Status.DEADLINE


@pytest.mark.parametrize("strategy", [BestOfN(4, Selection.MAJORITY), BestOfN(4), DVTS(4, 1)])
async def test_a_lead_that_the_rest_could_equal_decides_nothing(strategy: BestOfN | DVTS) -> None:
    world = World(Tree(answer("2", 1.0), answer("1", 1.0), answer("1", 1.0), answer("2", 1.0)))
    assert elected(await search(world, strategy)) == "2"


async def test_subtrees_that_cannot_change_the_vote_are_stopped() -> None:
    world = world_without_a_nine(*[answer("1", 1.0)] * 4, *[step("a", 1.0, answer("9", 1.0))] * 2)
    result = await patient_search(world, DVTS(6, 2))
    assert (result.status, elected(result)) == (Status.COMPLETE, "1")
    assert world.policy.num_in_flight == world.verifier.num_in_flight == 0


async def test_a_beam_that_cannot_change_the_vote_is_not_grown() -> None:
    world = world_without_a_nine(*[answer("1", 1.0)] * 3, step("a", 1.0, answer("9", 1.0)))
    result = await patient_search(world, BeamSearch(4, 2))
    assert (result.status, elected(result)) == (Status.COMPLETE, "1")
    assert world.policy.num_calls == 4


@pytest.mark.parametrize("aggregation", [Aggregation.MIN, Aggregation.PROD])
async def test_a_beam_whose_scores_have_fallen_below_the_best_is_not_grown(aggregation: Aggregation) -> None:
    world = world_without_a_nine(answer("1", 0.6), step("a", 0.5, answer("9", 1.0)))
    result = await patient_search(world, BeamSearch(2, 1, selection=Selection.BEST), aggregation)
    assert (result.status, elected(result)) == (Status.COMPLETE, "1")


async def test_under_the_last_score_a_beam_may_rise_again() -> None:
    world = World(Tree(answer("1", 0.6), step("a", 0.5, answer("2", 1.0))))
    assert elected(await search(world, BeamSearch(2, 1, selection=Selection.BEST))) == "2"


@pytest.mark.parametrize("aggregation", [Aggregation.MIN, Aggregation.PROD])
async def test_a_refuted_response_stops_no_weaker_one(aggregation: Aggregation) -> None:
    world = World(Tree(answer("1", 0.9), step("a", 0.5, step("b", 0.4, answer("2", 0.3)))))
    result = await search(world, BestOfN(2, Selection.BEST), aggregation=aggregation, refuted={"1"})
    assert elected(result) == "2"
    assert not any(candidate.is_stopped for candidate in result.candidates)


@pytest.mark.parametrize("strategy", [BestOfN(4, Selection.MAJORITY), BestOfN(4), BeamSearch(4, 1), DVTS(4, 1)])
async def test_refuted_answers_give_no_lead(strategy: BestOfN | BeamSearch | DVTS) -> None:
    world = World(Tree(*[answer("1", 1.0)] * 3, answer("2", 0.1)))
    assert elected(await search(world, strategy, refuted={"1"})) == "2"

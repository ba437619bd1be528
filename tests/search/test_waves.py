"""Searches in waves: what a probable stop leaves out, and what it never changes."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from models.errors import EngineUnavailableError
from search.aggregation import Aggregation
from search.best_of_n import BestOfN
from search.compute_optimal import Bin, ComputeOptimal
from search.confidence import Confidence
from search.dvts import DVTS
from search.errors import HyperparameterError
from search.solve import SearchResult, Status
from search.stopping import Probable, Rule, Stop
from search.strategy import Strategy
from search.voting import Selection
from tests.natures import Chance, Tree, answer, cut, end
from tests.replay import Replay, traced
from tests.search.helpers import an_hour_later, cancel_midway, elected, search
from tests.worlds import World

pytestmark = pytest.mark.asyncio(loop_scope="function")  # the clock that jumps an hour is no engine's

PROBABLE = Probable(0.95)
FORECAST = [selection for selection in Selection if selection is not Selection.TOURNAMENT]
STOPPING = [
    *[BestOfN(16, selection, PROBABLE) for selection in FORECAST],
    *[DVTS(16, 2, selection=selection, early_stop=PROBABLE) for selection in FORECAST],
]
each_stopping_strategy = pytest.mark.parametrize("strategy", STOPPING, ids=repr)


def unanimous() -> World:
    return World(Tree(answer("1", 1.0)))


def drawn(result: SearchResult) -> Stop:
    assert result.diagnostics.stopping is not None
    return result.diagnostics.stopping


@pytest.mark.parametrize("selection", [Selection.MAJORITY, Selection.WEIGHTED])
async def test_a_clear_vote_ends_early_and_what_is_left_is_not_drawn(selection: Selection) -> None:
    world = unanimous()
    result = await search(world, BestOfN(64, selection, PROBABLE))
    stop = drawn(result)
    assert (elected(result), result.status, stop.rule, stop.of) == ("1", Status.COMPLETE, Rule.PROBABLE, 64)
    assert len(result.votes[0].candidates) < 16
    assert stop.num_candidates == world.policy.num_calls < 20
    assert 0 < stop.change_probability_bound <= PROBABLE.risk
    assert world.policy.num_in_flight == 0


async def test_subtrees_are_left_out_one_by_one() -> None:
    stop = drawn(await search(unanimous(), DVTS(64, 4, early_stop=PROBABLE)))
    assert (stop.rule, stop.of) == (Rule.PROBABLE, 64)
    assert stop.num_candidates % 4 == 0
    assert stop.num_candidates < 48


async def test_the_best_response_takes_longer_to_be_known() -> None:
    stop = drawn(await search(unanimous(), BestOfN(64, Selection.BEST, PROBABLE)))
    assert stop.rule is Rule.PROBABLE
    assert 8 <= stop.num_candidates < 64


async def test_where_nothing_agrees_everything_is_drawn() -> None:
    world = World(Tree(*[answer(str(number), 0.5) for number in range(16)]))
    assert drawn(await search(world, BestOfN(16, Selection.MAJORITY, PROBABLE))) == Stop(Rule.ALL, 16, 16, 0.0)


async def test_a_vote_that_cannot_change_ends_exactly() -> None:
    world = World(Tree(*[answer("1", 1.0), answer("2", 1.0)] * 3, *[answer("2", 1.0)] * 4))
    stop = drawn(await search(world, BestOfN(10, Selection.MAJORITY, Probable(0.9999))))
    assert (stop.rule, stop.change_probability_bound) == (Rule.EXACT, 0.0)


@each_stopping_strategy
@pytest.mark.parametrize("seed", range(6))
async def test_what_is_drawn_is_part_of_the_whole_search(strategy: BestOfN | DVTS, seed: int) -> None:
    part = await search(World(Chance(seed), shuffle=seed), strategy, seed=seed)
    whole = await search(World(Chance(seed)), replace(strategy, early_stop=False), seed=seed)
    grown = {candidate.path: candidate for candidate in whole.candidates}
    voting = [candidate for vote in part.votes for candidate in vote.candidates]
    assert all(candidate == grown[candidate.path] for candidate in voting)
    assert {candidate.path for candidate in part.candidates} <= set(grown)
    assert drawn(part).num_candidates <= 16
    assert part.meter.completion_tokens <= whole.meter.completion_tokens


@each_stopping_strategy
@pytest.mark.parametrize("seed", range(6))
async def test_the_order_in_which_calls_end_does_not_change_it(strategy: BestOfN | DVTS, seed: int) -> None:
    results = [await search(World(Chance(seed), shuffle), strategy, seed=seed) for shuffle in (None, 1, 2)]
    assert len({(elected(result), drawn(result)) for result in results}) == 1


@each_stopping_strategy
@pytest.mark.parametrize("seed", range(6))
async def test_with_near_certainty_it_is_exact_stopping(strategy: BestOfN | DVTS, seed: int) -> None:
    result, exact = [
        await search(World(Chance(seed)), replace(strategy, early_stop=rule), seed=seed)
        for rule in (Probable(1 - 1e-12), True)
    ]
    assert (elected(result), result.votes) == (elected(exact), exact.votes)
    assert drawn(result).rule in (Rule.EXACT, Rule.ALL)


@each_stopping_strategy
@pytest.mark.no_cover
async def test_over_random_worlds_no_larger_share_changes_than_is_allowed(strategy: BestOfN | DVTS) -> None:
    num_changed, num_stopped, num_worlds = 0, 0, 100
    for seed in range(num_worlds):
        part = await search(World(Chance(seed)), strategy, seed=seed)
        whole = await search(World(Chance(seed)), replace(strategy, early_stop=True), seed=seed)
        num_changed += elected(part) != elected(whole)
        num_stopped += drawn(part).rule is Rule.PROBABLE
    assert num_changed <= PROBABLE.risk * num_worlds
    assert num_stopped > 0 or strategy.selection is Selection.BEST


async def test_parts_grow_in_waves() -> None:
    world = unanimous()
    world.policy.gates[r"\boxed{1}"] = asyncio.Event()
    result = await an_hour_later(search(world, BestOfN(64, Selection.MAJORITY, PROBABLE), deadline_s=60))
    assert 1 < world.policy.num_calls < 20
    assert (result.status, result.diagnostics.stopping) == (Status.DEADLINE, None)


async def test_cancelling_stops_the_wave() -> None:
    world = unanimous()
    world.policy.gates[r"\boxed{1}"] = asyncio.Event()
    await cancel_midway(search(world, BestOfN(64, Selection.MAJORITY, PROBABLE)))
    assert world.policy.num_in_flight == 0
    assert world.policy.num_cancelled == world.policy.num_calls


async def test_lost_and_truncated_responses_take_their_place_and_vote_for_nothing() -> None:
    world = World(Tree(answer("1", 1.0), end("lost", 1.0), cut("a long"), answer("1", 1.0)))
    world.policy.failures["lost"] = EngineUnavailableError("down")
    result = await search(world, BestOfN(16, Selection.MAJORITY, PROBABLE))
    stop = drawn(result)
    assert (elected(result), result.status) == ("1", Status.DEGRADED)
    assert stop.num_candidates == world.policy.num_calls <= stop.of == 16


@pytest.mark.parametrize("aggregation", [Aggregation.MIN, Aggregation.PROD])
async def test_best_responses_are_stopped_below_the_best_in_waves_too(aggregation: Aggregation) -> None:
    world = World(Chance(3))
    result = await search(world, BestOfN(16, Selection.BEST, PROBABLE), aggregation=aggregation)
    whole = await search(World(Chance(3)), BestOfN(16, Selection.BEST), aggregation=aggregation)
    assert elected(result) == elected(whole)


def auto(probe: Strategy, rest: Strategy, target_confidence: float | None = None) -> ComputeOptimal:
    as_it_is = Confidence((0.0, 1.0), (0.0, 1.0))
    return ComputeOptimal(probe.n + rest.n, probe, as_it_is, (Bin(0.0, rest),), as_it_is, target_confidence)


async def test_a_probe_and_what_follows_stop_each_on_its_own() -> None:
    strategy = auto(BestOfN(16, early_stop=PROBABLE), BestOfN(64, early_stop=PROBABLE))
    result = await search(unanimous(), strategy)
    stop = drawn(result)
    assert (stop.rule, stop.of) == (Rule.PROBABLE, 80)
    assert stop.num_candidates == len({candidate.path for candidate in result.candidates}) < 30
    assert max(candidate.path[0] for candidate in result.candidates) >= 16  # numbered on from the whole probe


async def test_a_search_that_is_as_sure_as_was_asked_for_says_so() -> None:
    world = World(Tree(*[answer("1", 0.6), answer("2", 0.6)] * 2, *[answer("1", 0.6)] * 12))
    strategy = auto(BestOfN(4, early_stop=Probable(0.9999)), BestOfN(12, early_stop=Probable(0.9999)), 0.41)
    stop = drawn(await search(world, strategy))
    assert (stop.rule, stop.num_candidates < 16) == (Rule.CONFIDENCE, True)
    assert stop.change_probability_bound > 0


@each_stopping_strategy
@pytest.mark.parametrize("seed", range(6))
async def test_a_replay_of_the_whole_search_stops_as_the_search_itself(strategy: BestOfN | DVTS, seed: int) -> None:
    whole = await search(World(Chance(seed)), replace(strategy, early_stop=False))
    part = await search(World(Chance(seed)), strategy)
    replay = await Replay(traced(whole)).search(strategy)
    assert (elected(replay), drawn(replay)) == (elected(part), drawn(part))
    assert [vote.count for vote in replay.votes] == [vote.count for vote in part.votes]


@pytest.mark.parametrize("make", [BestOfN, partial(DVTS, beam_width=2)])
def test_a_tournament_and_a_filter_cannot_be_forecast(make: Callable[..., object]) -> None:
    with pytest.raises(HyperparameterError, match="not supported with a tournament"):
        make(16, selection=Selection.TOURNAMENT, early_stop=PROBABLE)
    with pytest.raises(HyperparameterError, match="wants all responses"):
        BestOfN(16, Selection.WEIGHTED, PROBABLE, keep=0.5)

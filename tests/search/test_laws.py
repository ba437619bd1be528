"""What must hold in every world, of which random ones are a sample."""

from collections import Counter

import pytest

from search.aggregation import Aggregation
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.dvts import DVTS
from search.strategy import Strategy
from search.voting import Selection
from tests.natures import Chance, Tree, answer, step
from tests.search.helpers import drawn_after, each_selection, each_strategy, elected, search
from tests.worlds import World

WITHOUT_LOOKAHEAD: list[Strategy] = [
    *[BestOfN(8, selection, early_stop=False) for selection in Selection],
    *[BeamSearch(8, beam_width, early_stop=False) for beam_width in (1, 2, 8)],
    *[DVTS(8, beam_width, early_stop=False) for beam_width in (1, 2, 8)],
]
EXHAUSTIVE = [
    *WITHOUT_LOOKAHEAD,
    BeamSearch(8, 2, max_steps=3, lookahead=2, early_stop=False),
    DVTS(8, 2, max_steps=3, lookahead=2, early_stop=False),
]
each_exhaustive_strategy = pytest.mark.parametrize("strategy", EXHAUSTIVE, ids=repr)
in_many_worlds = pytest.mark.parametrize("seed", range(8))


@in_many_worlds
@pytest.mark.parametrize("make", [BeamSearch, DVTS])
async def test_a_beam_width_of_one_prunes_nothing(make: type[BeamSearch | DVTS], seed: int) -> None:
    result = await search(World(Chance(seed)), make(8, beam_width=1, early_stop=False), seed=seed)
    paths = {candidate.path for candidate in result.candidates}
    growing = [candidate.path for candidate in result.candidates if candidate.is_growing]
    assert all((*path, 0) in paths for path in growing)
    assert len(result.final_candidates) == 8


@in_many_worlds
@pytest.mark.parametrize("make", [BeamSearch, DVTS])
async def test_a_beam_width_of_n_keeps_one(make: type[BeamSearch | DVTS], seed: int) -> None:
    world = World(Chance(seed))
    result = await search(world, make(8, beam_width=8, early_stop=False), seed=seed)
    parents = {candidate.path[:-1] for candidate in result.candidates}
    assert Counter(map(len, parents)) == dict.fromkeys(range(result.rounds), 1)


@in_many_worlds
async def test_with_a_beam_width_of_one_beam_search_and_dvts_are_the_same(seed: int) -> None:
    beam = await search(World(Chance(seed)), BeamSearch(8, 1, early_stop=False), seed=seed)
    dvts = await search(World(Chance(seed)), DVTS(8, 1, early_stop=False), seed=seed)
    assert beam == dvts


@in_many_worlds
@each_selection
@pytest.mark.parametrize("make", [BeamSearch, DVTS])
async def test_a_tree_of_one_step_is_best_of_n(make: type[BeamSearch | DVTS], selection: Selection, seed: int) -> None:
    tree = make(8, 2, max_steps=1, selection=selection, early_stop=False)
    flat = BestOfN(8, selection, early_stop=False)
    expected, result = [await search(World(Chance(seed)), each, seed=seed) for each in (flat, tree)]
    assert elected(result) == elected(expected)
    assert [candidate.steps for candidate in result.candidates] == [c.steps for c in expected.candidates]


@each_strategy(n=1, beam_width=4)
async def test_a_budget_of_one_is_one_sample(strategy: Strategy) -> None:
    world = World(Tree(step("a", 0.5, step("b", 0.5, answer("1", 0.5)))))
    result = await search(world, strategy)
    assert drawn_after(world) == ["", "a", "a b"]
    assert [vote.count for vote in result.votes] == [1]
    assert result.meter.completion_tokens == 3 + 3 + 9


@in_many_worlds
@each_exhaustive_strategy
async def test_the_order_in_which_calls_end_does_not_change_the_result(strategy: Strategy, seed: int) -> None:
    first, *others = [await search(World(Chance(seed), shuffle), strategy, seed=seed) for shuffle in (None, 1, 2)]
    assert others == [first, first]


@in_many_worlds
@each_strategy(n=8, beam_width=2)
async def test_the_order_in_which_calls_end_does_not_change_who_votes_early(strategy: Strategy, seed: int) -> None:
    first, *others = [await search(World(Chance(seed), shuffle), strategy, seed=seed) for shuffle in (None, 1, 2)]
    assert [other.votes for other in others] == [first.votes, first.votes]


@each_exhaustive_strategy
async def test_another_seed_is_another_tree(strategy: Strategy) -> None:
    first, second = [await search(World(Chance(0)), strategy, seed=seed) for seed in (0, 1)]
    assert first.candidates != second.candidates


@each_strategy(n=4, beam_width=2)
async def test_identical_responses_vote_like_one(strategy: Strategy) -> None:
    world = World(Tree(step("a", 0.5, answer("1", 0.7))))
    result = await search(world, strategy)
    assert (elected(result), len(result.votes), result.diagnostics.agreement) == ("1", 1, 1.0)
    assert result.chosen is not None
    assert result.chosen.score in (0.7, None)


@in_many_worlds
@each_strategy(n=16, beam_width=2)
@pytest.mark.parametrize("aggregation", [Aggregation.LAST, Aggregation.MIN])
async def test_nothing_is_judged_twice(strategy: Strategy, aggregation: Aggregation, seed: int) -> None:
    world = World(Chance(seed), shuffle=seed)
    await search(world, strategy, aggregation=aggregation, seed=seed)
    assert len(set(world.verifier.judged)) == len(world.verifier.judged)


@in_many_worlds
@each_exhaustive_strategy
async def test_every_token_is_billed(strategy: Strategy, seed: int) -> None:
    world = World(Chance(seed))
    result = await search(world, strategy, seed=seed)
    assert result.meter.completion_tokens == world.policy.num_tokens


@in_many_worlds
@pytest.mark.parametrize("strategy", [BeamSearch(8, 2), DVTS(8, 2)])
async def test_every_step_is_drawn_with_a_seed_of_its_own(strategy: Strategy, seed: int) -> None:
    world = World(Chance(seed))
    await search(world, strategy, seed=seed)
    seeds = [sampling.seed for _, sampling in world.policy.draws]
    assert len(set(seeds)) == len(seeds)


@in_many_worlds
@each_exhaustive_strategy
async def test_truncated_responses_never_vote(strategy: Strategy, seed: int) -> None:
    result = await search(World(Chance(seed)), strategy, max_tokens=12, seed=seed)
    voters = [candidate for vote in result.votes for candidate in vote.candidates]
    assert all(candidate.is_complete for candidate in voters)
    assert all(candidate.num_tokens <= 12 for candidate in result.candidates)


@in_many_worlds
@pytest.mark.parametrize("strategy", WITHOUT_LOOKAHEAD, ids=repr)
async def test_scores_are_the_verifiers_own(strategy: Strategy, seed: int) -> None:
    nature = Chance(seed)
    result = await search(World(nature), strategy, seed=seed)
    for candidate in result.candidates:
        judged = [nature.judge(candidate.steps[: i + 1]) for i in range(len(candidate.step_scores))]
        assert list(candidate.step_scores) == judged

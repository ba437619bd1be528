import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from search.aggregation import Aggregation
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.candidate import Candidate
from search.dvts import DVTS
from search.observer import Silence
from search.solve import SearchResult
from search.strategy import Strategy
from search.voting import Selection
from tests.natures import Chance, Tree, answer, step
from tests.search.helpers import Watch, drawn_after, search, settle
from tests.worlds import World


@asynccontextmanager
async def held(world: World, text: str, strategy: Strategy, watch: Watch | None = None) -> AsyncIterator[None]:
    """Run a search up to where the policy would draw `text`; let it go on afterwards."""
    gate = world.policy.gates[text] = asyncio.Event()
    task = asyncio.create_task(search(world, strategy, aggregation=Aggregation.MIN, observer=watch))
    await settle()
    yield
    gate.set()
    await task


@pytest.mark.parametrize("strategy", [BestOfN(2), BeamSearch(2, 2), DVTS(2, 2)])
async def test_a_candidate_is_judged_while_its_siblings_are_still_generated(strategy: Strategy) -> None:
    world = World(Tree(answer("1", 0.5), answer("2", 0.5)))
    async with held(world, r"\boxed{2}", strategy):
        assert world.verifier.judged == [r"\boxed{1}"]


async def test_a_step_is_judged_while_its_response_still_grows() -> None:
    world = World(Tree(step("a", 0.5, answer("1", 0.5))))
    async with held(world, r"\boxed{1}", BestOfN(1, Selection.BEST)):
        assert world.verifier.judged == ["a\n\n"]


async def test_subtrees_do_not_wait_for_each_other() -> None:
    watch = Watch()
    first, second = step("a", 0.5, answer("1", 0.5)), step("b", 0.5, step("c", 0.5, answer("2", 0.5)))
    async with held(World(Tree(first, first, second, second)), r"\boxed{1}", DVTS(4, 2), watch):
        paths = [candidate.path for candidate in watch.growths if candidate.is_complete]
        assert paths == [(2, 0, 0), (2, 0, 1)]


async def test_survivors_wait_for_all_candidates_of_a_step() -> None:
    world = World(Tree(step("a", 0.5, answer("1", 0.5)), step("b", 0.5, answer("2", 0.5))))
    async with held(world, "b\n\n", BeamSearch(2, 2)):
        assert drawn_after(world) == ["", ""]


class Budget(Silence):
    """Holds the candidates complete and in flight against the budget, at every growth."""

    def __init__(self, world: World) -> None:
        self.most = 0
        self._world = world
        self._complete: set[tuple[int, ...]] = set()

    def on_growth(self, candidate: Candidate) -> None:
        if candidate.is_complete:
            self._complete.add(candidate.path)
        self.most = max(self.most, len(self._complete) + self._world.policy.num_in_flight)


@pytest.mark.parametrize("strategy", [BestOfN(8), BeamSearch(8, 2), BeamSearch(8, 4), BeamSearch(8, 8)], ids=repr)
@pytest.mark.parametrize("seed", range(10))
async def test_complete_and_in_flight_together_never_exceed_the_budget(strategy: Strategy, seed: int) -> None:
    world = World(Chance(seed), shuffle=seed)
    budget = Budget(world)
    await search(world, strategy, seed=seed, observer=budget)
    assert 1 <= budget.most <= 8


@pytest.mark.parametrize("strategy", [BeamSearch(8, 2, early_stop=False), DVTS(8, 2, early_stop=False)], ids=repr)
async def test_searches_that_share_an_engine_do_not_disturb_each_other(strategy: Strategy) -> None:
    async def alone(seed: int) -> SearchResult:
        return await search(World(Chance(5)), strategy, seed=seed)

    shared = World(Chance(5), shuffle=1)
    together = await asyncio.gather(*[search(shared, strategy, seed=seed) for seed in range(4)])
    assert together == [await alone(seed) for seed in range(4)]

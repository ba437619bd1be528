"""Children that start before their parents' round has ended: the same tree, an honest bill, nothing left behind."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import EngineUnavailableError
from models.interfaces import Problem, Sampling
from search.aggregation import Aggregation
from search.beam_search import BeamSearch
from search.candidate import Candidate
from search.expander import Expander
from search.observer import Silence
from search.solve import SearchResult, Status
from tests.natures import Branch, Chance, Tree, answer, step
from tests.search.helpers import an_hour_later, cancel_midway, drawn_after, elected, search, settle
from tests.worlds import World

pytestmark = pytest.mark.asyncio(loop_scope="function")  # the clock that jumps an hour is no engine's

NUMBERS = st.integers(1, 4)
SEEDS = st.integers(0, 1000)


@dataclass(frozen=True, slots=True)
class Waiting(BeamSearch):
    """Beam search whose survivors wait for all candidates of a step, as the paper has it."""

    def _foresee(self, room: int, children: Sequence[Candidate], outstanding: int) -> Sequence[Candidate]:
        return ()


def found(result: SearchResult) -> SearchResult:
    """All but the bill."""
    return replace(result, meter=type(result.meter)())


@settings(max_examples=300)
@given(
    num_kept=NUMBERS,
    beam_width=NUMBERS,
    max_steps=NUMBERS,
    lookahead=st.integers(0, 1),
    early_stop=st.booleans(),
    speculation=st.booleans(),
    aggregation=st.sampled_from(Aggregation),
    max_tokens=st.sampled_from([8, 20, 1000]),
    world_seed=SEEDS,
    seed=SEEDS,
    shuffle=SEEDS,
)
async def test_tree_scores_and_answer_are_those_of_a_search_that_waits(
    num_kept: int,
    beam_width: int,
    max_steps: int,
    lookahead: int,
    early_stop: bool,
    speculation: bool,
    aggregation: Aggregation,
    max_tokens: int,
    world_seed: int,
    seed: int,
    shuffle: int,
) -> None:
    async def run(strategy: BeamSearch) -> SearchResult:
        world = World(Chance(world_seed), shuffle)
        result = await search(world, strategy, aggregation=aggregation, max_tokens=max_tokens, seed=seed)
        assert result.meter.completion_tokens == world.policy.num_tokens
        assert (world.policy.num_in_flight, world.verifier.num_in_flight) == (0, 0)
        return result

    shape = num_kept * beam_width, beam_width, max_steps, lookahead
    ahead = await run(BeamSearch(*shape, early_stop=early_stop, speculation=speculation))
    waited = await run(Waiting(*shape, early_stop=early_stop))
    assert found(ahead) == found(waited)
    spent = [each.meter.completion_tokens + each.meter.verifier_tokens for each in (ahead, waited)]
    assert ahead.meter.speculative_tokens >= spent[0] - spent[1] >= 0
    if not speculation and not early_stop:
        assert ahead.meter == waited.meter


FOUR = (step("a", 0.9, answer("1", 0.9)), step("b", 0.2), step("c", 0.8, answer("2", 0.8)), step("d", 0.1))


def held_at(text: str, *branches: Branch) -> World:
    """A world in which a step does not come until its gate opens."""
    world = World(Tree(*branches or FOUR))
    world.policy.gates[text] = asyncio.Event()
    return world


async def test_one_straggler_holds_one_survivor() -> None:
    world = held_at("d\n\n")
    task = asyncio.create_task(search(world, BeamSearch(4, 2, early_stop=False)))
    await settle()
    assert drawn_after(world) == [""] * 4 + ["a"] * 2
    world.policy.gates["d\n\n"].set()
    await task
    assert drawn_after(world) == [""] * 4 + ["a"] * 2 + ["c"] * 2


async def test_a_candidate_that_the_outstanding_could_outrank_waits() -> None:
    world = held_at("d\n\n", *FOUR[:2], FOUR[3], FOUR[3])
    await cancel_midway(search(world, BeamSearch(4, 2)))
    assert drawn_after(world) == [""] * 4


async def test_speculation_fills_the_places_that_are_free_and_no_more() -> None:
    world = held_at("d\n\n", *FOUR[:3], step("e", 0.7), FOUR[3], FOUR[3])
    await cancel_midway(search(world, BeamSearch(6, 2, speculation=True)))
    assert sorted(drawn_after(world)) == [""] * 6 + ["a"] * 2 + ["c"] * 2


async def test_a_loser_is_stopped_billed_and_in_no_tree() -> None:
    best = step("best", 0.9, answer("1", 0.9))
    world = held_at("best\n\n", step("poor", 0.5, step("poorer", 0.4, answer("2", 0.1))), best)
    task = asyncio.create_task(search(world, BeamSearch(2, 1, speculation=True)))
    await settle()
    assert drawn_after(world)[2:] == ["poor"]
    world.policy.gates["best\n\n"].set()
    assert (await task).meter.speculative_tokens == 0  # with M = 1 nothing is pruned

    world = held_at("best\n\n", *[step("poor", 0.5, step("poorer", 0.4, answer("2", 0.1)))] * 2, best, best)
    task = asyncio.create_task(search(world, BeamSearch(4, 2, early_stop=False, speculation=True)))
    await settle()
    assert drawn_after(world)[4:] == ["poor"] * 2
    world.policy.gates["best\n\n"].set()
    result = await task
    assert {candidate.path[0] for candidate in result.candidates if len(candidate.path) > 1} == {2, 3}
    assert result.meter.speculative_tokens == 2 * len("poorer\n\n") + len("poorer\n\n")  # generated; judged once
    assert result.meter.completion_tokens == world.policy.num_tokens


async def test_a_loser_in_the_middle_of_a_step_is_stopped() -> None:
    best = step("best", 0.9, answer("1", 0.9))
    world = held_at("best\n\n", *[step("poor", 0.5, step("poorer", 0.4))] * 2, best, best)
    world.policy.gates["poorer\n\n"] = asyncio.Event()
    task = asyncio.create_task(search(world, BeamSearch(4, 2, early_stop=False, speculation=True)))
    await settle()
    world.policy.gates["best\n\n"].set()
    result = await task
    assert (elected(result), world.policy.num_cancelled, world.policy.num_in_flight) == ("1", 2, 0)
    assert result.meter.speculative_tokens == 0


@pytest.mark.parametrize("engine", ["policy", "verifier"])
async def test_a_model_that_fails_a_loser_takes_nothing_from_the_search(engine: str) -> None:
    best = step("best", 0.9, answer("1", 0.9))
    world = held_at("best\n\n", *[step("poor", 0.5, step("poorer", 0.4))] * 2, best, best)
    getattr(world, engine).failures["poorer\n\n"] = EngineUnavailableError("gone")
    task = asyncio.create_task(search(world, BeamSearch(4, 2, early_stop=False, speculation=True)))
    await settle()
    world.policy.gates["best\n\n"].set()
    result = await task
    assert (elected(result), result.status, result.losses) == ("1", Status.COMPLETE, ())


async def test_a_model_that_fails_a_survivors_child_takes_that_child() -> None:
    world = held_at("d\n\n")
    world.policy.failures[r"\boxed{1}"] = EngineUnavailableError("gone")
    task = asyncio.create_task(search(world, BeamSearch(4, 2, early_stop=False)))
    await settle()
    world.policy.gates["d\n\n"].set()
    result = await task
    assert [loss.path for loss in result.losses] == [(0, 0), (0, 1)]
    assert (elected(result), result.status) == ("2", Status.DEGRADED)


async def test_a_verdict_that_failed_is_asked_for_again_by_the_next_of_the_same_words() -> None:
    world = World(Tree(answer("1", 0.5)))
    world.verifier.failures[r"\boxed{1}"] = EngineUnavailableError("gone")
    sampling = Sampling(temperature=0.8, top_p=1.0, max_tokens=100, seed=0)
    expander = Expander(Problem("?"), world.models, sampling, Aggregation.LAST, Silence())
    lost = await expander.step(Candidate().child(0))
    world.verifier.failures.clear()
    found = await expander.step(Candidate().child(1))
    assert (lost, found and found.score) == (None, 0.5)


async def test_a_search_that_its_last_votes_decide_drops_what_it_began() -> None:
    votes = [answer("1", 1.0)] * 6
    world = held_at(r"\boxed{3}", step("a", 0.9, answer("2", 0.9)), *votes, answer("3", 0.0))
    task = asyncio.create_task(search(world, BeamSearch(8, 1)))
    await settle()
    assert drawn_after(world)[8:] == ["a"]
    world.policy.gates[r"\boxed{3}"].set()
    result = await task
    assert (elected(result), result.rounds, len(result.candidates)) == ("1", 1, 8)
    assert result.meter.speculative_tokens == 2 * len(r"\boxed{2}")


@pytest.mark.parametrize("gate", ["policy", "verifier"])
@pytest.mark.parametrize("speculation", [False, True])
async def test_a_cancelled_search_leaves_nothing_running(gate: str, speculation: bool) -> None:
    world = held_at("d\n\n")
    getattr(world, gate).gates[r"\boxed{1}"] = asyncio.Event()
    await cancel_midway(search(world, BeamSearch(4, 2, speculation=speculation)))
    assert world.policy.num_calls > 4
    assert (world.policy.num_in_flight, world.verifier.num_in_flight) == (0, 0)


async def test_at_a_deadline_what_was_grown_ahead_of_a_straggler_votes() -> None:
    world = held_at("d\n\n")
    result = await an_hour_later(search(world, BeamSearch(4, 2), deadline_s=60))
    assert (result.status, elected(result), result.votes[0].count) == (Status.DEADLINE, "1", 2)
    assert (result.meter.completion_tokens, result.meter.speculative_tokens) == (world.policy.num_tokens, 0)

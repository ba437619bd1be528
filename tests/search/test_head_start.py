"""Children that start before their parents' round has ended: the same tree, an honest bill, nothing left behind."""

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import EngineUnavailableError
from search.aggregation import Aggregation
from search.beam_search import BeamSearch
from search.candidate import Candidate
from search.expander import cancel_all
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

    def _survivors(self, room: int, children: Sequence[Candidate], outstanding: int) -> Sequence[Candidate]:
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
    ahead = await run(BeamSearch(*shape, early_stop=early_stop))
    waited = await run(Waiting(*shape, early_stop=early_stop))
    assert found(ahead) == found(waited)
    spent = [each.meter.completion_tokens + each.meter.verifier_tokens for each in (ahead, waited)]
    assert ahead.meter.speculative_tokens >= spent[0] - spent[1] >= 0
    if not early_stop:
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


async def test_a_model_that_fails_a_survivors_child_takes_that_child() -> None:
    world = held_at("d\n\n")
    world.policy.failures[r"\boxed{1}"] = EngineUnavailableError("gone")
    task = asyncio.create_task(search(world, BeamSearch(4, 2, early_stop=False)))
    await settle()
    world.policy.gates["d\n\n"].set()
    result = await task
    assert [loss.path for loss in result.losses] == [(0, 0), (0, 1)]
    assert (elected(result), result.status) == ("2", Status.DEGRADED)


def decided_by_its_last_vote() -> World:
    """A world whose first round ends the search, though one candidate surely survives it."""
    return held_at(r"\boxed{3}", step("a", 0.9, answer("2", 0.9)), *[answer("1", 1.0)] * 6, answer("3", 0.0))


async def decided(world: World) -> SearchResult:
    """Search it, and let the last vote come when all else has come."""
    task = asyncio.create_task(search(world, BeamSearch(8, 1)))
    await settle()
    assert drawn_after(world)[8:] == ["a"]
    world.policy.gates[r"\boxed{3}"].set()
    result = await task
    assert (elected(result), result.rounds, len(result.candidates)) == ("1", 1, 8)
    assert result.meter.completion_tokens == world.policy.num_tokens
    assert (world.policy.num_in_flight, world.verifier.num_in_flight) == (0, 0)
    return result


async def test_what_was_begun_when_the_search_ends_is_in_no_tree_and_billed_as_speculative() -> None:
    result = await decided(decided_by_its_last_vote())
    assert result.meter.speculative_tokens == 2 * len(r"\boxed{2}")  # generated and judged


async def test_what_is_being_generated_when_the_search_ends_is_stopped() -> None:
    world = decided_by_its_last_vote()
    world.policy.gates[r"\boxed{2}"] = asyncio.Event()
    assert (await decided(world)).meter.speculative_tokens == 0
    assert world.policy.num_cancelled == 1


@pytest.mark.parametrize("engine", ["policy", "verifier"])
async def test_a_model_that_fails_what_was_begun_in_vain_takes_nothing_from_the_search(engine: str) -> None:
    world = decided_by_its_last_vote()
    getattr(world, engine).failures[r"\boxed{2}"] = EngineUnavailableError("gone")
    result = await decided(world)
    assert (result.status, result.losses) == (Status.COMPLETE, ())


@pytest.mark.parametrize("gate", ["policy", "verifier"])
async def test_a_cancelled_search_leaves_nothing_running(gate: str) -> None:
    world = held_at("d\n\n")
    getattr(world, gate).gates[r"\boxed{1}"] = asyncio.Event()
    await cancel_midway(search(world, BeamSearch(4, 2)))
    assert world.policy.num_calls > 4
    assert (world.policy.num_in_flight, world.verifier.num_in_flight) == (0, 0)


async def test_a_search_cancelled_before_its_children_began_begins_none(recwarn: pytest.WarningsRecorder) -> None:
    for num_turns in range(12):
        task = asyncio.create_task(search(held_at("d\n\n"), BeamSearch(4, 2)))
        for _ in range(num_turns):
            await asyncio.sleep(0)
        await cancel_all([task])
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


async def test_at_a_deadline_what_was_grown_ahead_of_a_straggler_votes() -> None:
    world = held_at("d\n\n")
    result = await an_hour_later(search(world, BeamSearch(4, 2), deadline_s=60))
    assert (result.status, elected(result), result.votes[0].count) == (Status.DEADLINE, "1", 2)
    assert (result.meter.completion_tokens, result.meter.speculative_tokens) == (world.policy.num_tokens, 0)

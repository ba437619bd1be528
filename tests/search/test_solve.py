import asyncio

import pytest

from models.errors import ContextOverflowError, EngineUnavailableError
from search.answers.answer import Answer
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.compute_optimal import Bin, ComputeOptimal
from search.confidence import Confidence
from search.diagnostics import Sign
from search.dvts import DVTS
from search.expander import Models
from search.rebase import Rebase
from search.solve import Status
from search.strategy import Strategy
from search.voting import Selection, voted
from tests.natures import Tree, answer, cut, end, step
from tests.search.helpers import an_hour_later, each_strategy, elected, search
from tests.worlds import World

pytestmark = pytest.mark.asyncio(loop_scope="function")  # the clock that jumps an hour is no engine's


@each_strategy(n=4, beam_width=2)
async def test_a_search_that_could_do_all_it_wanted_is_complete(strategy: Strategy) -> None:
    result = await search(World(Tree(answer("1", 0.5))), strategy, deadline_s=60)
    assert (result.status, result.losses) == (Status.COMPLETE, ())


@each_strategy(n=4, beam_width=2)
async def test_at_the_deadline_the_complete_candidates_vote(strategy: Strategy) -> None:
    slow = step("slow", 0.9, answer("9", 0.9))
    world = World(Tree(answer("1", 0.4), answer("2", 0.5), slow, slow))
    world.policy.gates[r"\boxed{9}"] = asyncio.Event()
    result = await an_hour_later(search(world, strategy, deadline_s=60))
    assert result.status is Status.DEADLINE
    assert {vote.answer for vote in result.votes} == {"1", "2"}
    assert elected(result) == ("2" if strategy.needs_verifier else "1")


@pytest.mark.parametrize("strategy", [BeamSearch(4, 2), DVTS(4, 2)])
async def test_at_a_deadline_with_nothing_complete_the_best_partial_response_is_chosen(strategy: Strategy) -> None:
    world = World(Tree(step("a", 0.2, answer("1", 0.5)), step("b", 0.7, answer("1", 0.5))))
    world.policy.gates[r"\boxed{1}"] = asyncio.Event()
    result = await an_hour_later(search(world, strategy, deadline_s=60))
    assert (result.status, result.votes) == (Status.DEADLINE, ())
    assert result.chosen is not None
    assert (result.chosen.text, result.chosen.score) == ("b\n\n", 0.7)


async def test_at_a_deadline_before_the_first_step_nothing_is_chosen() -> None:
    world = World(Tree(answer("1", 0.5)))
    world.policy.gates[r"\boxed{1}"] = asyncio.Event()
    result = await an_hour_later(search(world, BestOfN(4), deadline_s=60))
    assert (result.status, result.chosen, result.candidates, result.rounds) == (Status.DEADLINE, None, (), 0)


@pytest.mark.parametrize("engine", ["policy", "verifier"])
async def test_a_response_without_its_score_does_not_vote_at_the_deadline(engine: str) -> None:
    world = World(Tree(step("a", 0.5, answer("1", 0.5)), answer("2", 0.4)))
    getattr(world, engine).gates[r"\boxed{1}"] = asyncio.Event()
    result = await an_hour_later(search(world, BestOfN(2), deadline_s=60))
    assert [(vote.answer, vote.count) for vote in result.votes] == [("2", 1)]
    assert [candidate.is_complete for candidate in result.candidates] == [False, True]


@each_strategy(n=4, beam_width=2)
async def test_a_deadline_leaves_no_work_behind(strategy: Strategy) -> None:
    world = World(Tree(answer("1", 0.5)))
    world.policy.gates[r"\boxed{1}"] = asyncio.Event()
    await an_hour_later(search(world, strategy, deadline_s=60))
    assert (world.policy.num_cancelled, world.policy.num_in_flight) == (4, 0)


@each_strategy(n=4, beam_width=2)
async def test_a_lost_candidate_degrades_the_result_and_does_not_fail_it(strategy: Strategy) -> None:
    world = World(Tree(answer("1", 0.5), answer("2", 0.9), answer("1", 0.5), answer("1", 0.5)))
    world.policy.failures[r"\boxed{2}"] = EngineUnavailableError("gone")
    result = await search(world, strategy)
    assert (result.status, elected(result)) == (Status.DEGRADED, "1")
    assert [loss.path for loss in result.losses] == [(1,)]
    assert len(result.candidates) == 3


@each_strategy(n=4, beam_width=2)
async def test_a_search_that_lost_every_candidate_to_a_dead_engine_fails(strategy: Strategy) -> None:
    world = World(Tree(answer("1", 0.5)))
    world.policy.failures[r"\boxed{1}"] = EngineUnavailableError("gone")
    with pytest.raises(EngineUnavailableError, match="gone"):
        await search(world, strategy)


@pytest.mark.parametrize("strategy", [BestOfN(4), BeamSearch(4, 2), DVTS(4, 2)])
async def test_a_dead_verifier_fails_a_search_that_needs_it(strategy: Strategy) -> None:
    world = World(Tree(step("a", 0.5, answer("1", 0.5))))
    world.verifier.failures = {text: EngineUnavailableError("gone") for text in ("a\n\n", r"\boxed{1}")}
    with pytest.raises(EngineUnavailableError, match="gone"):
        await search(world, strategy)


@each_strategy(n=4, beam_width=2)
async def test_candidates_that_outgrew_the_context_are_lost_without_an_error(strategy: Strategy) -> None:
    world = World(Tree(answer("1", 0.5)))
    world.policy.failures[r"\boxed{1}"] = ContextOverflowError(10, 9)
    result = await search(world, strategy)
    assert (result.status, result.chosen, len(result.losses)) == (Status.DEGRADED, None, 4)


async def test_a_lost_candidate_that_had_begun_is_not_in_the_tree() -> None:
    world = World(Tree(step("a", 0.5, answer("1", 0.5)), answer("2", 0.5)))
    world.policy.failures[r"\boxed{1}"] = ContextOverflowError(10, 9)
    result = await search(world, BestOfN(2))
    assert [candidate.path for candidate in result.candidates] == [(1,)]


@each_strategy(n=4, beam_width=2)
async def test_a_subtree_that_lost_all_its_candidates_is_left_out(strategy: Strategy) -> None:
    world = World(Tree(step("a", 0.9, answer("2", 0.9)), step("a", 0.8, answer("2", 0.9)), *[answer("1", 0.1)] * 2))
    world.policy.failures[r"\boxed{2}"] = EngineUnavailableError("gone")
    result = await search(world, strategy)
    assert (result.status, elected(result)) == (Status.DEGRADED, "1")


async def test_without_an_answer_the_best_complete_response_is_chosen_before_any_partial_one() -> None:
    world = World(Tree(end("no", 0.2), end("idea", 0.3), cut("x"), step("a", 0.9, cut("y"))))
    result = await search(world, BestOfN(4))
    assert result.chosen is not None
    assert (result.chosen.text, result.chosen.answer) == ("idea", None)


async def test_the_error_of_a_broken_reader_passes_through_and_is_not_taken_for_the_deadline() -> None:
    class BrokenReader:
        async def read(self, response: str) -> Answer | None:
            raise TimeoutError("mine")

    world = World(Tree(answer("1", 0.5)))
    world.models = Models(world.policy, world.verifier, BrokenReader())
    with pytest.raises(TimeoutError, match="mine"):
        await search(world, BestOfN(2, Selection.MAJORITY), deadline_s=60)


@each_strategy(n=4, beam_width=2)
async def test_where_every_answer_is_refuted_none_is_given_and_the_best_response_is_shown(strategy: Strategy) -> None:
    result = await search(World(Tree(answer("1", 0.5), answer("2", 0.6))), strategy, refuted={"1", "2"})
    assert result.chosen is not None
    assert (voted(result.chosen), result.chosen.answer is None) == (None, False)
    assert result.diagnostics.refuted == result.votes[0].count


TREES: list[Strategy] = [BeamSearch(4, 2), DVTS(4, 2), Rebase(4)]


@pytest.mark.parametrize("strategy", TREES)
async def test_a_tree_search_says_that_it_had_nothing_to_cut(strategy: Strategy) -> None:
    result = await search(World(Tree(answer("1", 0.5), answer("2", 0.6))), strategy)
    (caution,) = [caution for caution in result.diagnostics.warnings if caution.sign is Sign.NOTHING_TO_CUT]
    assert caution.text.startswith("4 of 4 responses were one step, so the tree search had nothing to cut: set steps")


@pytest.mark.parametrize("strategy", [*TREES, BestOfN(4)])
async def test_half_of_the_responses_may_be_one_step(strategy: Strategy) -> None:
    grown = step("a", 0.9, answer("1", 0.5))
    nature = Tree(answer("1", 0.5), grown) if strategy in TREES else Tree(answer("1", 0.5))
    result = await search(World(nature), strategy)
    assert Sign.NOTHING_TO_CUT not in [caution.sign for caution in result.diagnostics.warnings]


async def test_the_probe_of_a_table_is_counted_with_the_rest() -> None:
    certain = Confidence((0.0, 1.0), (0.0, 1.0))
    strategy = ComputeOptimal(8, BeamSearch(4, 2), certain, (Bin(0.0, DVTS(4, 2)),), certain)
    result = await search(World(Tree(answer("1", 0.5), answer("2", 0.6))), strategy)
    texts = [caution.text for caution in result.diagnostics.warnings if caution.sign is Sign.NOTHING_TO_CUT]
    assert texts[0].startswith("8 of 8 responses")

"""Given responses: each step judged once, and elected as a search elects its own."""

import asyncio
import random
from itertools import pairwise

import pytest

from models.errors import EngineUnavailableError
from models.interfaces import PARAGRAPHS, Finish, Problem, Sampling, Step
from search.aggregation import Aggregation
from search.best_of_n import BestOfN
from search.given import Given, partings
from search.solve import SearchResult, Status, solve
from search.voting import Selection
from tests.natures import Chance, Tree, answer, end, step
from tests.search.helpers import cancel_midway, each_selection, elected, search
from tests.worlds import World

SAMPLING = Sampling(temperature=0, top_p=1, max_tokens=1)


async def choose(world: World, *responses: tuple[Step, ...], **fields: object) -> SearchResult:
    return await solve(Problem("?"), Given(responses, **fields), world.models, SAMPLING)  # type: ignore[arg-type]


def written(world: World, *texts: str) -> list[tuple[Step, ...]]:
    return [world.policy.cut(text, PARAGRAPHS, is_complete=True) for text in texts]


@each_selection
@pytest.mark.parametrize("aggregation", list(Aggregation))
@pytest.mark.parametrize("seed", range(12))
async def test_responses_of_a_search_are_scored_and_elected_as_the_search_did(
    seed: int, aggregation: Aggregation, selection: Selection
) -> None:
    world = World(Chance(seed))
    drawn = await search(world, BestOfN(8, selection, early_stop=False), aggregation=aggregation, seed=seed)
    responses = [candidate.steps for candidate in drawn.candidates if candidate.is_complete]
    given = Given(tuple(responses), selection, is_judged=selection is not Selection.MAJORITY)
    again = await solve(Problem("?"), given, world.models, SAMPLING, aggregation=aggregation)
    scores = [(c.step_scores, c.score) for c in drawn.candidates if c.is_complete]
    assert [(c.step_scores, c.score) for c in again.candidates] == scores
    assert elected(again) == elected(drawn)


async def test_a_shared_prefix_is_judged_once() -> None:
    tree = Tree(step("a", 0.5, step("b", 0.6, answer("1", 0.7), answer("2", 0.8)), answer("3", 0.1)))
    world = World(tree)
    responses = written(world, "a\n\nb\n\n\\boxed{1}", "a\n\nb\n\n\\boxed{2}", "a\n\n\\boxed{3}")
    result = await choose(world, *responses)
    assert sorted(world.verifier.judged) == sorted(
        ["a\n\n", "a\n\nb\n\n", "a\n\nb\n\n\\boxed{1}", "a\n\nb\n\n\\boxed{2}", "a\n\n\\boxed{3}"]
    )
    assert [c.step_scores for c in result.candidates] == [(0.5, 0.6, 0.7), (0.5, 0.6, 0.8), (0.5, 0.1)]


async def test_responses_with_nothing_in_common_are_one_call_each() -> None:
    world = World(Tree(step("a", 0.5, answer("1", 0.7)), step("b", 0.5, answer("2", 0.8))))
    await choose(world, *written(world, "a\n\n\\boxed{1}", "b\n\n\\boxed{2}"))
    assert world.verifier.num_calls == 2


async def test_a_verdict_on_a_whole_call_is_asked_for_step_by_step() -> None:
    world = World(Tree(step("a", 0.5, step("b", 0.6, answer("1", 0.7)))))
    await choose(world, *written(world, "a\n\nb\n\n\\boxed{1}"), is_step_by_step=True)
    assert world.verifier.judged == ["a\n\n", "a\n\nb\n\n", "a\n\nb\n\n\\boxed{1}"]


async def test_a_majority_judges_nothing() -> None:
    world = World(Tree(answer("1", 0.9), answer("2", 0.1)))
    responses = written(world, r"\boxed{1}", r"\boxed{2}", r"\boxed{2}")
    result = await choose(world, *responses, selection=Selection.MAJORITY, is_judged=False)
    assert (elected(result), world.verifier.num_calls) == ("2", 0)


async def test_a_response_that_the_verifier_fails_on_is_lost_alone() -> None:
    world = World(Tree(answer("1", 0.9), answer("2", 0.1)))
    world.verifier.failures[r"\boxed{1}"] = EngineUnavailableError("dead")
    result = await choose(world, *written(world, r"\boxed{1}", r"\boxed{2}"))
    assert (elected(result), result.status, [loss.path for loss in result.losses]) == ("2", Status.DEGRADED, [(0,)])


async def test_where_all_are_lost_the_engine_is_to_blame() -> None:
    world = World(Tree(end("a", 0.9)))
    world.verifier.failures["a"] = EngineUnavailableError("dead")
    with pytest.raises(EngineUnavailableError):
        await choose(world, *written(world, "a"))


async def test_an_unfinished_response_is_judged_and_does_not_vote() -> None:
    world = World(Tree(step("a", 0.5)))
    result = await choose(world, world.policy.cut("a\n\n", PARAGRAPHS, is_complete=False))
    assert ([c.score for c in result.candidates], result.votes) == ([0.5], ())


async def test_cancelling_stops_the_verifier() -> None:
    world = World(Tree(end("a", 0.9)))
    world.verifier.gates["a"] = asyncio.Event()
    await cancel_midway(choose(world, *written(world, "a")))
    assert (world.verifier.num_cancelled, world.verifier.num_in_flight) == (1, 0)


@pytest.mark.parametrize("seed", range(20))
def test_partings_are_where_fewer_go_on_together(seed: int) -> None:
    dice = random.Random(seed)
    responses = [
        tuple(Step("x", (dice.randint(0, 1),), Finish.STEP) for _ in range(dice.randint(1, 6))) for _ in range(8)
    ]
    for response, lengths in zip(responses, partings(responses), strict=True):
        lengths_here = range(len(response) + 1)
        together = [sum(other[:length] == response[:length] for other in responses) for length in lengths_here]
        inner = [length for length in range(1, len(response)) if together[length + 1] < together[length]]
        assert lengths == [*inner, len(response)]
        assert all(a < b for a, b in pairwise(lengths))

"""Monte-Carlo labels in exact worlds: what is sampled, what is not, and how it is counted."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from models.errors import EngineUnavailableError
from models.interfaces import Finish, Problem, Sampling, Step
from models.labels.response import LabelledResponse
from models.training.prm.rollouts import RolloutPlan, StepLabeller
from tests.natures import Branch, Chance, Nature, Tree, answer, cut, end, step
from tests.worlds import World, WorldPolicy

PROBLEM = Problem("What is 1?")
HALF_RIGHT = (answer("1", 0), answer("2", 0), end("no idea", 0), answer("1", 0))


async def grade(response: str, gold: str) -> bool | None:
    return response.endswith(rf"\boxed{{{gold}}}") if "\\boxed" in response else None


def labeller(policy: WorldPolicy, concurrency: int = 100, **plan: Any) -> StepLabeller:
    return StepLabeller(policy, grade, RolloutPlan(**plan), concurrency)


async def label(nature: Nature, **plan: int) -> list[LabelledResponse]:
    return await labeller(World(nature).policy, **plan).label(PROBLEM, "1")


async def spin() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def test_a_label_is_the_share_of_completions_that_reach_the_answer() -> None:
    (response,) = await label(Tree(step("a", 0, *HALF_RIGHT)), num_responses=1, num_completions=4)
    assert response.steps == ("a\n\n", r"\boxed{1}")
    assert response.labels == (0.5, 1.0)


async def test_the_last_step_of_a_wrong_response_is_wrong() -> None:
    (response,) = await label(Tree(answer("2", 0)), num_responses=1, num_completions=4)
    assert (response.labels, response.is_complete) == ((0.0,), True)


async def test_a_response_cut_at_the_limit_reaches_nothing() -> None:
    tree = Tree(step("a", 0, cut(r"\boxed{1}")))
    (response,) = await label(tree, num_responses=1, num_completions=4)
    assert (response.labels, response.is_complete) == ((0.0, 0.0), False)


@pytest.mark.parametrize(
    ("last", "states_answer"), [(answer("1", 0), True), (answer("2", 0), True), (end("no idea", 0), False)]
)
async def test_it_is_said_whether_an_answer_was_read(last: Branch, states_answer: bool) -> None:
    (response,) = await label(Tree(step("a", 0, last)), num_responses=1, num_completions=1)
    assert response.states_answer is states_answer


async def test_an_answer_cut_at_the_limit_is_not_read() -> None:
    (response,) = await label(Tree(cut(r"\boxed{1}")), num_responses=1, num_completions=1)
    assert response.states_answer is False


async def test_the_limit_holds_for_the_whole_response() -> None:
    policy = World(Tree(step("a", 0, answer("1", 0)))).policy
    await labeller(policy, num_responses=1, num_completions=4, max_tokens=20).label(PROBLEM, "1")
    assert {sampling.max_tokens for prefix, sampling in policy.draws if prefix} == {20 - len("a\n\n")}


async def test_every_sample_has_a_seed_of_its_own() -> None:
    policy = World(Tree(step("a", 0, *HALF_RIGHT))).policy
    await labeller(policy, num_responses=3, num_completions=4).label(PROBLEM, "1")
    assert len({sampling.seed for _, sampling in policy.draws}) == 3 + 4


async def test_a_prefix_that_responses_share_is_labelled_once() -> None:
    policy = World(Tree(step("a", 0, *HALF_RIGHT))).policy
    responses = await labeller(policy, num_responses=3, num_completions=4).label(PROBLEM, "1")
    assert len(policy.draws) == 3 * 2 + 4
    assert len({response.labels[0] for response in responses}) == 1


async def test_completions_start_before_their_response_has_ended() -> None:
    policy = World(Tree(step("a", 0, end("slow", 0), answer("1", 0)))).policy
    policy.gates["slow"] = asyncio.Event()
    task = asyncio.create_task(labeller(policy, num_responses=1, num_completions=2).label(PROBLEM, "1"))
    await spin()
    assert len(policy.draws) == 2 + 2
    policy.gates["slow"].set()
    assert (await task)[0].labels == (0.5, 0.0)


async def test_no_more_than_allowed_is_sampled_at_the_same_time() -> None:
    policy = World(Tree(step("a", 0, answer("1", 0)))).policy
    policy.gates[r"\boxed{1}"] = asyncio.Event()
    task = asyncio.create_task(labeller(policy, 5, num_responses=4, num_completions=8).label(PROBLEM, "1"))
    await spin()
    assert policy.num_in_flight == 5
    policy.gates[r"\boxed{1}"].set()
    await task


async def test_a_dead_engine_ends_the_labelling_and_leaves_nothing_in_flight() -> None:
    policy = World(Tree(step("a", 0, end("last", 0)))).policy
    policy.failures["last"] = EngineUnavailableError("dead")
    with pytest.raises(EngineUnavailableError):
        await labeller(policy, num_responses=4, num_completions=4).label(PROBLEM, "1")
    assert policy.num_in_flight == 0


class Wordy(Chance):
    """No step without tokens: a real one has the end of the sequence."""

    def draw(self, prefix: Sequence[Step], sampling: Sampling) -> tuple[str, Finish]:
        text, finish = super().draw(prefix, sampling)
        return text or "so", finish


@pytest.mark.parametrize("world", range(5))
async def test_the_order_in_which_samples_end_changes_no_label(world: int) -> None:
    first, again = [
        await labeller(World(Wordy(world), shuffle).policy, num_responses=4, num_completions=3).label(PROBLEM, "2")
        for shuffle in (1, 2)
    ]
    assert first == again
    assert {round(3 * label) / 3 for response in first for label in response.known_labels} == {
        label for response in first for label in response.known_labels
    }


async def test_another_seed_draws_other_responses() -> None:
    first, other = [await label(Wordy(0), num_responses=8, num_completions=1, seed=seed) for seed in (0, 1)]
    assert {response.steps for response in first} != {response.steps for response in other}


async def test_thoughts_get_no_labels_and_state_no_answer() -> None:
    thought = step(r"Hm, \boxed{1}", 0, step("a", 0, *HALF_RIGHT), end(r"Hm, \boxed{1}", 0))
    policy = World(Tree(thought), thinks=True).policy
    found = await labeller(policy, num_responses=2, num_completions=4).label(PROBLEM, "1")
    (response,) = found  # the other one never leaves its thoughts
    assert response.steps == ("a\n\n", r"\boxed{1}")
    assert response.labels == (0.5, 1.0)
    assert len(response.token_ids or ()) == 2

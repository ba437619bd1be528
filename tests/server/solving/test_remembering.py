"""A verifier with a memory: what it has judged it does not ask for again."""

import pytest

from models.interfaces import PARAGRAPHS, Meter, Problem, Step, Verdict
from server.solving.remembering import RememberingVerifier, remembering
from tests.models.problems import PROBLEM
from tests.natures import Tree, answer, step
from tests.worlds import World

WORLD_TEXT = "a\n\nb\n\n\\boxed{1}"


@pytest.fixture
def world() -> World:
    return World(Tree(step("a", 0.5, step("b", 0.6, answer("1", 0.7)))))


@pytest.fixture
def steps(world: World) -> tuple[Step, ...]:
    return world.policy.cut(WORLD_TEXT, PARAGRAPHS, is_complete=True)


async def test_scores_are_the_verifiers_own(world: World, steps: tuple[Step, ...]) -> None:
    subject = RememberingVerifier(world.verifier, 100)
    for _ in range(2):
        assert await subject.score(PROBLEM, (), steps, Meter()) == (0.5, 0.6, 0.7)
    assert world.verifier.num_calls == 1


async def test_a_step_more_costs_that_step(world: World, steps: tuple[Step, ...]) -> None:
    subject, meter = RememberingVerifier(world.verifier, 100), Meter()
    await subject.score(PROBLEM, (), steps[:2], Meter())
    assert await subject.score(PROBLEM, (), steps, meter) == (0.5, 0.6, 0.7)
    assert meter.verifier_tokens == len(steps[2].token_ids)
    assert await subject.score(PROBLEM, steps[:1], steps[1:], meter) == (0.6, 0.7)
    assert world.verifier.num_calls == 2


async def test_another_problem_and_another_prefix_are_judged_anew(world: World, steps: tuple[Step, ...]) -> None:
    subject = RememberingVerifier(world.verifier, 100)
    await subject.score(Problem("1"), (), steps[:1], Meter())
    await subject.score(Problem("2"), (), steps[:1], Meter())
    await subject.score(Problem("1", system_prompt="x"), (), steps[:1], Meter())
    assert world.verifier.num_calls == 3


async def test_it_forgets_what_was_not_used_for_long(world: World, steps: tuple[Step, ...]) -> None:
    subject = RememberingVerifier(world.verifier, 2)
    await subject.score(PROBLEM, (), steps, Meter())
    await subject.score(PROBLEM, (), steps[:1], Meter())
    assert world.verifier.num_calls == 2


def test_a_verdict_on_a_whole_call_is_not_remembered(world: World) -> None:
    world.verifier.verdict = Verdict.CALL  # type: ignore[attr-defined]
    assert remembering(world.verifier, 100) is None
    assert remembering(None, 100) is None

"""The served reward model against the plain one, and what the prefix cache saves of it."""

import asyncio
import random
from itertools import accumulate

import pytest
import torch

from models.checkpoints.prompt import PromptBuilder
from models.errors import ContextOverflowError
from models.interfaces import Delimiter, Finish, Markers, Meter, Problem, Step, StepRule, TokenCount
from models.policy.engine_policy import EnginePolicy
from models.prm.reward_model import RewardModel, load_reward_model
from models.prm.winnow import WinnowPRM
from models.vllm.engine import Engine
from models.vllm.launch import block_size
from tests.conftest import DEMO
from tests.models.problems import PROBLEM, Response, ids_of, respond, respond_often, sampling, visible
from tests.models.verifier_contract import TOLERANCE, steps_of
from tests.waiting import until

BLOCK = block_size()
NEW_PROBLEM = Problem("Compute 3 * (12 - 5) + 8, of which no other test has heard.")


@pytest.fixture
def steps(prompts: PromptBuilder) -> list[Step]:
    return steps_of(prompts.tokenizer.encode)


@pytest.fixture(scope="module")
def plain() -> RewardModel:
    return load_reward_model(DEMO / "prm")


@pytest.fixture(scope="module")
async def responses(policy: EnginePolicy) -> list[Response]:
    return await respond_often(policy, 200)


def plain_scores(plain: RewardModel, prompt: tuple[int, ...], steps: list[Step]) -> list[float]:
    ends = accumulate((len(step.token_ids) for step in steps), initial=len(prompt) - 1)
    with torch.no_grad():
        scores = plain(torch.tensor([[*prompt, *ids_of(steps)]]))[0]
    return [scores[end].item() for end in list(ends)[1:]]


async def test_served_scores_are_those_of_the_plain_model(
    verifier: WinnowPRM, prompts: PromptBuilder, plain: RewardModel, responses: list[Response]
) -> None:
    """0.02: the engine's backbone runs in bfloat16, the plain one in float32."""
    judged = [(problem, visible(steps)) for problem, steps in responses]
    served = await asyncio.gather(*(verifier.score(problem, (), steps, Meter()) for problem, steps in judged))
    for scores, (problem, steps) in zip(served, judged, strict=True):
        assert scores == pytest.approx(plain_scores(plain, prompts.build(problem), steps), abs=0.02)


@pytest.mark.parametrize("rule", [Delimiter("\n"), TokenCount(7), Markers(("## Step", "So"))], ids=str)
async def test_steps_by_other_rules_get_the_scores_of_the_plain_model_where_they_end(
    verifier: WinnowPRM, policy: EnginePolicy, plain: RewardModel, rule: StepRule
) -> None:
    steps = visible(await respond(policy, sampling(3, steps=rule)))
    scores = await verifier.score(PROBLEM, (), steps[:2], Meter())
    scores += await verifier.score(PROBLEM, steps[:2], steps[2:], Meter())
    assert scores == pytest.approx(plain_scores(plain, policy.prompts.build(PROBLEM), steps), abs=0.02)


async def test_cached_scores_are_the_uncached_ones(
    verifier: WinnowPRM, prompts: PromptBuilder, responses: list[Response]
) -> None:
    for problem, steps in responses[:32]:
        ids = [*prompts.build(problem), *ids_of(steps)]
        last = len(ids) - 1
        await verifier.engine.score(ids, [last])
        cached = await verifier.engine.score(ids, [last])
        uncached = await verifier.engine.score(ids, [last], read_cache=False)
        assert (cached.num_cached_tokens > 0) == (len(ids) > 32)
        assert uncached.num_cached_tokens == 0
        assert cached.scores[last] == pytest.approx(uncached.scores[last], abs=TOLERANCE)


async def test_a_new_step_costs_its_own_tokens_and_at_most_a_block(verifier: WinnowPRM, steps: list[Step]) -> None:
    before, after = Meter(), Meter()
    await verifier.score(NEW_PROBLEM, (), steps[:2], before)
    await verifier.score(NEW_PROBLEM, steps[:2], steps[2:], after)
    num_read = before.verifier_tokens + before.verifier_cached_tokens
    assert after.verifier_tokens < len(steps[2].token_ids) + BLOCK
    assert after.verifier_tokens + after.verifier_cached_tokens == num_read + len(steps[2].token_ids)


async def test_steps_judged_before_cost_at_most_a_block_each(verifier: WinnowPRM, steps: list[Step]) -> None:
    again = Meter()
    scores = await verifier.score(PROBLEM, (), steps, Meter())
    assert await verifier.score(PROBLEM, (), steps, again) == pytest.approx(scores, abs=TOLERANCE)
    assert again.verifier_tokens <= BLOCK * len(steps)
    assert again.verifier_cached_tokens > 0


async def test_long_responses_judged_at_once_are_judged_as_if_alone(verifier: WinnowPRM) -> None:
    """Together they are more than one batch of the engine holds, so some are read in pieces."""
    dice = random.Random(0)
    long = [[Step("x", tuple(dice.choices(range(20, 500), k=450)), Finish.STEP) for _ in "ab"] for _ in range(8)]
    at_once = await asyncio.gather(*(verifier.score(PROBLEM, (), steps, Meter()) for steps in long))
    assert isinstance(verifier.engine, Engine)
    await verifier.engine.llm.reset_prefix_cache()
    for steps, scores in zip(long, at_once, strict=True):
        assert await verifier.score(PROBLEM, (), steps, Meter()) == pytest.approx(scores, abs=TOLERANCE)


async def test_a_response_longer_than_the_context_is_refused(verifier: WinnowPRM) -> None:
    with pytest.raises(ContextOverflowError, match="at most 1024"):
        await verifier.score(PROBLEM, (), [Step("1", (20,) * 1024, Finish.STEP)], Meter())


async def test_a_response_that_fills_the_context_is_judged(verifier: WinnowPRM, prompts: PromptBuilder) -> None:
    room = verifier.engine.max_model_len - len(prompts.build(PROBLEM))
    assert len(await verifier.score(PROBLEM, (), [Step("1", (20,) * room, Finish.STEP)], Meter())) == 1


async def test_a_cancelled_judgement_leaves_the_engine(verifier: WinnowPRM, steps: list[Step]) -> None:
    task = asyncio.create_task(verifier.score(PROBLEM, (), steps, Meter()))
    await until(lambda: verifier.engine.num_running_requests)
    task.cancel()
    await asyncio.wait([task])
    assert verifier.engine.num_running_requests == 0

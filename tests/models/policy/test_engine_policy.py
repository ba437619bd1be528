"""What the embedded policy does beyond the contract: ids, prompts, limits, cancellation, the bill."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from models.checkpoints.marks import Marks
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.engine_client import EngineClient
from models.errors import ContextOverflowError
from models.interfaces import Finish, Meter, Problem, Step
from models.policy.engine_policy import EnginePolicy
from models.vllm.engine import Engine
from tests.models.problems import PROBLEM, ids_of, respond, respond_often, sampling, text_of
from tests.waiting import until


def running(engine: EngineClient) -> set[float | None]:
    """By our count and by the engine's."""
    return {engine.num_running_requests, metric(engine, "vllm:num_requests_running")}


def metric(engine: EngineClient, name: str) -> float | None:
    samples = (sample for family in engine.metrics.collect() for sample in family.samples)
    return next((sample.value for sample in samples if sample.name == name), None)


def generated(policy: EnginePolicy) -> float:
    """Tokens that the policy's engine has counted by itself."""
    return metric(policy.engine, "vllm:generation_tokens_total") or 0


async def test_texts_join_to_what_all_ids_decode_to(policy: EnginePolicy) -> None:
    for _, steps in await respond_often(policy, 16):
        assert text_of(steps) == policy.prompts.tokenizer.decode(ids_of(steps))


async def test_a_complete_response_ends_with_the_end_of_sequence(policy: EnginePolicy) -> None:
    responses = [steps for _, steps in await respond_often(policy, 16)]
    complete = [steps for steps in responses if steps[-1].finish is Finish.END]
    assert complete
    assert all(steps[-1].token_ids[-1] == 0 for steps in complete)


async def test_only_what_the_context_leaves_is_generated(policy: EnginePolicy) -> None:
    room = 5
    prefix = [
        Step("1", (20,) * (policy.engine.max_model_len - policy.count_prompt_tokens(PROBLEM) - room), Finish.STEP)
    ]
    steps = await respond(policy, sampling(), prefix=prefix)
    assert len(ids_of(steps)) <= room
    assert steps[-1].finish is not Finish.STEP


async def test_a_full_context_is_refused(policy: EnginePolicy) -> None:
    prefix = [Step("1", (20,) * (policy.engine.max_model_len - policy.count_prompt_tokens(PROBLEM)), Finish.STEP)]
    with pytest.raises(ContextOverflowError, match="at most 1024"):
        await policy.propose(PROBLEM, prefix, sampling(), Meter())


def test_a_problem_longer_than_the_context_is_refused(policy: EnginePolicy) -> None:
    with pytest.raises(ContextOverflowError, match="at most 1024"):
        policy.count_prompt_tokens(Problem("1 + " * 25_000))


async def test_more_seeded_prompts_than_one_batch_holds_are_all_answered(policy: EnginePolicy) -> None:
    """On a CPU vLLM dies of a seeded prompt that it reads in pieces: "CPU Generator does not use offset"."""
    problems = [Problem(f"{index} " + f"{PROBLEM.text} " * 40) for index in range(16)]
    assert sum(map(policy.count_prompt_tokens, problems)) > 2 * 2048
    await asyncio.gather(*(respond(policy, sampling(max_tokens=4), problem) for problem in problems))
    await policy.engine.check()


async def test_a_cancelled_proposal_leaves_the_engine_within_a_second(policy: EnginePolicy) -> None:
    async def propose(seed: int) -> None:
        await respond(policy, sampling(seed, temperature=1.5))

    tasks = [asyncio.create_task(propose(seed)) for seed in range(16)]
    await until(lambda: running(policy.engine) == {16}, within_s=5)
    for task in tasks:
        task.cancel()
    await until(lambda: running(policy.engine) == {0}, within_s=1)


async def test_a_response_that_is_left_leaves_the_engine(policy: EnginePolicy) -> None:
    async with aclosing(policy.respond(PROBLEM, (), sampling(), Meter())) as steps:
        await anext(steps)
        assert policy.engine.num_running_requests == 1
    assert policy.engine.num_running_requests == 0


async def test_the_bill_is_the_engines_own_whatever_was_cancelled(policy: EnginePolicy) -> None:
    meter, counted = Meter(), generated(policy)
    tasks = [asyncio.create_task(respond(policy, sampling(seed), meter=meter)) for seed in range(32)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await policy.propose(PROBLEM, (), sampling(), meter)
    assert generated(policy) == counted + meter.completion_tokens


async def test_tokens_that_nobody_waited_for_are_on_the_bill(policy: EnginePolicy) -> None:
    meter, counted = Meter(), generated(policy)
    async with aclosing(policy.respond(PROBLEM, (), sampling(), meter)) as steps:
        await anext(steps)
        await until(lambda: generated(policy) > counted + meter.completion_tokens)
    assert generated(policy) == counted + meter.completion_tokens


async def test_ids_that_run_past_the_delimiter_stay_whole(tiny_policy: EnginePolicy) -> None:
    responses = await asyncio.gather(*(respond(tiny_policy, sampling(seed, temperature=2.0)) for seed in range(16)))
    for steps in responses:
        assert text_of(steps) == tiny_policy.prompts.tokenizer.decode(ids_of(steps))
    assert any(not step.text.endswith("\n\n") for steps in responses for step in steps[:-1])


@pytest.fixture
def tiny_policy(tiny_engine: Engine, tiny_tokenizer: ChatTokenizer) -> EnginePolicy:
    return EnginePolicy(tiny_engine, PromptBuilder(tiny_tokenizer))


async def test_the_engine_itself_ends_a_proposal_at_its_delimiter(policy: EnginePolicy) -> None:
    def ended() -> float:
        samples = [sample for metric in policy.engine.metrics.collect() for sample in metric.samples]
        named = [each for each in samples if each.name == "vllm:request_success_total"]
        return sum(each.value for each in named if each.labels["finished_reason"] == "stop")

    before = ended()
    assert (await policy.propose(PROBLEM, (), sampling(), Meter())).finish is Finish.STEP
    assert ended() == before + 1


def set_apart(policy: EnginePolicy) -> EnginePolicy:
    """The same policy, whose first step is taken for its thoughts."""
    marks = Marks.of("## Step 1", "## Step 2", at_limit="\n\n## Step 2")
    return EnginePolicy(policy.engine, PromptBuilder(policy.prompts.tokenizer, marks=marks))


async def test_thoughts_are_set_apart_while_they_are_generated(policy: EnginePolicy) -> None:
    thinking, meter = set_apart(policy), Meter()
    plain, steps = await respond(policy, sampling()), await respond(thinking, sampling(), meter=meter)
    assert ids_of(steps) == ids_of(plain)
    assert any(step.is_thinking for step in steps)
    before, _, behind = text_of(plain).partition("## Step 2")
    assert text_of(step for step in steps if step.is_thinking) == before.removeprefix("## Step 1")
    assert text_of(step for step in steps if not step.is_thinking) == behind
    assert meter.reasoning_tokens == len(ids_of(step for step in steps if step.is_thinking))


async def test_the_engine_goes_on_behind_thoughts_that_were_closed_for_it(policy: EnginePolicy) -> None:
    thinking, counted = set_apart(policy), generated(policy)
    meter, how = Meter(), replace(sampling(), thinking_budget=8)
    steps = await respond(thinking, how, meter=meter)
    forced = policy.prompts.tokenizer.encode("\n\n## Step 2")
    thoughts = ids_of(step for step in steps if step.is_thinking)
    assert (len(thoughts), tuple(thoughts[8:])) == (8 + len(forced), forced)
    assert text_of(step for step in steps if not step.is_thinking).strip()
    assert meter.completion_tokens == len(ids_of(steps)) == generated(policy) - counted + len(forced)
    assert await respond(thinking, how) == steps

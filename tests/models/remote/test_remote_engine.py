"""Servers elsewhere against the engines here: the same ids, the same scores, nothing left behind."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import httpx
import pytest

from models.checkpoints.prompt import PromptBuilder
from models.errors import EngineUnavailableError
from models.generation import Generation
from models.interfaces import Finish, Meter, Problem, Step
from models.policy.engine_policy import EnginePolicy
from models.prm.winnow import WinnowPRM
from models.remote.engine import SCORES, RemoteEngine
from models.vllm.launch import block_size
from models.vllm.settings import LARGE_BLOCK
from tests.models.problems import PROBLEM, PROBLEMS, respond, sampling, text_of, visible
from tests.models.verifier_contract import TOLERANCE, steps_of
from tests.servers import Fleet

BLOCK = block_size()
RUNNING = "vllm:num_requests_running"
ENDLESS = Generation(max_tokens=900)
"""What a server is at for seconds unless it is left."""


def remote(subject: EnginePolicy | WinnowPRM) -> RemoteEngine:
    assert isinstance(subject.engine, RemoteEngine)
    return subject.engine


async def metric(urls: Sequence[str], name: str) -> float:
    """Its sum over servers."""
    async with httpx.AsyncClient() as client:
        lines = [line for url in urls for line in (await client.get(f"{url}/metrics")).text.splitlines()]
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name}{{"))


async def until_idle(urls: Sequence[str]) -> None:
    async with asyncio.timeout(1.0):
        while await metric(urls, RUNNING):
            pass


async def test_the_same_seed_draws_the_same_steps_as_here(policy: EnginePolicy, remote_policy: EnginePolicy) -> None:
    for seed, problem in enumerate(PROBLEMS):
        assert await respond(remote_policy, sampling(seed), problem) == await respond(policy, sampling(seed), problem)


async def test_a_proposal_is_the_step_that_it_is_here(policy: EnginePolicy, remote_policy: EnginePolicy) -> None:
    for seed, problem in enumerate(PROBLEMS):
        prefix = visible(await respond(policy, sampling(seed), problem))[:1]
        proposals = [
            await subject.propose(problem, prefix, sampling(seed), Meter()) for subject in (policy, remote_policy)
        ]
        assert proposals[0] == proposals[1]


async def test_scores_are_those_of_the_engine_here(
    policy: EnginePolicy, verifier: WinnowPRM, remote_verifier: WinnowPRM
) -> None:
    for seed, problem in enumerate(PROBLEMS):
        steps = visible(await respond(policy, sampling(seed), problem))
        here = await verifier.score(problem, (), steps, Meter())
        assert await remote_verifier.score(problem, (), steps, Meter()) == pytest.approx(here, abs=TOLERANCE)


async def test_one_request_judges_all_new_steps_and_reads_the_rest_from_the_cache(
    remote_verifier: WinnowPRM, prompts: PromptBuilder, servers: Fleet
) -> None:
    problem, steps = (
        Problem("Compute 3 * (12 - 5) + 9, of which no other test has heard."),
        steps_of(prompts.tokenizer.encode),
    )
    before, after = Meter(), Meter()
    await remote_verifier.score(problem, (), steps[:1], before)
    num_requests = await metric(servers.verifiers, "vllm:request_success_total")
    await remote_verifier.score(problem, steps[:1], steps[1:], after)
    assert await metric(servers.verifiers, "vllm:request_success_total") == num_requests + 1
    assert after.verifier_cached_tokens >= LARGE_BLOCK
    assert after.verifier_tokens < sum(len(step.token_ids) for step in steps[1:]) + BLOCK


async def test_the_score_of_the_last_token_alone_is_that_of_its_position(remote_verifier: WinnowPRM) -> None:
    """What a server without our endpoint is asked, and what one with it."""
    engine, token_ids, positions = remote(remote_verifier), list(range(20, 90)), [40, 69]
    with_endpoint = await engine.score(token_ids, positions, read_cache=False)
    for replica in engine.replicas.all:
        replica.lacks.add(SCORES)
    without = await engine.score(token_ids, positions)
    for replica in engine.replicas.all:
        replica.lacks.clear()
    assert without.scores == pytest.approx(with_endpoint.scores, abs=TOLERANCE)


async def test_a_response_that_is_left_leaves_the_server(remote_policy: EnginePolicy, servers: Fleet) -> None:
    prompt = remote_policy.prompts.build(PROBLEM)
    async with aclosing(remote_policy.engine.generate(prompt, ENDLESS)) as outputs:
        await anext(outputs)
        assert remote_policy.engine.num_running_requests == 1
    assert remote_policy.engine.num_running_requests == 0
    await until_idle(servers.policies)


async def test_cancelled_requests_leave_both_servers(
    remote_policy: EnginePolicy, remote_verifier: WinnowPRM, servers: Fleet
) -> None:
    async def draw() -> None:
        async with aclosing(remote_policy.engine.generate(remote_policy.prompts.build(PROBLEM), ENDLESS)) as outputs:
            async for _ in outputs:
                pass

    async def judge(problem: Problem) -> None:
        await remote_verifier.score(problem, (), [Step("x", tuple(range(20, 500)) * 2, Finish.STEP)], Meter())

    tasks = [asyncio.create_task(draw()) for _ in range(8)]
    tasks += [asyncio.create_task(judge(problem)) for problem in PROBLEMS]
    async with asyncio.timeout(10):
        while await metric(servers.policies, RUNNING) < 8:
            pass
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert [each.num_running_requests for each in (remote(remote_policy), remote(remote_verifier))] == [0, 0]
    for urls in servers:
        await until_idle(urls)


async def test_a_request_that_a_server_refuses_says_so(remote_policy: EnginePolicy) -> None:
    with pytest.raises(EngineUnavailableError, match=r"policy engine refused the request: .*out of vocabulary"):
        await remote_policy.engine.complete([10**6], Generation(max_tokens=1))
    await remote_policy.engine.check()


async def test_a_path_that_a_server_lacks_is_no_failure_of_the_server(remote_policy: EnginePolicy) -> None:
    engine = remote(remote_policy)
    with pytest.raises(EngineUnavailableError, match="answers 404"):
        await engine.score([20, 21], [1])
    assert any(SCORES in replica.lacks for replica in engine.replicas.all)
    assert all(replica.is_up for replica in engine.replicas.all)


async def test_verdicts_are_asked_for_by_their_ids(policy: EnginePolicy, remote_policy: EnginePolicy) -> None:
    params = Generation(max_tokens=1, temperature=0, logprob_ids=(20, 21))
    prompt = policy.prompts.build(PROBLEM)
    here, there = [(await each.engine.complete(prompt, params)).logprobs for each in (policy, remote_policy)]
    assert here is not None
    assert there is not None
    for token_id in (20, 21):
        assert there[token_id] == pytest.approx(here[token_id], abs=0.1)


async def test_many_responses_at_once_are_whole(remote_policy: EnginePolicy) -> None:
    responses = await asyncio.gather(*(respond(remote_policy, sampling(seed)) for seed in range(32)))
    assert all(text_of(steps) for steps in responses)
    assert all(steps[-1].finish is not Finish.STEP for steps in responses)

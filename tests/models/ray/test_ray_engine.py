"""Engines behind a deployment's handle against the engines themselves: the same ids and scores, nothing left behind."""

import asyncio
import pickle
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from models import errors
from models.checkpoints.prompt import PromptBuilder
from models.errors import ContextOverflowError, EngineDiedError, ModelError, PromptTooLongError, RequestRefusedError
from models.generation import Generation
from models.interfaces import Finish, Meter, Policy, Problem, Step, Verifier
from models.policy.engine_policy import EnginePolicy
from models.prm.formats import read_verifier
from models.prm.served import RunningVerifier
from models.prm.winnow import WinnowPRM
from models.ray.engine import RayEngine
from models.ray.handlers import RayHandlers, opening_of
from models.ray.replica import EngineReplica
from models.ray.scaling import TOKENS
from models.ray.settings import DeploymentSettings
from models.vllm.handlers import OpenAIHandlers
from tests.conftest import DEMO
from tests.models.policy_contract import PolicyContract
from tests.models.problems import PROBLEM, PROBLEMS, ids_of, respond, sampling, visible
from tests.models.ray.handles import Deaf, Deployment, Handle, translated
from tests.models.verifier_contract import TOLERANCE, VerifierContract, steps_of
from tests.waiting import until

ENDLESS = Generation(max_tokens=900)
POLICY_NAME = "winnow-demo"
CHAT = {"messages": [{"role": "user", "content": PROBLEM.text}], "max_tokens": 40, "seed": 3, "model": POLICY_NAME}


async def engine_of(name: str, *replicas: EngineReplica) -> tuple[RayEngine, Deployment]:
    deployment = Deployment(replicas)
    engine = RayEngine(DeploymentSettings(DEMO / name, name, Handle(deployment)), translated)
    await engine.meet(5.0)
    deployment.num_calls.clear()
    deployment.sessions.clear()
    return engine, deployment


@pytest.fixture
async def ray(policy: EnginePolicy) -> AsyncIterator[tuple[EnginePolicy, Deployment]]:
    """Two replicas of the policy, which share its engine."""
    handlers = OpenAIHandlers(policy.engine, policy.prompts.tokenizer, POLICY_NAME)
    engine, deployment = await engine_of("policy", *(EngineReplica(policy.engine, handlers) for _ in range(2)))
    yield EnginePolicy(engine, policy.prompts), deployment
    await handlers.stop()


@pytest.fixture
async def ray_verifier(verifier: WinnowPRM, prompts: PromptBuilder) -> RunningVerifier:
    engine, _ = await engine_of("prm", EngineReplica(verifier.engine))
    return read_verifier("winnow", DeploymentSettings(DEMO / "prm", "verifier", None), prompts).build(engine)


class TestRayPolicy(PolicyContract):
    @pytest.fixture
    def subject(self, ray: tuple[EnginePolicy, Deployment]) -> Policy:
        return ray[0]


class TestRayVerifier(VerifierContract):
    @pytest.fixture
    def subject(self, ray_verifier: RunningVerifier) -> Verifier:
        return ray_verifier

    @pytest.fixture
    def steps(self, prompts: PromptBuilder) -> list[Step]:
        return steps_of(prompts.tokenizer.encode)


async def test_the_same_seed_draws_the_same_steps(policy: EnginePolicy, ray: tuple[EnginePolicy, Deployment]) -> None:
    for seed, problem in enumerate(PROBLEMS):
        assert await respond(ray[0], sampling(seed), problem) == await respond(policy, sampling(seed), problem)


async def test_scores_are_those_of_the_engine(
    policy: EnginePolicy, verifier: WinnowPRM, ray_verifier: RunningVerifier
) -> None:
    steps = visible(await respond(policy, sampling(1)))
    here = await verifier.score(PROBLEM, (), steps, Meter())
    assert await ray_verifier.score(PROBLEM, (), steps, Meter()) == pytest.approx(here, abs=TOLERANCE)


async def test_a_problem_stays_with_a_replica_and_others_go_to_others(ray: tuple[EnginePolicy, Deployment]) -> None:
    subject, deployment = ray
    await asyncio.gather(*(respond(subject, sampling(seed)) for seed in range(4)))
    assert sorted(deployment.num_calls.values()) == [4]
    await asyncio.gather(*(respond(subject, sampling(0), problem) for problem in PROBLEMS))
    assert len(deployment.num_calls) == 2


async def test_a_response_whose_replica_goes_away_goes_on_at_the_other(ray: tuple[EnginePolicy, Deployment]) -> None:
    subject, deployment = ray
    meter = Meter()
    async with aclosing(subject.respond(PROBLEM, (), sampling(0), meter)) as steps:
        first = await anext(steps)
        deployment.gone.add(*deployment.num_calls)
        rest = [step async for step in steps]
    assert rest[-1].finish is Finish.END
    assert len(deployment.num_calls) == 2
    assert meter.completion_tokens >= len(ids_of([first, *rest]))
    assert subject.engine.num_restarts == 1


async def test_where_no_replica_is_left_the_request_fails_as_one_to_a_dead_engine(
    ray: tuple[EnginePolicy, Deployment],
) -> None:
    ray[1].gone |= {0, 1}
    with pytest.raises(EngineDiedError):
        await respond(ray[0], sampling(0))


async def test_a_response_that_is_left_leaves_the_engine_and_holds_no_tokens(
    policy: EnginePolicy, ray: tuple[EnginePolicy, Deployment]
) -> None:
    subject, deployment = ray
    prompt = policy.prompts.build(PROBLEM)
    async with aclosing(subject.engine.generate(prompt, ENDLESS, affinity="one")) as outputs:
        await anext(outputs)
        assert subject.engine.num_running_requests == 1
        held = [(await replica.record_autoscaling_stats())[TOKENS] for replica in deployment.replicas]
        assert max(held) > len(prompt)
    await until(lambda: not policy.engine.num_running_requests)
    assert subject.engine.num_running_requests == 0
    assert [await replica.record_autoscaling_stats() for replica in deployment.replicas] == [{TOKENS: 0.0}] * 2


async def test_a_cancelled_request_for_scores_is_cancelled_in_the_replica() -> None:
    handle = Deaf()
    engine = RayEngine(DeploymentSettings(DEMO / "prm", "verifier", handle), translated)
    asking = asyncio.create_task(engine.score([1, 2], [1]))
    await until(lambda: engine.num_running_requests)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (handle.num_cancelled, engine.num_running_requests) == (1, 0)


async def test_a_replica_that_is_silent_is_asked_twice_and_no_more() -> None:
    handle = Deaf()
    engine = RayEngine(DeploymentSettings(DEMO / "prm", "verifier", handle, silence_s=0.01), translated)
    with pytest.raises(EngineDiedError):
        await engine.score([1, 2], [1])
    assert handle.num_cancelled == 2
    with pytest.raises(EngineDiedError):
        await anext(engine.generate([1], ENDLESS))
    with pytest.raises(EngineDiedError):
        await engine.check()


async def test_chats_are_answered_as_by_the_handlers_themselves(
    policy: EnginePolicy, ray: tuple[EnginePolicy, Deployment]
) -> None:
    handlers = OpenAIHandlers(policy.engine, policy.prompts.tokenizer, POLICY_NAME)
    subject = RayHandlers(engine_behind(ray[0]), POLICY_NAME)
    here, there = [await each.chat(CHAT) for each in (handlers, subject)]
    assert isinstance(here, dict)
    assert isinstance(there, dict)
    assert there["choices"] == here["choices"]
    streamed = await subject.chat({**CHAT, "stream": True})
    assert not isinstance(streamed, dict)
    events = [event async for event in streamed]
    assert events[-1] == "data: [DONE]\n\n"
    await handlers.stop()


async def test_a_chat_that_vllm_refuses_is_refused_before_its_stream_begins(
    ray: tuple[EnginePolicy, Deployment],
) -> None:
    subject = RayHandlers(engine_behind(ray[0]), POLICY_NAME)
    for stream in (False, True):
        with pytest.raises(RequestRefusedError) as refused:
            await subject.chat({**CHAT, "top_p": 7, "stream": stream})
        assert refused.value.param == "top_p"


async def test_a_chat_whose_replica_is_gone_is_answered_by_the_other(ray: tuple[EnginePolicy, Deployment]) -> None:
    subject, deployment = ray
    handlers = RayHandlers(engine_behind(subject), POLICY_NAME)
    await handlers.chat(CHAT)
    deployment.gone.add(*deployment.num_calls)
    streamed = await handlers.chat({**CHAT, "stream": True})
    assert not isinstance(streamed, dict)
    assert [event async for event in streamed]
    assert len(deployment.num_calls) == 2


def engine_behind(policy: EnginePolicy) -> RayEngine:
    assert isinstance(policy.engine, RayEngine)
    return policy.engine


def test_what_a_request_opens_with_is_what_its_user_says_first() -> None:
    assert opening_of(CHAT) == PROBLEM.text
    assert opening_of({"prompt": "1 + 1"}) == "1 + 1"
    assert opening_of({"input": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}) == "u"


@pytest.mark.parametrize(
    "error",
    [
        ContextOverflowError(5, 4),
        PromptTooLongError(5000, 4000, "messages"),
        RequestRefusedError("stop: too many", "stop"),
        EngineDiedError("it is dead"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_reaches_another_process_as_it_is(error: ModelError) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is type(error)
    assert (str(there), vars(there)) == (str(error), vars(error))


def test_no_error_was_forgotten_that_takes_more_than_a_message() -> None:
    own = {name for name, each in vars(errors).items() if isinstance(each, type) and "__init__" in vars(each)}
    assert own == {"ContextOverflowError", "PromptTooLongError", "RequestRefusedError"}


async def test_an_opening_of_any_length_is_a_short_session(ray: tuple[EnginePolicy, Deployment]) -> None:
    """Ray sends it with every request, and a problem may have megabytes."""
    subject, deployment = ray
    await respond(subject, sampling(0), Problem("Compute 1 + 1. " * 20))
    assert [len(session) for session in deployment.sessions] == [16]

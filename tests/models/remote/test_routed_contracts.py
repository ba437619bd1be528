"""Policy and verifier keep their contracts behind a router, on real engines."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from models.checkpoints.prompt import PromptBuilder
from models.interfaces import Meter, Policy, Step, Verifier
from models.policy.engine_policy import EnginePolicy, open_policy
from models.prm.formats import open_verifier
from models.prm.served import RunningVerifier
from models.prm.winnow import WinnowPRM
from models.remote.engine import RemoteEngine
from models.remote.settings import RemoteSettings
from tests.conftest import DEMO
from tests.models.policy_contract import GrammarContract, StepRulesContract
from tests.models.prm.over_http import ScoresOverHTTP
from tests.models.problems import PROBLEMS, respond, sampling, visible
from tests.models.remote.test_remote_engine import ENDLESS, until_idle
from tests.models.verifier_contract import TOLERANCE, VerifierContract, steps_of
from tests.routers import needs_router, routed
from tests.servers import Fleet

pytestmark = needs_router


@pytest.fixture(scope="module")
def routers(servers: Fleet) -> Iterator[tuple[str, str]]:
    """One in front of the servers of each model."""
    with routed(servers.policies) as policy, routed(servers.verifiers) as verifier:
        yield policy, verifier


@pytest.fixture(scope="module")
async def routed_policy(routers: tuple[str, str], prompts: PromptBuilder) -> AsyncIterator[EnginePolicy]:
    async with open_policy(RemoteSettings(DEMO / "policy", "policy", routers[:1]), prompts) as policy:
        yield policy


@pytest.fixture(scope="module")
async def routed_verifier(routers: tuple[str, str], prompts: PromptBuilder) -> AsyncIterator[RunningVerifier]:
    settings = RemoteSettings(DEMO / "prm", "verifier", routers[1:])
    async with open_verifier("winnow", settings, prompts) as verifier:
        yield verifier


class TestRoutedPolicy(StepRulesContract, GrammarContract):
    @pytest.fixture
    def subject(self, routed_policy: EnginePolicy) -> Policy:
        return routed_policy


class TestRoutedVerifier(VerifierContract, ScoresOverHTTP):
    @pytest.fixture
    def subject(self, routed_verifier: WinnowPRM) -> Verifier:
        return routed_verifier

    @pytest.fixture
    def steps(self, prompts: PromptBuilder) -> list[Step]:
        return steps_of(prompts.tokenizer.encode)


async def test_steps_and_scores_are_those_of_the_engines_here(
    policy: EnginePolicy, verifier: WinnowPRM, routed_policy: EnginePolicy, routed_verifier: WinnowPRM
) -> None:
    for seed, problem in enumerate(PROBLEMS):
        steps = await respond(policy, sampling(seed), problem)
        assert await respond(routed_policy, sampling(seed), problem) == steps
        here = await verifier.score(problem, (), visible(steps), Meter())
        assert await routed_verifier.score(problem, (), visible(steps), Meter()) == pytest.approx(here, abs=TOLERANCE)


async def test_a_response_that_is_left_leaves_the_server_behind_the_router(
    routed_policy: EnginePolicy, servers: Fleet
) -> None:
    prompt = routed_policy.prompts.build(PROBLEMS[0])
    async with aclosing(routed_policy.engine.generate(prompt, ENDLESS)) as outputs:
        await anext(outputs)
    await until_idle(servers.policies)


async def test_a_server_behind_a_router_lacks_nothing(routed_policy: EnginePolicy, routed_verifier: WinnowPRM) -> None:
    for engine in (routed_policy.engine, routed_verifier.engine):
        assert isinstance(engine, RemoteEngine)
        assert [replica.gaps for replica in engine.replicas.all] == [()]

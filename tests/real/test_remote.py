"""The real chat model on a vLLM server, as `winnow engine` starts it, and winnow in front of it."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from models.interfaces import Finish, Meter, Problem
from search.answers.pool import AnswerPool
from search.calibration.table import ALONE
from search.expander import Models
from server.settings import Settings
from tests.models.problems import ids_of, respond, sampling
from tests.real.checkpoints import SMOLLM2
from tests.server.conftest import listening
from tests.server.processes import WINNOW, free_port
from tests.servers import await_server

if TYPE_CHECKING:
    from models.policy.engine_policy import EnginePolicy

SEA = Problem("Write two lines about the sea.")
CAPITAL = Problem("What is the capital of France?")


@pytest.fixture(scope="module")
def server(smollm2: EnginePolicy) -> Iterator[str]:
    port, options = free_port(), ["--policy-model", str(SMOLLM2.path), "--dtype", "float32"]
    process = subprocess.Popen([WINNOW, "engine", "policy", "--port", str(port), *options])
    try:
        yield await_server(process, port)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
async def remote(smollm2: EnginePolicy, server: str) -> AsyncIterator[EnginePolicy]:
    from models.policy.engine_policy import open_policy
    from models.remote.settings import RemoteSettings

    async with open_policy(RemoteSettings(SMOLLM2.path, "remote", (server,)), smollm2.prompts) as policy:
        yield policy


@pytest.mark.parametrize("problem", [SEA, CAPITAL], ids=["sea", "capital"])
async def test_a_server_says_what_the_engine_here_says(
    smollm2: EnginePolicy, remote: EnginePolicy, problem: Problem
) -> None:
    how = sampling(None, temperature=0, max_tokens=32)
    there, here = [await respond(policy, how, problem) for policy in (remote, smollm2)]
    assert ids_of(there) == ids_of(here)
    assert [step.finish for step in there] == [step.finish for step in here]


async def test_a_seed_samples_the_same_step(smollm2: EnginePolicy, remote: EnginePolicy) -> None:
    how = replace(sampling(7), max_tokens=24)
    there, here = [await policy.propose(SEA, (), how, Meter()) for policy in (remote, smollm2)]
    assert there.token_ids == here.token_ids


async def test_a_turn_ends_there_too(remote: EnginePolicy) -> None:
    steps = await respond(remote, sampling(None, temperature=0, max_tokens=200), CAPITAL)
    assert steps[-1].finish is Finish.END


async def test_a_gateway_searches_with_the_policy_alone(remote: EnginePolicy) -> None:
    settings = Settings(policy_model=str(SMOLLM2.path))
    async with AnswerPool(num_workers=1) as reader:
        models = Models(remote, None, reader)
        async with listening(models, remote.engine, settings=settings, calibrated=ALONE) as client:
            reply = (await client.post("/solve", json={"problem": SEA.text, "n": 4, "max_tokens": 24})).json()
            assert (await client.get("/readyz")).status_code == 200
    assert (reply["status"], reply["strategy"]["name"]) == ("complete", "majority")
    assert 0 < reply["usage"]["completion_tokens"] <= 4 * 24

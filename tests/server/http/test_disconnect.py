"""A client that goes away takes its work with it."""

import asyncio

import httpx
import pytest

from models.policy.engine_policy import EnginePolicy
from models.prm.winnow import WinnowPRM
from tests.waiting import until

REQUEST = {"problem": "Compute (17 + 28) * 3 - 45.", "n": 64, "early_stop": False, "include": []}


@pytest.mark.parametrize("strategy", ["weighted_best_of_n", "beam_search", "dvts"])
async def test_the_engines_are_idle_within_a_second(
    client: httpx.AsyncClient, policy: EnginePolicy, verifier: WinnowPRM, strategy: str
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/solve", json=REQUEST | {"strategy": strategy}, timeout=0.2)
    await until(lambda: not (policy.engine.num_running_requests or verifier.engine.num_running_requests), within_s=1)


async def test_the_work_had_begun(client: httpx.AsyncClient, policy: EnginePolicy) -> None:
    asking = asyncio.create_task(client.post("/solve", json=REQUEST))
    await until(lambda: policy.engine.num_running_requests)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

"""winnow on a real cluster of Ray's, as deploy/ray/demo.yaml has it, against the app around engines here."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from openai import AsyncOpenAI

from tests.ray_cluster import Cluster, demo_config, ray_cluster
from tests.server.conftest import POLICY_NAME, openai_client
from tests.server.openai.asking import PROBLEM
from tests.server.test_solve import solve

pytest.importorskip("ray", reason="Ray is not installed: make ray")
pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ray_cluster() as cluster:
        cluster.deploy(demo_config(cluster.port))
        cluster.await_running()
        yield cluster


@pytest.fixture(scope="module")
async def ray_client(cluster: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=cluster.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
async def ray_openai(ray_client: httpx.AsyncClient) -> AsyncIterator[AsyncOpenAI]:
    async with openai_client(ray_client) as openai:
        yield openai


@pytest.mark.parametrize("strategy", ["weighted_best_of_n", "beam_search"])
async def test_the_same_seed_gives_the_same_tree_as_engines_here(
    client: httpx.AsyncClient, ray_client: httpx.AsyncClient, strategy: str
) -> None:
    here, there = [await solve(each, strategy=strategy, early_stop=False) for each in (client, ray_client)]
    assert there["answer"] == here["answer"]
    assert [c["response"] for c in there["candidates"]] == [c["response"] for c in here["candidates"]]
    assert there["usage"]["completion_tokens"] == here["usage"]["completion_tokens"]


async def test_a_search_is_streamed(ray_client: httpx.AsyncClient) -> None:
    request = {"problem": "8 + 6 * 4 - 12", "n": 4, "strategy": "beam_search", "stream": True}
    async with ray_client.stream("POST", "/solve", json=request) as response:
        names = [line.removeprefix("event: ") async for line in response.aiter_lines() if line.startswith("event: ")]
    assert names[-1] == "result"
    assert "step" in names


async def test_the_official_client_streams_a_chat_with_the_policy_itself(ray_openai: AsyncOpenAI) -> None:
    question = {"model": POLICY_NAME, "messages": [{"role": "user", "content": PROBLEM}], "seed": 1, "max_tokens": 60}
    whole = await ray_openai.chat.completions.create(**question)  # type: ignore[call-overload]
    events = await ray_openai.chat.completions.create(**question, stream=True)  # type: ignore[call-overload]
    pieces = [event.choices[0].delta.content or "" async for event in events if event.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    assert len(pieces) > 1


async def test_what_the_policy_refuses_names_the_field(ray_client: httpx.AsyncClient) -> None:
    body = {"model": POLICY_NAME, "messages": [{"role": "user", "content": "1"}], "top_p": 7}
    reply = await ray_client.post("/v1/chat/completions", json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "top_p")


async def test_a_replica_of_each_deployment_runs(cluster: Cluster) -> None:
    assert [len(cluster.replicas(name)) for name in ("gateway", "policy", "verifier")] == [1, 1, 1]

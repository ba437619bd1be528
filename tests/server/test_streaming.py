"""`stream: true` in `POST /solve`: the tree as it grows, event by event."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from models.errors import EngineUnavailableError
from models.policy.engine_policy import EnginePolicy
from models.prm.winnow import WinnowPRM
from search.answers.pool import AnswerPool
from search.expander import Models
from tests.natures import Branch, Tree, answer, step
from tests.rebuilding import Event, rebuild, told
from tests.server.conftest import listening
from tests.server.test_solve import PROBLEM, STRATEGIES, solve
from tests.waiting import until
from tests.worlds import World


async def read_events(client: httpx.AsyncClient, **fields: Any) -> list[Event]:
    return [event async for event in events_of(client, **fields)]


async def events_of(client: httpx.AsyncClient, **fields: Any) -> AsyncGenerator[Event, None]:
    async for event in events_at(client, "/solve", {"problem": PROBLEM, "n": 8, "seed": 7} | fields):
        yield event


async def events_at(client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> AsyncGenerator[Event, None]:
    async with client.stream("POST", url, json=body | {"stream": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        name, number = "", 0
        async for line in response.aiter_lines():
            field, _, value = line.partition(": ")
            match field:
                case "id":
                    assert int(value) == (number := number + 1)
                case "event":
                    name = value
                case "data":
                    yield name, json.loads(value)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_search_is_rebuilt_from_the_events(client: httpx.AsyncClient, strategy: str) -> None:
    *events, (last, result) = await read_events(client, strategy=strategy)
    assert last == "result"
    assert rebuild(events) == told(result)
    assert max(data["round"] for name, data in events if name == "round") == result["usage"]["rounds"]


@pytest.mark.parametrize("lookahead", [0, 1])
async def test_so_is_one_with_lookahead_and_one_cut_short(client: httpx.AsyncClient, lookahead: int) -> None:
    fields = {"strategy": "beam_search", "lookahead": lookahead, "max_steps": 2, "max_tokens": 40}
    *events, (_, result) = await read_events(client, **fields)
    assert rebuild(events) == told(result)


async def test_the_result_is_the_reply(client: httpx.AsyncClient) -> None:
    *_, (_, result) = await read_events(client)
    reply = await solve(client)
    assert result.keys() == reply.keys()
    assert (result["answer"], result["response"]) == (reply["answer"], reply["response"])
    assert [each["response"] for each in result["candidates"]] == [each["response"] for each in reply["candidates"]]


async def test_what_is_refused_is_refused_before_the_stream(client: httpx.AsyncClient) -> None:
    response = await client.post("/solve", json={"problem": PROBLEM, "n": 6, "strategy": "dvts", "stream": True})
    assert (response.status_code, response.json()["error"]["param"]) == (422, "beam_width")


@asynccontextmanager
async def served(*branches: Branch) -> AsyncIterator[tuple[World, httpx.AsyncClient]]:
    world = World(Tree(*branches))
    async with AnswerPool(num_workers=1) as reader, listening(Models(world.policy, world.verifier, reader)) as client:
        yield world, client


async def test_a_lost_candidate_leaves_the_tree() -> None:
    async with served(answer("1", 0.5), step("a", 0.9, answer("2", 0.9))) as (world, client):
        world.policy.failures[r"\boxed{2}"] = EngineUnavailableError("gone")
        *events, (last, result) = await read_events(client, n=2, early_stop=False)
    assert (last, result["status"]) == ("result", "degraded")
    assert ("candidate", "lost") in [(name, data.get("state")) for name, data in events]
    assert rebuild(events) == told(result)


async def test_a_dead_engine_ends_the_stream_with_an_error() -> None:
    async with served(answer("1", 0.5)) as (world, client):
        world.policy.failures[r"\boxed{1}"] = EngineUnavailableError("gone")
        *_, (last, data) = await read_events(client, n=2)
    assert (last, data["error"]["type"]) == ("error", "server_error")
    assert data["request_id"]


async def test_events_come_while_the_search_goes_on() -> None:
    async with served(step("a", 0.5, answer("1", 0.5))) as (world, client):
        gate = world.policy.gates[r"\boxed{1}"] = asyncio.Event()
        events = events_of(client, strategy="beam_search", n=1, beam_width=1)
        seen = [(await anext(events))[0] for _ in range(5)]
        gate.set()
        rest = [name async for name, _ in events]
    assert seen == ["start", "queue", "round", "step", "candidate"]
    assert rest[-1] == "result"


@pytest.mark.parametrize("strategy", ["weighted_best_of_n", "beam_search", "dvts"])
async def test_a_closed_connection_stops_the_engines(
    client: httpx.AsyncClient, policy: EnginePolicy, verifier: WinnowPRM, strategy: str
) -> None:
    events = events_of(client, strategy=strategy, n=64, early_stop=False)
    while (await anext(events))[0] != "step":
        pass
    await events.aclose()
    await until(lambda: not (policy.engine.num_running_requests or verifier.engine.num_running_requests), within_s=1)


async def test_a_reader_that_reads_nothing_holds_up_nobody(client: httpx.AsyncClient) -> None:
    body = {"problem": PROBLEM, "n": 64, "early_stop": False, "stream": True}
    async with client.stream("POST", "/solve", json=body):  # and its lines are left unread
        reply = await solve(client)
    assert reply["status"] == "complete"

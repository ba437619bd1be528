"""The queue in front of searches, seen over HTTP."""

import asyncio
import json
import time
from typing import Any

import httpx

from server.solving.admission import Admission
from tests.server.services import queueing, world_of
from tests.waiting import until
from tests.worlds import World

ONE = {"problem": "1", "n": 1, "strategy": "majority"}
COST = 1024
"""Of `ONE`: the context of a world bounds it."""


def held(*answers: str) -> tuple[World, list[asyncio.Event]]:
    """A world that gives each answer when its event is set."""
    world = world_of(*answers)
    gates = {rf"\boxed{{{text}}}": asyncio.Event() for text in answers}
    world.policy.gates.update(gates)
    return world, list(gates.values())


async def until_there_are(admission: Admission, running: int, queued: int) -> None:
    await until(lambda: (admission.num_running, admission.num_queued) == (running, queued))


def ask(client: httpx.AsyncClient, **fields: Any) -> "asyncio.Task[httpx.Response]":
    return asyncio.create_task(client.post("/solve", json=ONE | fields))


async def test_a_search_waits_its_turn_and_the_reply_says_how_long() -> None:
    world, (gate,) = held("1")
    async with queueing(world, max_cost_in_flight=COST) as (client, admission):
        first = ask(client)
        await until_there_are(admission, 1, 0)
        second = ask(client)
        await until_there_are(admission, 1, 1)
        gate.set()
        timings = [(await asking).json()["timing"] for asking in (first, second)]
        assert (admission.in_flight, admission.num_running) == (0, 0)
    assert timings[0]["queue_s"] < timings[1]["queue_s"] <= timings[1]["total_s"]


async def test_when_the_queue_is_full_the_reply_says_when_to_come_back_and_nothing_was_tokenised() -> None:
    world, (gate,) = held("1")
    counted = []
    count = world.policy.count_prompt_tokens
    world.policy.count_prompt_tokens = lambda problem: counted.append(problem) or count(problem)  # type: ignore[method-assign, func-returns-value]
    async with queueing(world, max_cost_in_flight=COST, max_queued=1) as (client, admission):
        first, second = ask(client), ask(client)
        await until_there_are(admission, 1, 1)
        refused = await ask(client)
        gate.set()
        assert [(await asking).status_code for asking in (first, second)] == [200, 200]
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (429, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    assert f"try again in {refused.headers['retry-after']} s" in error["message"]
    assert len(counted) == 2


async def test_a_deadline_that_passes_in_the_queue_is_a_429() -> None:
    world, (gate,) = held("1")
    async with queueing(world, max_cost_in_flight=COST) as (client, admission):
        first = ask(client)
        await until_there_are(admission, 1, 0)
        late = await ask(client, deadline_s=0.05)
        assert (admission.num_running, admission.num_queued) == (1, 0)
        gate.set()
        assert (await first).status_code == 200
    assert (late.status_code, late.json()["error"]["code"]) == (429, "deadline_in_queue")
    assert int(late.headers["retry-after"]) >= 1


async def test_the_time_in_the_queue_is_part_of_the_deadline() -> None:
    world, (gate, _) = held("1", "2")
    async with queueing(world, max_cost_in_flight=COST) as (client, admission):
        first = ask(client)
        await until_there_are(admission, 1, 0)
        second = ask(client, deadline_s=0.5)
        await until_there_are(admission, 1, 1)
        asyncio.get_running_loop().call_later(0.3, gate.set)
        await first
        reply = (await second).json()
    assert (reply["status"], reply["answer"]) == ("deadline", None)
    assert reply["timing"]["queue_s"] > 0.2
    assert reply["timing"]["search_s"] < 0.45  # 0.2 are left; without the time in the queue, it would be 0.5
    assert reply["timing"]["total_s"] > 0.49


async def test_a_client_that_goes_away_leaves_the_queue() -> None:
    world, (gate,) = held("1")
    async with queueing(world, max_cost_in_flight=COST) as (client, admission):
        first = ask(client)
        await until_there_are(admission, 1, 0)
        gone = ask(client)
        await until_there_are(admission, 1, 1)
        gone.cancel()
        await until_there_are(admission, 1, 0)
        gate.set()
        assert (await first).status_code == 200


async def test_the_holder_of_another_key_comes_before_the_second_search_of_the_first() -> None:
    world, gates = held("1", "2", "3")
    keys = ("sk-0123456789abcdef", "sk-fedcba9876543210")
    async with queueing(world, max_cost_in_flight=COST, api_keys=",".join(keys)) as (client, admission):
        asked = []
        for number, key in enumerate([keys[0], keys[0], keys[1]]):
            headers = {"Authorization": f"Bearer {key}"}
            asked.append(asyncio.create_task(client.post("/solve", json=ONE, headers=headers)))
            await until_there_are(admission, 1, number)
        for gate in gates:
            gate.set()
        answers = [(await asking).json()["answer"] for asking in asked]
    assert answers == ["1", "3", "2"]


async def test_a_problem_that_cannot_be_asked_gives_its_place_back() -> None:
    world = world_of("1")
    async with queueing(world, max_cost_in_flight=COST) as (client, admission):
        response = await client.post("/solve", json=ONE | {"strategy": "majority", "lookahead": 1})
        assert response.status_code == 422
        assert (admission.num_running, admission.num_queued) == (0, 0)


async def test_a_deadline_counts_from_the_headers_of_the_request() -> None:
    world, _ = held("1")
    body = json.dumps(ONE | {"deadline_s": 1.0}).encode()
    head = f"POST /solve HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: application/json\r\n\r\n"
    async with queueing(world) as (client, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        start = time.perf_counter()
        writer.write(head.encode())
        await until(lambda: time.perf_counter() - start > 0.7)
        writer.write(body)
        reply = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
        writer.close()
    assert reply["status"] == "deadline"
    assert reply["timing"]["search_s"] < 0.9  # 0.3 are left; counted from the body, it would be 1.0

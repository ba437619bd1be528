"""`Idempotency-Key`: the same key and body of a client get the same search, once."""

import asyncio
from typing import Any

import httpx
import pytest

from models.errors import EngineUnavailableError
from tests.server.services import service, world_of
from tests.server.stores import each_store
from tests.server.test_background import BODY, KEYS, keeping, parsed, until_it_is
from tests.server.test_queue import ONE, held
from tests.waiting import until

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


async def post(client: httpx.AsyncClient, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    return await client.post("/solve", json=ONE | fields, headers=KEY if headers is None else headers)


@each_store
async def test_a_request_that_comes_again_gets_the_same_reply() -> None:
    world = world_of("1", "2")
    async with service(world) as client:
        first, again = await post(client), await post(client)
        other = await post(client, {"Idempotency-Key": "another"})
    assert (first.status_code, first.json()) == (200, again.json())
    assert other.json()["answer"] == "2"
    assert world.policy.num_calls == 2


@each_store
async def test_one_that_comes_while_the_search_runs_joins_it() -> None:
    world, (gate,) = held("1")
    async with service(world) as client:
        asked = [asyncio.create_task(post(client)) for _ in range(5)]
        await until(lambda: world.policy.num_in_flight)
        gate.set()
        replies = [(await each).json() for each in asked]
    assert all(reply == replies[0] for reply in replies)
    assert world.policy.num_calls == 1


@each_store
async def test_a_stream_and_a_background_search_are_joined_too() -> None:
    world, (gate,) = held("1")
    async with service(world) as client:
        streams = [asyncio.create_task(post(client, stream=True)) for _ in range(2)]
        await until(lambda: world.policy.num_in_flight)
        gate.set()
        one, two = [parsed((await each).text) for each in streams]
        assert one == two == parsed((await post(client, stream=True)).text)
        kept = [(await post(client, {"Idempotency-Key": "b"}, background=True)).json()["id"] for _ in range(2)]
    assert kept[0] == kept[1]
    assert world.policy.num_calls == 2


@pytest.mark.parametrize(
    "fields", [{"n": 2}, {"stream": True}, {"background": True}, {"seed": 1}, {"max_tokens": 2048}]
)
async def test_the_same_key_with_another_body_is_a_422(fields: dict[str, Any]) -> None:
    async with service(world_of("1")) as client:
        await post(client)
        refused = await post(client, **fields)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (422, "idempotency_key_reused")
    assert error["param"] == "idempotency-key"


@each_store
async def test_the_order_of_the_fields_makes_no_other_body() -> None:
    async with service(world_of("1")) as client:
        first = await client.post("/solve", json=ONE | {"include": ["tree", "candidates"]}, headers=KEY)
        fields = dict(reversed(ONE.items()))
        again = await client.post("/solve", json=fields | {"include": ["candidates", "tree"]}, headers=KEY)
    assert again.json() == first.json()


@each_store
async def test_clients_do_not_share_keys() -> None:
    world = world_of("1", "2")
    async with service(world, api_keys=",".join(KEYS)) as client:
        replies = [await post(client, KEY | {"Authorization": f"Bearer {key}"}) for key in KEYS]
    assert [reply.json()["answer"] for reply in replies] == ["1", "2"]


@pytest.mark.parametrize("text", ["", "a b", "k" * 256, '"', '"open', "back\\slash", "\u00e9", "a\tb"])
async def test_a_key_of_wrong_form_is_a_400(text: str) -> None:
    async with service(world_of("1")) as client:
        refused = await client.post("/solve", json=ONE, headers=[(b"Idempotency-Key", text.encode("latin-1"))])
        twice = await client.post("/solve", json=ONE, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    for response in (refused, twice):
        assert (response.status_code, response.json()["error"]["param"]) == (400, "idempotency-key")


async def test_quotes_around_a_key_make_no_other_key() -> None:
    async with service(world_of("1", "2")) as client:
        replies = [await post(client, {"Idempotency-Key": text}) for text in ("abc", '"abc"')]
    assert replies[0].json() == replies[1].json()


@each_store
async def test_what_failed_or_was_refused_is_tried_anew() -> None:
    world = world_of("1")
    async with service(world) as client:
        world.policy.failures[r"\boxed{1}"] = EngineUnavailableError("gone")
        assert (await post(client)).status_code == 503
        assert (await post(client, lookahead=1)).status_code == 422
        world.policy.failures.clear()
        assert (await post(client)).status_code == 200


@each_store
async def test_a_search_outlives_the_connection_that_broke_and_stops_when_nobody_comes_back() -> None:
    world, (gate,) = held("1")
    async with service(world, resume_within_s=0.3) as client:
        gone = asyncio.create_task(post(client))
        await until(lambda: world.policy.num_in_flight)
        gone.cancel()
        back = asyncio.create_task(post(client))
        await asyncio.sleep(0.6)
        assert (world.policy.num_in_flight, world.policy.num_cancelled) == (1, 0)
        back.cancel()
        await until(lambda: world.policy.num_cancelled)
        assert world.policy.num_in_flight == 0
        gate.set()
        assert (await post(client)).status_code == 200
        assert world.policy.num_calls == 2


@each_store
async def test_a_stream_with_a_key_is_resumed_where_it_broke() -> None:
    world, (gate,) = held("1")
    async with service(world) as client:
        async with client.stream("POST", "/solve", json=ONE | {"stream": True}, headers=KEY) as response:
            place = response.headers["location"]
        gate.set()
        rest = await client.get(place, params={"stream": "true"})
    assert parsed(rest.text)[-1][1] == "result"


async def test_a_joined_request_is_told_of_a_delete() -> None:
    world, _ = held("1")
    async with keeping(world) as (client, background):
        asked = asyncio.create_task(post(client))
        await until(lambda: world.policy.num_in_flight)
        (id,) = background._searches
        await client.delete(f"/solve/{id}")
        told = await asked
    assert (told.status_code, told.json()["error"]["code"]) == (409, "search_cancelled")


@each_store
async def test_kept_replies_make_room_for_new_searches() -> None:
    async with keeping(world_of("1"), max_background_per_client=3) as (client, background):
        for number in range(10):
            assert (await post(client, {"Idempotency-Key": f"k{number}"})).status_code == 200
            assert len(background) <= 3
        for _ in range(3):
            id = (await client.post("/solve", json=BODY)).json()["id"]
            await until_it_is(client, id, "complete")
        refused = await post(client, {"Idempotency-Key": "one-too-many"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "background_full")

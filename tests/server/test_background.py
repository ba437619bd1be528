"""Searches that outlive their connection: begun, followed, stopped, bounded, and seen by their owner alone."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from models.errors import EngineUnavailableError
from models.policy.engine_policy import EnginePolicy
from models.prm.winnow import WinnowPRM
from server.app import create_app
from server.keys import read_keys
from server.settings import Settings
from server.solving.background import Background
from tests.natures import Tree, answer
from tests.server.conftest import serving
from tests.server.services import service, world_of
from tests.server.stores import each_store
from tests.server.test_queue import held
from tests.server.test_solve import PROBLEM
from tests.waiting import until
from tests.worlds import World

BODY = {"problem": "1", "n": 1, "strategy": "majority", "background": True}
KEYS = ("sk-0123456789abcdef", "sk-fedcba9876543210")

Event = tuple[int, str, dict[str, Any]]


@asynccontextmanager
async def keeping(world: World, **fields: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Background]]:
    """A client of the service of a world, and what it keeps."""
    settings = Settings(**fields)
    app = create_app(world.models, (), settings, read_keys(settings))
    async with serving(app, settings) as client:
        yield client, app.state.winnow.background


async def begin(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await client.post("/solve", json=BODY | fields)
    assert response.status_code == 202
    shown: dict[str, Any] = response.json()
    assert response.headers["location"] == f"/solve/{shown['id']}"
    return shown


async def look(client: httpx.AsyncClient, id: str) -> dict[str, Any]:
    response = await client.get(f"/solve/{id}")
    assert response.status_code == 200
    shown: dict[str, Any] = response.json()
    return shown


async def until_it_is(client: httpx.AsyncClient, id: str, state: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while (shown := await look(client, id))["state"] != state:  # noqa: ASYNC110 - no event over HTTP
            await asyncio.sleep(0.01)
    return shown


async def events_of(
    client: httpx.AsyncClient, id: str, after: int = 0, headers: dict[str, str] | None = None
) -> list[Event]:
    """The events of a search behind number `after`, to the last."""
    params = {"stream": "true"} | ({"starting_after": str(after)} if after else {})
    response = await client.get(f"/solve/{id}", params=params, headers=headers)
    assert response.status_code == 200
    return parsed(response.text)


def parsed(text: str) -> list[Event]:
    found = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in fields:
            found.append((int(fields.get("id", 0)), fields["event"], json.loads(fields["data"])))
    return found


@each_store
async def test_a_search_is_queued_runs_and_is_complete() -> None:
    world, (first, second) = held("1", "2")
    async with service(world, max_cost_in_flight=1024) as client:
        one, two = await begin(client), await begin(client)
        assert one.keys() == {"id", "state", "created", "expires", "result", "error"}
        await until_it_is(client, one["id"], "running")
        assert (await look(client, two["id"]))["state"] == "queued"
        first.set()
        done = await until_it_is(client, one["id"], "complete")
        assert (done["result"]["answer"], done["error"], done["result"]["id"]) == ("1", None, one["id"])
        assert done["expires"] > done["created"] == one["created"]
        second.set()
        assert (await until_it_is(client, two["id"], "complete"))["result"]["answer"] == "2"


@each_store
async def test_it_is_the_reply_that_a_plain_request_gets() -> None:
    async with service(world_of("1", "1")) as client:
        kept = (await until_it_is(client, (await begin(client))["id"], "complete"))["result"]
        plain = (await client.post("/solve", json=BODY | {"background": False})).json()
    assert {**kept, "id": 0, "timing": 0} == {**plain, "id": 0, "timing": 0}


@each_store
async def test_a_stream_survives_its_client_and_goes_on_behind_any_event() -> None:
    world, (gate,) = held("1")
    async with service(world) as client:
        async with client.stream("POST", "/solve", json=BODY | {"stream": True}) as response:
            place = response.headers["location"].removeprefix("/solve/")
        assert (await look(client, place))["state"] in ("queued", "running")
        gate.set()
        whole = await events_of(client, place)
        assert [number for number, _, _ in whole] == [*range(1, len(whole) + 1)]
        assert (whole[-1][1], whole[-1][2]["answer"]) == ("result", "1")
        for after in range(1, len(whole) + 1):
            assert await events_of(client, place, after) == whole[after:]
        assert await events_of(client, place, headers={"Last-Event-ID": "2"}) == whole[2:]
        assert await events_of(client, place, 1, {"Last-Event-ID": "2"}) == whole[2:]


@each_store
async def test_followers_of_a_running_search_all_see_its_end() -> None:
    world, (gate,) = held("1")
    async with service(world) as client:
        id = (await begin(client))["id"]
        followers = [asyncio.create_task(events_of(client, id)) for _ in range(5)]
        await asyncio.sleep(0.05)
        gate.set()
        assert [(await follower)[-1][1] for follower in followers] == ["result"] * 5


@each_store
async def test_a_delete_stops_the_engines_and_says_so() -> None:
    world, _ = held("1")
    async with service(world) as client:
        id = (await begin(client))["id"]
        follower = asyncio.create_task(events_of(client, id))
        await until(lambda: world.policy.num_in_flight)
        stopped = (await client.delete(f"/solve/{id}")).json()
        assert (stopped["state"], stopped["result"], stopped["error"]) == ("cancelled", None, None)
        assert (world.policy.num_in_flight, world.policy.num_cancelled) == (0, 1)
        assert (await follower)[-1][1:] == ("error", (await follower)[-1][2])
        assert (await follower)[-1][2]["error"]["code"] == "search_cancelled"
        assert (await look(client, id))["state"] == "cancelled"
        assert (await client.delete(f"/solve/{id}")).json()["state"] == "cancelled"
        assert (await client.get(f"/solve/{id}")).status_code == 404


async def test_a_delete_reaches_the_engines_of_the_pair(
    client: httpx.AsyncClient, policy: EnginePolicy, verifier: WinnowPRM
) -> None:
    fields = {"problem": PROBLEM, "strategy": "beam_search", "n": 64, "early_stop": False}
    id = (await begin(client, **fields))["id"]
    await until(lambda: policy.engine.num_running_requests)
    assert (await client.delete(f"/solve/{id}")).json()["state"] == "cancelled"
    await until(lambda: not (policy.engine.num_running_requests or verifier.engine.num_running_requests), within_s=1)


@each_store
async def test_a_search_that_waits_leaves_the_queue_when_it_is_deleted() -> None:
    world, (gate,) = held("1")
    async with service(world, max_cost_in_flight=1024) as client:
        one, two = await begin(client), await begin(client)
        assert (await client.delete(f"/solve/{two['id']}")).json()["state"] == "cancelled"
        gate.set()
        await until_it_is(client, one["id"], "complete")
    assert world.policy.num_calls == 1


@each_store
async def test_a_finished_search_is_forgotten_by_a_delete_and_by_its_age() -> None:
    async with service(world_of("1"), background_keep_s=0.2) as client:
        one, two = await begin(client), await begin(client)
        for each in (one, two):
            await until_it_is(client, each["id"], "complete")
        assert (await client.delete(f"/solve/{one['id']}")).json()["state"] == "complete"
        assert (await client.get(f"/solve/{one['id']}")).status_code == 404
        async with asyncio.timeout(5):
            while (await client.get(f"/solve/{two['id']}")).status_code == 200:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)


@each_store
async def test_a_search_that_fails_says_why() -> None:
    world = world_of("1")
    world.policy.failures[r"\boxed{1}"] = EngineUnavailableError("gone")
    async with service(world) as client:
        id = (await begin(client))["id"]
        failed = await until_it_is(client, id, "failed")
        assert (failed["result"], failed["error"]["type"]) == (None, "server_error")
        (*_, (_, last, data)) = await events_of(client, id)
    assert (last, data["request_id"]) == ("error", id)


@each_store
async def test_a_search_that_is_refused_is_not_kept() -> None:
    world, _ = held("1")
    async with keeping(world, max_cost_in_flight=1024, max_queued=0) as (client, background):
        await begin(client)
        for fields, status in (({}, 429), ({"n": 0}, 422), ({"lookahead": 1}, 422)):
            assert (await client.post("/solve", json=BODY | fields)).status_code == status
        assert len(background) == 1


@each_store
async def test_only_the_key_that_asked_sees_it() -> None:
    world, (gate,) = held("1")
    async with service(world, api_keys=",".join(KEYS)) as client:
        own, others = ({"Authorization": f"Bearer {key}"} for key in KEYS)
        client.headers.update(own)
        id = (await begin(client))["id"]
        for method in ("GET", "DELETE"):
            refused = await client.request(method, f"/solve/{id}", headers=others)
            unknown = await client.request(method, f"/solve/{'0' * 32}", headers=others)
            assert (refused.status_code, refused.json()["error"]) == (404, unknown.json()["error"])
        gate.set()
        await until_it_is(client, id, "complete")


async def test_a_batch_refuses_the_background_by_name() -> None:
    async with service(world_of("1")) as client:
        (result,) = (await client.post("/solve/batch", json={"requests": [BODY]})).json()["results"]
    assert (result["http_status"], result["error"]["param"]) == (422, "background")


@pytest.mark.parametrize(("most", "allowed"), [("max_background_per_client", 2), ("max_background", 2)])
async def test_more_than_allowed_are_refused_by_name(most: str, allowed: int) -> None:
    async with keeping(world_of("1"), **{most: allowed}) as (client, background):
        kept = [await begin(client) for _ in range(allowed)]
        refused = await client.post("/solve", json=BODY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "background_full")
        assert int(refused.headers["retry-after"]) >= 1
        assert len(background) == allowed
        await until_it_is(client, kept[0]["id"], "complete")
        await client.delete(f"/solve/{kept[0]['id']}")
        await begin(client)


@each_store
async def test_one_client_cannot_fill_the_service_for_another() -> None:
    async with service(world_of("1"), api_keys=",".join(KEYS), max_background_per_client=2) as client:
        for key, statuses in zip(KEYS, ([202, 202, 429], [202]), strict=True):
            headers = {"Authorization": f"Bearer {key}"}
            found = [(await client.post("/solve", json=BODY, headers=headers)).status_code for _ in statuses]
            assert found == statuses


async def test_bytes_are_bounded_and_results_outlive_events() -> None:
    world = World(Tree(answer("1", 0.5)))
    async with keeping(world, max_background_bytes=65_536, max_events_bytes=65_536) as (client, background):
        kept = []
        for _ in range(60):
            kept.append((await begin(client, n=4, include=[]))["id"])
            await until(lambda: background._searches[kept[-1]].record.has_ended)
            assert background.num_bytes <= 65_536
        newest = await look(client, kept[-1])
        statuses = [(await client.get(f"/solve/{id}")).status_code for id in kept]
        held_bytes = sum(each.log.num_bytes for each in background._searches.values())
        assert held_bytes == background.num_bytes
    assert newest["result"]["answer"] == "1"
    assert statuses == sorted(statuses, reverse=True)  # the oldest are forgotten first
    assert statuses.count(200) > 10


async def test_events_that_were_dropped_are_a_410_by_name_and_the_result_stays() -> None:
    async with keeping(world_of("1"), max_events_bytes=1024) as (client, background):
        id = (await begin(client, n=16, early_stop=False))["id"]
        await until_it_is(client, id, "complete")
        last = background._searches[id].log.last
        for params, headers in (({}, {}), ({"starting_after": "1"}, {}), ({}, {"Last-Event-ID": "1"})):
            gone = await client.get(f"/solve/{id}", params={"stream": "true"} | params, headers=headers)
            assert (gone.status_code, gone.json()["error"]["code"]) == (410, "events_gone")
        assert [name for _, name, _ in await events_of(client, id, last - 1)] == ["result"]
        assert (await look(client, id))["result"]["answer"] == "1"


@pytest.mark.parametrize("id", ["0" * 32, "x", "..%2f..", "%00", "é", "a" * 5000, "batch", "estimate", "null"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_id_of_any_form_that_is_not_known_is_a_404(method: str, id: str) -> None:
    async with service(world_of("1")) as client:
        refused = await client.request(method, f"/solve/{id}")
    assert refused.status_code == 404
    assert "aaaa" not in refused.text


@pytest.mark.parametrize(
    ("query", "header", "param"),
    [
        ("stream=true", "two", "last-event-id"),
        ("stream=true", "-1", "last-event-id"),
        ("stream=true", "1.0", "last-event-id"),
        ("stream=true", "\u0661", "last-event-id"),
        ("stream=true", "9" * 400, "last-event-id"),
        ("stream=true", "999", "last-event-id"),
        ("stream=true&starting_after=999", None, "starting_after"),
        ("stream=true&starting_after=-1", None, "starting_after"),
        ("stream=true&starting_after=x", None, "starting_after"),
        (f"stream=true&starting_after={'9' * 400}", None, "starting_after"),
        ("starting_after=1", None, "starting_after"),
        ("", "1", "last-event-id"),
        ("stream=perhaps", None, "stream"),
        ("streaming=true", None, "streaming"),
    ],
)
async def test_a_place_in_the_stream_that_makes_no_sense_is_refused_by_name(
    query: str, header: str | None, param: str
) -> None:
    async with service(world_of("1")) as client:
        id = (await begin(client))["id"]
        await until_it_is(client, id, "complete")
        headers = [] if header is None else [(b"Last-Event-ID", header.encode())]
        refused = await client.get(f"/solve/{id}?{query}", headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, param)


@each_store
async def test_a_delete_while_it_ends_and_twice_at_once_leaves_one_end() -> None:
    world, (gate,) = held("1")
    async with keeping(world) as (client, background):
        for _ in range(20):
            gate.clear()
            id = (await begin(client))["id"]
            await until(lambda: world.policy.num_in_flight)
            gate.set()
            replies = await asyncio.gather(*(client.delete(f"/solve/{id}") for _ in range(3)))
            assert {reply.status_code for reply in replies} <= {200, 404}
            states = {reply.json()["state"] for reply in replies if reply.status_code == 200}
            assert states in ({"cancelled"}, {"complete"})
            for _ in range(2):
                await client.delete(f"/solve/{id}")
        assert (len(background), background.num_bytes, world.policy.num_in_flight) == (0, 0, 0)


async def test_thousands_of_searches_and_followers_who_never_read_are_held_off() -> None:
    world, _ = held("1")
    async with keeping(world, max_background_per_client=20) as (client, background):
        places = asyncio.Semaphore(100)  # as many connections as the client has: the others do not wait for one

        async def ask() -> httpx.Response:
            async with places:
                return await client.post("/solve", json=BODY)

        replies = await asyncio.gather(*(ask() for _ in range(1000)))
        assert sorted({reply.status_code for reply in replies}) == [202, 429]
        ids = [reply.json()["id"] for reply in replies if reply.status_code == 202]
        assert (len(ids), len(background)) == (20, 20)
        writers = []
        for id in ids:
            _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
            writer.write(f"GET /solve/{id}?stream=true HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            writers.append(writer)
        stopped = [(await client.delete(f"/solve/{id}")).json()["state"] for id in ids]
        for writer in writers:
            writer.close()
    assert stopped == ["cancelled"] * 20
    assert world.policy.num_in_flight == 0


@each_store
async def test_the_stop_of_the_service_ends_what_runs_in_the_background() -> None:
    world, _ = held("1")
    async with service(world, drain_s=1) as client:
        await begin(client)
        await until(lambda: world.policy.num_in_flight)
    assert (world.policy.num_in_flight, world.policy.num_cancelled) == (0, 1)


@each_store
async def test_a_follower_reads_to_the_end_while_the_service_stops() -> None:
    world, (gate,) = held("1")
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(service(world, drain_s=10))
        async with httpx.AsyncClient(base_url=client.base_url) as other:
            follower = asyncio.create_task(events_of(other, (await begin(client))["id"]))
            await until(lambda: world.policy.num_in_flight)
            await asyncio.sleep(0.05)
            stopping = asyncio.create_task(stack.aclose())
            await asyncio.sleep(0.2)
            assert not stopping.done()
            gate.set()
            assert (await follower)[-1][1] == "result"
            await stopping


async def test_it_counts_in_the_metrics_as_any_other() -> None:
    async with service(world_of("1")) as client:
        await until_it_is(client, (await begin(client))["id"], "complete")
        text = (await client.get("/metrics")).text
    assert 'winnow_searches_total{status="complete",strategy="majority"} 1.0' in text
    assert "winnow_background_searches 1.0" in text

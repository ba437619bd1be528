"""Several gateways that share a Redis: any of them answers for any search; one that dies takes only its own along."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from server.app import create_app
from server.keys import read_keys
from server.settings import Settings
from server.solving.background import Background
from server.solving.shared import Pace, SharedBackground
from tests.server.conftest import serving
from tests.server.scraping import scrape, total
from tests.server.services import service, world_of
from tests.server.stores import OwnRedis
from tests.server.test_background import KEYS, begin, events_of, look, parsed, until_it_is
from tests.server.test_idempotency import KEY, post
from tests.server.test_queue import ONE, held
from tests.waiting import until
from tests.worlds import World

FAST = Pace(tick_s=0.02)
DYING = Pace(tick_s=0.02, lease_s=0.5)


class Gateway(NamedTuple):
    client: httpx.AsyncClient
    store: SharedBackground
    world: World

    async def die(self) -> None:
        """Write no more, as one that was killed."""
        assert self.store._mirroring
        self.store._is_open = False
        self.store._mirroring.cancel()


@asynccontextmanager
async def gateway(redis: OwnRedis, world: World, pace: Pace = FAST, **fields: Any) -> AsyncIterator[Gateway]:
    settings = Settings(**fields)
    local = Background(settings, has_keys="api_keys" in fields)
    store = SharedBackground(local, redis.url, settings, has_keys="api_keys" in fields, pace=pace)
    app = create_app(world.models, (), settings, read_keys(settings), store=store)
    async with serving(app, settings) as client:
        yield Gateway(client, store, world)


@asynccontextmanager
async def two(redis: OwnRedis, world: World, **fields: Any) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """The gateway of a world, and one that has nothing to do."""
    async with gateway(redis, world, **fields) as owner, gateway(redis, world_of("2"), **fields) as other:
        yield owner, other


async def test_any_gateway_shows_and_follows_a_search_of_another(empty_redis: OwnRedis) -> None:
    world, (gate,) = held("1")
    async with two(empty_redis, world) as (owner, other):
        id = (await begin(owner.client))["id"]
        await until_it_is(other.client, id, "running")
        followers = [asyncio.create_task(events_of(each.client, id)) for each in (owner, other)]
        await asyncio.sleep(0.1)
        gate.set()
        own, elsewhere = [await follower for follower in followers]
        assert own == elsewhere
        assert elsewhere[-1][1] == "result"
        await until(lambda: len(owner.store) == 0)  # it is in Redis alone
        assert await look(owner.client, id) == await look(other.client, id)
        for after in range(1, len(own)):
            assert await events_of(other.client, id, after) == own[after:]
        assert (await other.client.delete(f"/solve/{id}")).json()["state"] == "complete"
        assert (await owner.client.get(f"/solve/{id}")).status_code == 404


async def test_a_delete_at_another_gateway_stops_the_engines(empty_redis: OwnRedis) -> None:
    world, _ = held("1")
    async with two(empty_redis, world) as (owner, other):
        id = (await begin(owner.client))["id"]
        await until(lambda: world.policy.num_in_flight)
        assert (await other.client.delete(f"/solve/{id}")).json()["state"] == "cancelled"
        assert (world.policy.num_in_flight, world.policy.num_cancelled) == (0, 1)


async def test_a_key_is_the_same_at_every_gateway(empty_redis: OwnRedis) -> None:
    world, (gate,) = held("1")
    async with two(empty_redis, world) as (owner, other):
        asked = [asyncio.create_task(post(owner.client))]
        await until(lambda: world.policy.num_in_flight)
        asked += [asyncio.create_task(post(each.client)) for each in (owner, other, other)]
        reused = await post(other.client, n=2)
        gate.set()
        replies = [(await each).json() for each in asked]
        again = await post(other.client)
    assert (reused.status_code, reused.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert [*replies[1:], again.json()] == [replies[0]] * 4
    assert (world.policy.num_calls, other.world.policy.num_calls) == (1, 0)


async def test_requests_with_one_key_at_once_are_one_search(empty_redis: OwnRedis) -> None:
    async with two(empty_redis, world_of("2")) as gateways:
        for number in range(5):
            key = {"Idempotency-Key": str(number)}
            replies = await asyncio.gather(*(post(each.client, key) for each in gateways for _ in range(4)))
            assert {reply.status_code for reply in replies} == {200}
            assert len({reply.json()["id"] for reply in replies}) == 1


async def test_who_waits_at_another_gateway_keeps_a_search_going(empty_redis: OwnRedis) -> None:
    world, (gate,) = held("1")
    async with two(empty_redis, world, resume_within_s=0.3) as (owner, other):
        gone = asyncio.create_task(post(owner.client))
        await until(lambda: world.policy.num_in_flight)
        back = asyncio.create_task(post(other.client))
        await asyncio.sleep(0.1)
        gone.cancel()
        await asyncio.sleep(0.6)
        gate.set()
        assert (await back).json()["answer"] == "1"


async def test_a_client_may_have_seen_more_at_the_owner_than_others_know(empty_redis: OwnRedis) -> None:
    world, (gate,) = held("1")
    async with two(empty_redis, world, pace=Pace(tick_s=0.5)) as (owner, other):
        id = (await begin(owner.client))["id"]
        seen = owner.store._local._searches[id].log.last
        resumed = asyncio.create_task(events_of(other.client, id, seen))
        await asyncio.sleep(0.1)
        gate.set()
        numbers = [number for number, _, _ in await resumed]
    assert numbers == [*range(seen + 1, numbers[-1] + 1)]


async def test_what_a_dead_gateway_ran_is_told_and_its_key_is_free(empty_redis: OwnRedis) -> None:
    world, _ = held("1")
    async with two(empty_redis, world, pace=DYING) as (owner, other):
        id = (await begin(owner.client))["id"]
        asked = asyncio.create_task(post(owner.client))
        await until(lambda: world.policy.num_in_flight == 2)
        follower = asyncio.create_task(events_of(other.client, id))
        joined = asyncio.create_task(post(other.client))
        await asyncio.sleep(0.1)
        await owner.die()
        lost = await until_it_is(other.client, id, "failed")
        assert lost["error"]["code"] == "gateway_lost"
        assert "send the request again" in lost["error"]["message"]
        assert lost["expires"] > lost["created"]
        (*_, (_, name, data)) = await follower
        assert (name, data["error"]["code"]) == ("error", "gateway_lost")
        told = await joined
        assert (told.status_code, told.headers["retry-after"]) == (503, "1")
        assert (await post(other.client)).json()["answer"] == "2"
        asked.cancel()


async def test_what_had_ended_outlives_its_gateway_and_what_runs_at_a_stop_is_told(empty_redis: OwnRedis) -> None:
    world, _ = held("9")
    async with gateway(empty_redis, world_of("2")) as other:
        async with gateway(empty_redis, world_of("1")) as owner:
            ended = (await begin(owner.client))["id"]
            await until_it_is(owner.client, ended, "complete")
        async with gateway(empty_redis, world, drain_s=0) as owner:
            running = (await begin(owner.client))["id"]
        assert (await look(other.client, ended))["result"]["answer"] == "1"
        assert parsed((await other.client.get(f"/solve/{ended}?stream=true")).text)[-1][1] == "result"
        assert (await look(other.client, running))["error"]["code"] == "gateway_lost"
    assert world.policy.num_in_flight == 0


@pytest.mark.parametrize("most", ["max_background_per_client", "max_background"])
async def test_searches_are_counted_together(empty_redis: OwnRedis, most: str) -> None:
    world, _ = held("1")
    async with two(empty_redis, world, **{most: 2}) as (owner, other):
        first = await begin(owner.client)
        await begin(other.client)
        for each in (owner, other):
            refused = await each.client.post("/solve", json=ONE | {"background": True})
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "background_full")
            assert int(refused.headers["retry-after"]) >= 1
        await other.client.delete(f"/solve/{first['id']}")
        await other.client.delete(f"/solve/{first['id']}")
        await begin(other.client)


async def test_keys_hold_at_every_gateway(empty_redis: OwnRedis) -> None:
    async with two(empty_redis, world_of("1"), api_keys=",".join(KEYS)) as (owner, other):
        own, others = ({"Authorization": f"Bearer {key}"} for key in KEYS)
        owner.client.headers.update(own)
        id = (await begin(owner.client))["id"]
        assert [(await other.client.get(f"/solve/{id}", headers=each)).status_code for each in (own, others)] == [
            200,
            404,
        ]


async def test_bytes_are_bounded_together_and_the_oldest_results_go_first(empty_redis: OwnRedis) -> None:
    async with two(empty_redis, world_of("1"), max_background_bytes=65_536, max_events_bytes=65_536) as gateways:
        kept = []
        for number in range(40):
            client = gateways[number % 2].client
            kept.append((await begin(client, n=4, include=[]))["id"])
            await until_it_is(client, kept[-1], "complete")
        await until(lambda: not any(map(len, (each.store for each in gateways))))
        await gateways[0].store._relieve()
        held_bytes = sum(each.num_bytes for each in await gateways[0].store.records.held())
        statuses = [(await gateways[1].client.get(f"/solve/{id}")).status_code for id in kept]
    assert held_bytes <= 65_536
    assert statuses == sorted(statuses, reverse=True)
    assert statuses[-1] == 200


async def test_every_gateway_shows_what_all_keep_and_what_runs_at_itself(empty_redis: OwnRedis) -> None:
    async with two(empty_redis, world_of("1")) as (owner, other):
        await until_it_is(owner.client, (await begin(owner.client))["id"], "complete")
        await until(lambda: len(owner.store) == 0)
        for each in (owner, other):
            await each.store._relieve()
            samples = await scrape(each.client)
            assert total(samples, "winnow_store_searches") == 1
            assert total(samples, "winnow_store_bytes") > 0
            assert total(samples, "winnow_background_searches") == 0


@pytest.fixture
def fragile_redis(empty_redis: OwnRedis) -> Any:
    """A Redis that a test may stop."""
    yield empty_redis
    empty_redis.process.send_signal(signal.SIGCONT)
    if empty_redis.process.poll() is not None:
        empty_redis.start()


@pytest.mark.parametrize("how", ["it hangs", "it is gone"])
async def test_without_the_store_what_needs_it_is_refused_soon_and_the_rest_goes_on(
    fragile_redis: OwnRedis, how: str
) -> None:
    world, (gate,) = held("1")
    async with two(fragile_redis, world, pace=Pace(tick_s=0.02, within_s=0.5)) as (owner, other):
        id = (await begin(owner.client))["id"]
        await until_it_is(other.client, id, "running")
        follower = asyncio.create_task(events_of(other.client, id))
        await asyncio.sleep(0.1)
        if how == "it hangs":
            fragile_redis.process.send_signal(signal.SIGSTOP)
        else:
            fragile_redis.stop()
        assert (await other.client.post("/solve", json=ONE)).json()["answer"] == "2"
        assert (await look(owner.client, id))["state"] == "running"
        since = time.monotonic()
        for ask in (begin_raw(other), other.client.get(f"/solve/{id}"), post(other.client)):
            refused = await ask
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
            assert refused.headers["retry-after"]
        assert time.monotonic() - since < 5
        assert (await other.client.get("/readyz")).status_code == 200
        if how == "it hangs":
            fragile_redis.process.send_signal(signal.SIGCONT)
        else:
            fragile_redis.start()
        gate.set()
        (*_, (_, name, data)) = await follower
        assert (name, data["answer"]) == ("result", "1")
        assert (await until_it_is(other.client, id, "complete"))["result"]["answer"] == "1"


async def begin_raw(gateway: Gateway) -> httpx.Response:
    return await gateway.client.post("/solve", json=ONE | {"background": True})


async def test_several_processes_without_a_store_refuse_what_needs_one_by_name() -> None:
    async with service(world_of("1"), workers=2, policy_url="http://a", verifier_url="http://b") as client:
        for headers, fields, param in (({}, {"background": True}, "background"), (KEY, {}, "idempotency-key")):
            refused = await post(client, headers, **fields)
            assert (refused.status_code, refused.json()["error"]["param"]) == (422, param)
            assert "store_url" in refused.json()["error"]["message"]
        assert (await post(client, {})).status_code == 200

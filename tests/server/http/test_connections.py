"""Connections are limited in number and in time; a health check is answered when all others are taken."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from asgi_correlation_id import correlation_id

from server.http.connections import Connection, Connections, Standing
from server.settings import Settings
from tests.server.services import queueing, service, world_of
from tests.server.sockets import connected, post, rest_of
from tests.waiting import until

KEY = "sk-0123456789abcdef"
SOLVE = post("/solve", b'{"problem": "1", "n": 1}')
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
CHUNKED = b"POST /solve HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"


def status_of(reply: bytes) -> int:
    return int(reply.split()[1])


def error_of(reply: bytes) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(reply.partition(b"\r\n\r\n")[2])["error"]
    return error


async def reply_to(client: httpx.AsyncClient, sent: bytes) -> bytes:
    """What comes back over a connection of its own, which is not kept alive."""
    return await rest_of(await connected(client, sent.replace(b"host: a", b"host: a\r\nconnection: close")))


async def dribble(connection: socket.socket, piece: bytes, pause_s: float) -> bytes:
    """Send piece after piece until the service closes the connection, and return what it has said."""
    reply = asyncio.create_task(rest_of(connection))
    while not (await asyncio.wait([reply], timeout=pause_s))[0]:
        with suppress(ConnectionResetError, BrokenPipeError):
            await asyncio.get_running_loop().sock_sendall(connection, piece)
    return await reply


@asynccontextmanager
async def all_taken(num: int, **fields: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A service with so many requests that do not end."""
    world = world_of("1")
    gate = world.policy.gates[r"\boxed{1}"] = asyncio.Event()
    async with queueing(world, **fields) as (client, admission):
        sockets = [await connected(client, SOLVE) for _ in range(num)]
        await until(lambda: admission.num_running == num)
        yield client
        gate.set()
        for each in sockets:
            each.close()


async def test_idle_connections_make_room_for_newcomers_without_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.getLogger("server").setLevel(logging.INFO)
    async with service(world_of("1"), max_connections=8) as client:
        idle = [await connected(client) for _ in range(50)]
        assert (await client.get("/healthz")).status_code == 200
        assert await rest_of(idle[0]) == b""
        for each in idle:
            each.close()
        assert not caplog.records
        assert (await client.post("/solve", json={"problem": "1", "n": 1})).status_code == 200


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\nhost:", CHUNKED + b"1\r\n1\r\n"], ids=["headers", "bodies"])
async def test_so_do_requests_that_are_not_whole(head: bytes) -> None:
    async with service(world_of("1"), max_connections=8) as client:
        unfinished = [await connected(client, head) for _ in range(50)]
        assert status_of(await reply_to(client, HEALTH)) == 200
        assert status_of(await reply_to(client, SOLVE)) == 200
        for each in unfinished:
            each.close()


async def test_a_health_check_is_answered_when_all_connections_are_taken_and_nothing_else() -> None:
    async with all_taken(4, max_connections=4) as client:
        assert [status_of(await reply_to(client, HEALTH)) for _ in range(3)] == [200, 200, 200]
        reply = await reply_to(client, SOLVE)
        assert (status_of(reply), error_of(reply)["code"]) == (503, "too_many_connections")
        assert b"retry-after: 1" in reply.lower()


async def test_idle_newcomers_do_not_take_the_place_of_a_health_check() -> None:
    async with all_taken(4, max_connections=4) as client:
        idle = [await connected(client) for _ in range(200)]
        assert status_of(await reply_to(client, HEALTH)) == 200
        for each in idle:
            each.close()


async def test_an_address_has_so_many_connections_without_a_key() -> None:
    async with all_taken(2, max_connections_per_client=2) as client:
        reply = await reply_to(client, SOLVE)
        assert (status_of(reply), error_of(reply)["code"]) == (429, "too_many_connections")
        assert status_of(await reply_to(client, HEALTH)) == 200


async def test_a_key_is_counted_apart_from_its_address() -> None:
    with_key = SOLVE.replace(b"host: a", b"host: a\r\nauthorization: Bearer " + KEY.encode())
    async with service(world_of("1"), max_connections_per_client=2, api_keys=KEY) as client:
        replies = [await reply_to(client, sent) for sent in (SOLVE, with_key, with_key, with_key)]
    assert [status_of(reply) for reply in replies] == [401, 200, 200, 200]


async def test_headers_that_dribble_are_a_408(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with service(world_of("1"), header_timeout_s=0.3) as client:
        reply = await dribble(await connected(client, b"GET /healthz HTTP/1.1\r\n"), b"a", 0.05)
    assert (status_of(reply), error_of(reply)["param"]) == (408, "headers")
    assert "refused unread status=408 client=127.0.0.1" in caplog.messages


async def test_a_connection_that_says_nothing_is_closed_without_a_word() -> None:
    async with service(world_of("1"), header_timeout_s=0.3) as client:
        assert await rest_of(await connected(client)) == b""


async def test_so_are_headers_that_dribble_after_another_request() -> None:
    async with service(world_of("1"), header_timeout_s=0.3) as client:
        connection = await connected(client, HEALTH)
        await asyncio.get_running_loop().sock_recv(connection, 4096)
        await asyncio.get_running_loop().sock_sendall(connection, b"GET")
        assert b"HTTP/1.1 408" in await rest_of(connection)


async def test_an_idle_connection_is_closed() -> None:
    async with service(world_of("1"), keep_alive_s=1) as client:
        assert (await rest_of(await connected(client, HEALTH))).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("fields", "pause_s"),
    [({"body_idle_s": 0.2}, 0.5), ({"body_timeout_s": 0.5}, 0.05)],
    ids=["with long pauses", "for too long"],
)
async def test_a_body_that_dribbles_is_a_408(fields: dict[str, float], pause_s: float) -> None:
    async with service(world_of("1"), **fields) as client:
        connection = await connected(client, CHUNKED)
        reply = await dribble(connection, b"1\r\n \r\n", pause_s)
    assert status_of(reply) == 408
    assert "arrives too slowly" in error_of(reply)["message"]


async def test_a_body_that_is_whole_has_no_limit_of_time() -> None:
    async with all_taken(1, body_idle_s=0.1, body_timeout_s=0.1, header_timeout_s=0.1):
        await asyncio.sleep(0.5)


async def test_a_body_that_goes_on_after_its_answer_is_cut_off() -> None:
    async with service(world_of("1")) as client:
        connection = await connected(client, CHUNKED.replace(b"POST /solve", b"GET /healthz"))
        reply = await dribble(connection, b"1\r\n \r\n", 0.1)
    assert reply.startswith(b"HTTP/1.1 200")


async def test_where_unfinished_bodies_hold_too_much_the_oldest_is_refused() -> None:
    limits = {"max_body_bytes": 10_000, "max_unfinished_body_bytes": 20_000}
    async with service(world_of("1"), **limits) as client:
        head = b"POST /solve HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9900\r\n\r\n"
        first = await connected(client, head + b" " * 9_800)
        others = [await connected(client, head + b" " * 9_800) for _ in range(2)]
        reply = await rest_of(first)
        assert (status_of(reply), b"retry-after: 1" in reply.lower()) == (503, True)
        assert status_of(await reply_to(client, SOLVE)) == 200
        for each in others:
            each.close()


async def test_a_length_and_chunks_together_are_refused_and_the_connection_closed() -> None:
    smuggled = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
    async with service(world_of("1")) as client:
        sent = CHUNKED.replace(b"transfer", b"content-length: 5\r\ntransfer") + smuggled
        reply = await rest_of(await connected(client, sent))
    assert (status_of(reply), error_of(reply)["param"]) == (400, "content-length")
    assert reply.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("url", ["/healthz?" + "a" * 50_000, "/" + "a" * 9_000, "/" + "%41" * 3_000])
async def test_a_url_has_a_limit_of_its_own(url: str) -> None:
    async with service(world_of("1")) as client:
        response = await client.get(url)
    assert response.status_code == 414
    assert response.json()["error"]["message"] == "url: too long; allowed: 8,192 bytes"


async def test_a_chunk_that_cannot_be_read_ends_the_request_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with service(world_of("1")) as client:
        reply = await rest_of(await connected(client, CHUNKED + b"no chunk\r\n"))
        late = await rest_of(
            await connected(client, CHUNKED.replace(b"POST /solve", b"GET /healthz") + b"no chunk\r\n"), within_s=3
        )
    assert (status_of(reply), status_of(late)) == (400, 400)
    assert not [record for record in caplog.records if record.exc_info]


REFUSED: dict[str, tuple[bytes, int]] = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "headers too large": (b"GET / HTTP/1.1\r\nhost: a\r\na: " + b"a" * 40_000, 431),
    "no such address": (b"GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n", 404),
    "no such method": (b"BREW /solve HTTP/1.1\r\nhost: a\r\n\r\n", 405),
    "no JSON": (post("/solve", b"{"), 400),
    "a wrong field": (post("/solve", b'{"problem": 1}'), 422),
    "another type": (post("/solve", b"{}").replace(b"application/json", b"text/plain"), 415),
    "too long a URL": (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 414),
    "too large a body": (b"POST /solve HTTP/1.1\r\nhost: a\r\ncontent-length: 9999999\r\n\r\n", 413),
}


@pytest.mark.parametrize(("sent", "status"), REFUSED.values(), ids=REFUSED)
async def test_every_refusal_leaves_one_line_with_its_request_id(
    caplog: pytest.LogCaptureFixture, sent: bytes, status: int
) -> None:
    logging.getLogger("server").setLevel(logging.INFO)
    ids: list[tuple[str, str]] = []
    caplog.handler.addFilter(remember_ids(ids))
    async with service(world_of("1")) as client:
        reply = await reply_to(client, sent)
    assert status_of(reply) == status
    body = json.loads(reply.partition(b"\r\n\r\n")[2])
    lines = [(text, each) for text, each in ids if f"status={status}" in text]
    assert [each for _, each in lines] == [body["request_id"]]
    assert f"x-request-id: {body['request_id']}".encode() in reply.lower()
    assert "BREW" not in caplog.text


def remember_ids(seen: list[tuple[str, str]]) -> Callable[[logging.LogRecord], bool]:
    """A filter that notes every line of ours and the id of its request."""

    def note(record: logging.LogRecord) -> bool:
        if record.name.startswith("server"):
            seen.append((record.getMessage(), correlation_id.get() or ""))
        return True

    return note


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/models", "/openapi.json"])
async def test_head_is_answered_as_get_without_a_body(path: str) -> None:
    async with service(world_of("1")) as client:
        head, get = await client.head(path), await client.get(path)
        refused = await client.head("/solve")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert refused.status_code == 405


async def test_methods_that_clients_invent_are_counted_as_one() -> None:
    async with service(world_of("1")) as client:
        for number in range(3):
            await client.request(f"BREW{number}", "/healthz")
        metrics = (await client.get("/metrics")).text
    assert 'method="other"' in metrics
    assert "BREW" not in metrics


async def test_a_request_id_is_taken_from_a_client_only_where_it_is_one() -> None:
    mine = "0123456789abcdef0123456789abcdef"
    async with service(world_of("1")) as client:
        asked = [mine, "urn:" * 500 + mine, f"{{{mine}}}", "-" * 400 + mine, "a b"]
        given = [
            (await client.get("/healthz", headers={"x-request-id": each})).headers["x-request-id"] for each in asked
        ]
    assert given[0] == mine
    assert {len(each) for each in given} == {32}
    assert len(set(given)) == 5


class Peer:
    """A connection that notes how it ended."""

    def __init__(self) -> None:
        self.why = ""

    def check(self, now: float) -> None: ...

    def cut_off(self, why: str) -> None:
        self.why = why


async def opened(connections: Connections, *hosts: str | None) -> list[tuple[Peer, Connection]]:
    peers = [Peer() for _ in hosts]
    return [(peer, connections.open(peer, host)) for peer, host in zip(peers, hosts, strict=True)]


async def test_room_is_made_by_the_address_that_has_the_most_idle_connections() -> None:
    seen = await opened(Connections(Settings(), 5), "10.0.0.1", *["10.0.0.2"] * 5)
    assert [bool(peer.why) for peer, _ in seen] == [False, True, False, False, False, False]
    assert all(connection.standing is Standing.WELCOME for _, connection in seen)


async def test_an_ipv6_network_is_one_client_and_a_trusted_proxy_none() -> None:
    settings = Settings(max_connections_per_client=1, trusted_proxies="10.0.0.9")
    connections = Connections(settings, 100)
    seen = await opened(connections, "2001:db8::1", "10.0.0.9", "10.0.0.9")
    for _, connection in seen:
        connections.stop_waiting(connection)
    ((_, neighbour), (_, proxied)) = await opened(connections, "2001:db8::2", "10.0.0.9")
    assert (neighbour.standing, proxied.standing) == (Standing.CROWDED, Standing.WELCOME)


async def test_nothing_is_left_of_connections_that_are_gone() -> None:
    connections = Connections(Settings(max_connections_per_client=3), 10)
    for _ in range(3):
        seen = await opened(connections, *["10.0.0.1"] * 5, *["10.0.0.2"] * 5, None)
        seen[-1][1].show_key()
        for _, connection in seen:
            connections.note_unread(connection, 1000)
            connections.close(connection)
    assert not any((connections._all, connections._waiting, connections._num_without_key, connections._unread))
    assert connections._num_unread == 0


def test_more_connections_than_descriptors_are_not_promised(caplog: pytest.LogCaptureFixture) -> None:
    assert Connections(Settings(max_connections=5_000), 700).most == 700
    assert "max_connections is 5000, but the limit of descriptors" in caplog.text

"""What is too large is refused before it costs anything, and the refusal says what is allowed."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from server.errors import RequestError
from server.schemas import SolveRequest
from server.settings import Settings
from server.solving.planning import cost_of, within
from tests.server.services import service, world_of

LIMITS = {
    "max_body_bytes": 10_000,
    "max_header_bytes": 2_000,
    "max_n": 8,
    "max_tokens": 100,
    "max_steps": 10,
    "max_deadline_s": 5.0,
    "max_cost": 2_000,
    "max_batch": 3,
}

TOO_MUCH = {
    # name: (fields, the field named, what is allowed)
    "a budget": ({"n": 9}, "n", "at most 8"),
    "tokens": ({"max_tokens": 101}, "max_tokens", "at most 100"),
    "steps": ({"max_steps": 11, "strategy": "dvts", "n": 4}, "max_steps", "at most 10"),
    "a deadline": ({"deadline_s": 5.5}, "deadline_s", "at most 5"),
    "a cost": ({"n": 8, "strategy": "dvts", "lookahead": 2}, "n", "2,400 tokens"),
}


@pytest.fixture(scope="module")
async def limited() -> AsyncIterator[httpx.AsyncClient]:
    async with service(world_of("1"), **LIMITS) as client:
        yield client


def body_of(size: int) -> bytes:
    """A request of so many bytes."""
    body = b'{"problem": "1", "n": 1}'
    return body + b" " * (size - len(body))


async def in_pieces(body: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """Without a length: httpx sends it chunked."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize(("fields", "param", "allowed"), TOO_MUCH.values(), ids=TOO_MUCH)
async def test_a_service_refuses_more_than_it_allows(
    limited: httpx.AsyncClient, fields: dict[str, Any], param: str, allowed: str
) -> None:
    response = await limited.post("/solve", json={"problem": "1", **fields})
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (422, param)
    assert allowed in error["message"]


@pytest.mark.parametrize("strategy", ["majority", "beam_search"])
async def test_what_a_request_leaves_open_is_made_to_fit(limited: httpx.AsyncClient, strategy: str) -> None:
    reply = (await limited.post("/solve", json={"problem": "1", "strategy": strategy})).json()
    assert (reply["strategy"]["n"], reply["strategy"]["max_tokens"]) == (8, 100)


async def test_the_default_that_this_service_shows_is_no_use_of_a_field(limited: httpx.AsyncClient) -> None:
    body = {"problem": "1", "strategy": "majority", "max_steps": 10}
    assert (await limited.post("/solve", json=body)).status_code == 200
    assert (await limited.post("/solve", json=body | {"max_steps": 9})).status_code == 422


def test_a_request_without_a_deadline_has_that_of_the_service() -> None:
    assert within(SolveRequest(problem="1"), Settings(max_deadline_s=5.0)).deadline_s == 5.0


def test_what_a_search_costs_is_bounded_by_the_context() -> None:
    fields = {"problem": "1", "strategy": "dvts", "n": 16, "max_tokens": 2048, "lookahead": 1}
    request = SolveRequest.model_validate(fields)
    assert cost_of(request, 1024, Settings()) == 16 * 1024 * 2
    assert cost_of(request, 8192, Settings()) == 16 * 2048 * 2
    with pytest.raises(RequestError, match="allowed: at most 100"):
        cost_of(request, 1024, Settings(max_cost=100))


@pytest.mark.parametrize("size", [9_999, 10_000])
async def test_a_body_as_large_as_allowed_is_read(limited: httpx.AsyncClient, size: int) -> None:
    whole = await limited.post("/solve", content=body_of(size), headers={"content-type": "application/json"})
    chunked = await limited.post(
        "/solve", content=in_pieces(body_of(size)), headers={"content-type": "application/json"}
    )
    assert (whole.status_code, chunked.status_code) == (200, 200)


@pytest.mark.parametrize("path", ["/solve", "/solve/batch", "/v1/answers/equivalent"])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_larger_one_is_a_413_with_a_length_and_without(
    limited: httpx.AsyncClient, path: str, is_chunked: bool
) -> None:
    content = in_pieces(body_of(10_001)) if is_chunked else body_of(10_001)
    response = await limited.post(path, content=content, headers={"content-type": "application/json"})
    assert (response.status_code, response.headers["connection"]) == (413, "close")
    assert response.json()["error"]["message"] == "body: too large; allowed: 10,000 bytes"
    assert response.json()["request_id"]


async def test_the_bound_of_a_body_is_2_mb_by_default() -> None:
    async with service(world_of("1")) as client:
        sizes = [2_000_000, 2_000_001]
        headers = {"content-type": "application/json"}
        replies = [
            await client.post("/solve", content=in_pieces(body_of(size), 65_536), headers=headers) for size in sizes
        ]
    assert [reply.status_code for reply in replies] == [200, 413]


async def exchange(url: str, request: bytes, pieces: list[bytes]) -> bytes:
    """Send bytes and return what comes back until the service closes the connection."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request)
    async with asyncio.timeout(10):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        reply = await reader.read()
    writer.close()
    return reply


async def test_a_body_that_never_ends_is_cut_while_it_streams(limited: httpx.AsyncClient) -> None:
    head = b"POST /solve HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    reply = await exchange(str(limited.base_url), head, [b"3e8\r\n" + b" " * 1000 + b"\r\n"] * 11)
    assert reply.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("length", ["10001", "999999999999999999999", "9" * 1000])
async def test_a_length_that_is_too_large_is_refused_before_the_body_comes(
    limited: httpx.AsyncClient, length: str
) -> None:
    head = f"POST /solve HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n".encode()
    reply = await exchange(str(limited.base_url), head, [])
    assert reply.split()[1] in (b"413", b"400")  # h11 itself refuses lengths of more than 20 digits


async def test_headers_that_are_too_large_are_a_431(limited: httpx.AsyncClient) -> None:
    response = await limited.get("/healthz", headers={"x-long": "a" * 2_000})
    assert response.status_code == 431


async def test_headers_that_never_end_are_cut_while_they_come(limited: httpx.AsyncClient) -> None:
    head = b"GET /healthz HTTP/1.1\r\nhost: a\r\n"
    reply = await exchange(str(limited.base_url), head, [b"x-a: " + b"a" * 100 + b"\r\n"] * 30)
    assert reply.startswith(b"HTTP/1.1 431")
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["error"]["param"] == "headers"


async def test_what_is_no_http_is_still_a_400(limited: httpx.AsyncClient) -> None:
    assert (await exchange(str(limited.base_url), b"hello\r\n\r\n", [])).startswith(b"HTTP/1.1 400")


async def test_the_service_answers_after_all_that(limited: httpx.AsyncClient) -> None:
    assert (await limited.post("/solve", json={"problem": "1", "n": 1})).status_code == 200

"""The typed client and servers that are no service of winnow, or a bad one: one error, and nothing given away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from server.clients.winnow_client import AsyncWinnow, Winnow, WinnowError
from tests.server.services import service, world_of
from tests.waiting import until

KEY = "sk-0123456789abcdef"
RESULT = b'event: result\ndata: {"answer": "1"}\n\n'
DEEP = b"[" * 100_000
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def replying(content: bytes = b"{}", status: str = "200 OK", kind: str = "application/json", **headers: str) -> Answer:
    head = {"content-type": kind, "content-length": str(len(content)), "connection": "close"} | headers
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in head.items()), "\r\n"]

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join(lines).encode() + content)

    return answer


def streaming(content: bytes, **headers: str) -> Answer:
    return replying(content, kind="text/event-stream", **headers)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ")
    while True:
        writer.write(b"[" * 65_536)
        await writer.drain()


@asynccontextmanager
async def server(*answers: Answer) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Its address and the heads of what it was asked; the last answer is given again and again."""
    heads, left = list[bytes](), list(answers)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        try:
            await (left.pop(0) if len(left) > 1 else left[0])(writer)
            await writer.drain()
        except ConnectionError:
            pass  # the client has left
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", heads


async def names(winnow: AsyncWinnow, **fields: Any) -> list[str]:
    return [event.name async for event in winnow.stream("?", **fields)]


async def test_a_line_of_an_event_ends_where_the_service_ends_it() -> None:
    problem = "?\u2028?\x85?\u2029?\x1c\x0b\x0c?שלום 👩‍👩‍👧‍👦 \u202e?"
    async with service(world_of("1")) as client, AsyncWinnow(str(client.base_url)) as winnow:
        start, *_, last = [event async for event in winnow.stream(problem, n=1, strategy="majority")]
    assert (start.data["problem"], last.data["answer"]) == (problem, "1")


@pytest.mark.parametrize(
    "answer",
    [
        replying(b"<html>", kind="text/html"),
        replying(b"[]"),
        replying(b'{"id": "1"}'),
        replying(DEEP),
        streaming(b"event: start\ndata: []\n\n"),
        streaming(b"event: start\ndata: {\n\n"),
        streaming(b"event: start\ndata: " + DEEP + b"\n\n"),
        streaming(b"event: \xff\ndata: {}\n\n"),
        streaming(b'event: error\ndata: {"a": 1}\n\n'),
        streaming(b'event: error\ndata: {"error": "no"}\n\n'),
        streaming(b"event: start\nid: " + b"9" * 9_000 + b"\ndata: {}\n\n"),
    ],
)
async def test_what_no_service_sends_is_an_error_that_says_so(answer: Answer) -> None:
    async with server(answer) as (url, _), AsyncWinnow(url) as winnow:
        for asking in (winnow.solve("?"), names(winnow)):
            with pytest.raises(WinnowError, match="is not a winnow service"):
                await asking


@pytest.mark.parametrize("content", [DEEP, b"nope", b'{"error": []}', b"[]", b'{"error": {"code": 1}}'])
async def test_a_refusal_in_other_words_is_told_by_its_status(content: bytes) -> None:
    async with server(replying(content, "422 No")) as (url, _), AsyncWinnow(url) as winnow:
        for asking in (winnow.solve("?"), names(winnow)):
            with pytest.raises(WinnowError, match="answers HTTP 422"):
                await asking


async def test_a_service_that_sends_without_end_is_left() -> None:
    async with server(endless) as (url, _), AsyncWinnow(url, max_reply_bytes=1_000_000) as winnow:
        for asking in (winnow.solve("?"), names(winnow)):
            with pytest.raises(WinnowError, match="sends more than 1,000,000 bytes"):
                await asyncio.wait_for(asking, 10)


@pytest.mark.parametrize("said", ["1000000000", "-1", "Fri, 31 Dec 2027 23:59:59 GMT", "9" * 500, "soon", "1e3"])
async def test_a_wait_that_nobody_has_patience_for_is_not_begun(said: str) -> None:
    busy = replying(b'{"error": {"message": "busy"}}', "429 Busy", **{"retry-after": said})
    async with server(busy) as (url, heads), AsyncWinnow(url) as winnow:
        with pytest.raises(WinnowError, match="busy"):
            await asyncio.wait_for(winnow.solve("?", idempotency_key="a-key"), 5)
    assert len(heads) == 1


@pytest.mark.parametrize("place", ["http://{other}/solve/1", "//{other}/solve/1", "/admin", "/solve/../admin"])
async def test_the_key_is_sent_to_no_other_address(place: str) -> None:
    async with server(streaming(RESULT)) as (other, strangers):
        elsewhere = place.format(other=other.removeprefix("http://"))
        sent_on, moved = streaming(b"", location=elsewhere), replying(status="307 Moved", location=elsewhere)
        for answer in (sent_on, moved):
            async with server(answer) as (url, heads), AsyncWinnow(url, KEY, resume_within_s=0) as winnow:
                with pytest.raises(WinnowError):
                    await names(winnow, background=True)
                assert {head.split()[1] for head in heads} == {b"/solve"}
    assert strangers == []


@pytest.mark.parametrize("key", [None, "a-key"])
async def test_an_address_where_nobody_answers_is_an_error_at_once(key: str | None) -> None:
    async with server(replying()) as (url, _):
        pass  # nobody listens there any more
    async with AsyncWinnow(url) as winnow:
        for asking in (
            winnow.solve("?", idempotency_key=key),
            names(winnow, idempotency_key=key),
            anext(winnow.follow("1")),
        ):
            with pytest.raises(WinnowError, match=f"{url}/? cannot be reached"):
                await asyncio.wait_for(asking, 5)
    with Winnow("no-scheme") as winnow_, pytest.raises(WinnowError, match="cannot be reached"):
        winnow_.solve("?", idempotency_key="a-key")


async def test_a_service_that_was_there_is_waited_for() -> None:
    async with server(streaming(b"", location="/solve/1")) as (url, heads):
        winnow = AsyncWinnow(url, resume_within_s=0.3, pause_s=0.01)
        following = asyncio.create_task(names(winnow, background=True))
        await until(lambda: len(heads) > 1)
    with pytest.raises(WinnowError):
        await asyncio.wait_for(following, 10)
    assert heads[1].startswith(b"GET /solve/1?stream=true")
    await winnow.close()


async def test_a_request_that_is_not_named_is_never_sent_twice() -> None:
    gone = replying(b"", "504 Gateway Timeout")
    cut = replying(b"{", **{"content-length": "100"})
    for answer in (gone, cut):
        async with server(answer) as (url, heads), AsyncWinnow(url) as winnow:
            with pytest.raises(WinnowError):
                await winnow.solve("?")
            with pytest.raises(WinnowError):
                await winnow.score("?", ["1"])
        assert len(heads) == 2


async def test_one_that_is_named_outlives_the_gateway_behind_a_proxy() -> None:
    begun = b'{"id": "1", "state": "queued", "created": 1.0, "expires": null, "result": null, "error": null}'
    gone = [replying(b"nope", status) for status in ("502 Bad Gateway", "503 Unavailable", "504 Gateway Timeout")]
    async with server(*gone, replying(begun)) as (url, heads), AsyncWinnow(url, pause_s=0.01) as winnow:
        assert (await winnow.background("?", idempotency_key="a-key")).id == "1"
    assert len(heads) == 4
    async with server(*gone, streaming(RESULT)) as (url, heads), AsyncWinnow(url, pause_s=0.01) as winnow:
        assert await names(winnow, idempotency_key="a-key") == ["result"]
    assert len(heads) == 4


async def test_tries_that_held_for_long_do_not_wear_patience_out() -> None:
    async def held(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)

    async with (
        server(held, held, held, held, streaming(RESULT)) as (url, heads),
        AsyncWinnow(url, resume_within_s=0.3, pause_s=0.01) as winnow,
    ):
        assert await names(winnow, idempotency_key="a-key") == ["result"]
    assert len(heads) == 5


@pytest.mark.parametrize("param", ["responses.999", "responses.1"])
def test_a_response_that_is_not_there_cannot_be_left_out(param: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise WinnowError("no", 422, param)

    winnow = Winnow("http://127.0.0.1:9")
    monkeypatch.setattr(winnow, "score", refuse)
    with pytest.raises(WinnowError, match="no"):
        winnow.rewards("?", ["1"])
    winnow.close()

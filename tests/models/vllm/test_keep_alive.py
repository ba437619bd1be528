"""Streams that have nothing to say get comments, and nothing else does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Message

from models.vllm.keep_alive import COMMENT, KeepAlive
from tests.waiting import until

EVERY_S = 0.02


async def bodies(response: Response, sent: list[bytes]) -> None:
    """Add to `sent` what a client of the response gets."""

    async def receive() -> Message:
        await asyncio.Event().wait()  # it never leaves
        raise AssertionError

    async def send(message: Message) -> None:
        assert b"" not in sent, "nothing may follow the end"
        if message["type"] == "http.response.body":
            sent.append(message["body"])

    await KeepAlive(response, EVERY_S)({"type": "http"}, receive, send)


async def test_a_stream_gets_comments_while_it_is_silent_and_none_behind_its_end() -> None:
    goes_on, sent = asyncio.Event(), list[bytes]()

    async def events() -> AsyncIterator[bytes]:
        await goes_on.wait()
        yield b"data: 1\n\n"

    streaming = asyncio.create_task(bodies(StreamingResponse(events(), media_type="text/event-stream"), sent))
    await until(lambda: len(sent) >= 2)
    goes_on.set()
    await streaming
    *comments, event, end = sent
    assert set(comments) == {COMMENT}
    assert (event, end) == (b"data: 1\n\n", b"")
    await asyncio.sleep(2 * EVERY_S)
    assert sent[-1] == end


async def test_a_stream_that_speaks_gets_none() -> None:
    sent = list[bytes]()

    async def events() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"data: 1\n\n"
            await asyncio.sleep(0.001)

    await bodies(StreamingResponse(events(), media_type="text/event-stream"), sent)
    assert COMMENT not in sent


async def test_an_answer_in_one_piece_and_a_stream_of_bytes_get_none() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"1"
        await asyncio.sleep(3 * EVERY_S)

    for response in (JSONResponse({"a": 1}), StreamingResponse(pieces(), media_type="application/zip")):
        sent = list[bytes]()
        await bodies(response, sent)
        assert COMMENT not in sent


async def test_a_stream_that_is_dropped_gets_no_more() -> None:
    sent = list[bytes]()

    async def events() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    streaming = asyncio.create_task(bodies(StreamingResponse(events(), media_type="text/event-stream"), sent))
    await until(lambda: sent)
    streaming.cancel()
    with suppress(asyncio.CancelledError):
        await streaming
    number = len(sent)
    await asyncio.sleep(3 * EVERY_S)
    assert len(sent) == number

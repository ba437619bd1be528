"""The typed client and searches that outlive their connection: begun, followed over broken connections, estimated."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from server.clients.winnow_client import AsyncWinnow, Event, Winnow, WinnowError
from tests.server.services import service, world_of
from tests.server.test_background import keeping
from tests.server.test_queue import held
from tests.waiting import until

FIELDS: dict[str, Any] = {"n": 1, "strategy": "majority"}


@asynccontextmanager
async def cutting(client: httpx.AsyncClient, *sizes: int) -> AsyncIterator[tuple[str, list[bytes]]]:
    """The address of a proxy that cuts connections off after so many bytes of replies each, and what it was sent."""
    left, heads, tasks = list(sizes), list[bytes](), set[asyncio.Task[None]]()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None) -> None:
        while piece := await reader.read(4096 if most is None else min(most, 4096)):
            writer.write(piece)
            await writer.drain()
            most = None if most is None else most - len(piece)
            if most == 0:
                break
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_service, to_service = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        to_service.write(head.replace(b"keep-alive", b"close"))
        task = asyncio.create_task(pass_on(reader, to_service, None))
        tasks.add(task)
        await pass_on(from_service, writer, left.pop(0) if left else None)
        task.cancel()
        to_service.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


def numbers(events: list[Event]) -> list[int | None]:
    return [event.id for event in events]


async def collected(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


def collect(url: str, **fields: Any) -> list[Event]:
    with Winnow(url) as winnow:
        return [*winnow.stream("?", **FIELDS, **fields)]


@pytest.mark.parametrize("fields", [{"background": True}, {"idempotency_key": "a-key"}])
@pytest.mark.parametrize("is_async", [True, False])
async def test_a_stream_that_breaks_goes_on_behind_the_last_event(fields: dict[str, Any], is_async: bool) -> None:
    async with service(world_of("1")) as client, cutting(client, 2_000, 1_500) as (url, heads):
        if is_async:
            async with AsyncWinnow(url) as winnow:
                events = await collected(winnow.stream("?", **FIELDS, **fields))
        else:
            events = await asyncio.to_thread(collect, url, **fields)
    assert numbers(events) == [*range(1, len(events) + 1)]
    assert (events[-1].name, events[-1].data["answer"]) == ("result", "1")
    assert [head.split(b" ")[0] for head in heads] == [b"POST", b"GET", b"GET"]


async def test_a_plain_stream_that_breaks_says_so() -> None:
    async with service(world_of("1")) as client, cutting(client, 2_000) as (url, _), AsyncWinnow(url) as winnow:
        with pytest.raises(WinnowError, match=r"cannot be reached|broke"):
            await collected(winnow.stream("?", **FIELDS))


async def test_a_service_that_stays_away_is_asked_once_a_second_and_given_up() -> None:
    async with (
        service(world_of("1")) as client,
        cutting(client, 2_000, *[1] * 100) as (url, heads),
        AsyncWinnow(url, resume_within_s=3.5) as winnow,
    ):
        with pytest.raises(WinnowError):
            await collected(winnow.stream("?", **FIELDS, background=True))
    assert 3 <= len(heads) <= 5  # the first, and one a second


async def test_a_request_with_a_key_is_sent_again_after_a_break_and_searched_once() -> None:
    world = world_of("1", "2")
    async with service(world) as client, cutting(client, 100) as (url, heads), AsyncWinnow(url) as winnow:
        solved = await winnow.solve("?", **FIELDS, idempotency_key="a-key")
        with pytest.raises(WinnowError, match="another body"):
            await winnow.solve("?", **FIELDS, seed=1, idempotency_key="a-key")
    assert (solved.answer, len(heads), world.policy.num_calls) == ("1", 3, 1)


async def test_a_background_search_is_begun_looked_at_followed_and_deleted() -> None:
    world, (gate,) = held("1")
    async with keeping(world) as (client, background), AsyncWinnow(str(client.base_url)) as winnow:
        begun = await winnow.background("?", **FIELDS)
        await until(lambda: world.policy.num_in_flight)
        assert ((await winnow.get(begun.id)).state, begun.result) == ("running", None)
        gate.set()
        events = await collected(winnow.follow(begun.id))
        assert numbers(await collected(winnow.follow(begun.id, after=2))) == numbers(events)[2:]
        found = await winnow.get(begun.id)
        assert found.result is not None
        assert (found.state, found.result.answer, events[-1].data["id"]) == ("complete", "1", begun.id)
        assert (await winnow.delete(begun.id)).state == "complete"
        with pytest.raises(WinnowError) as gone:
            await winnow.get(begun.id)
        assert (gone.value.status, gone.value.code, len(background)) == (404, "search_not_found", 0)


async def test_a_search_that_is_stopped_ends_its_stream_with_an_error() -> None:
    world, _ = held("1")
    async with keeping(world) as (client, _), AsyncWinnow(str(client.base_url)) as winnow:
        begun = await winnow.background("?", **FIELDS)
        await until(lambda: world.policy.num_in_flight)
        following = asyncio.create_task(collected(winnow.follow(begun.id)))
        await asyncio.sleep(0.05)
        assert (await winnow.delete(begun.id)).state == "cancelled"
        with pytest.raises(WinnowError) as stopped:
            await following
        assert stopped.value.code == "search_cancelled"


async def test_an_estimate_is_read() -> None:
    async with service(world_of("1")) as client, AsyncWinnow(str(client.base_url)) as winnow:
        before = await winnow.estimate("?", **FIELDS)
        await asyncio.gather(*(winnow.solve("?", **FIELDS) for _ in range(10)))
        after = await winnow.estimate("?", **FIELDS)
    assert (before.completion_tokens, before.queue_s) == (None, 0)
    assert after.completion_tokens is not None
    assert after.completion_tokens.expected == len(r"\boxed{1}")

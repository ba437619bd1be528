"""A client that does not read holds up nobody: not the queue, not the event loop, not others."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from models.openai.grammars.bounds import Asked
from server.app import create_app
from server.keys import Keyring
from server.settings import Settings
from server.solving.admission import Admission
from tests.natures import Tree, answer, step
from tests.server.conftest import POLICY_NAME, serving
from tests.server.sockets import connected, post, rest_of
from tests.waiting import until
from tests.worlds import World

EVENT = "data: " + "x" * 9_992 + "\n\n"
"""Of 10,000 bytes: a system keeps a few dozen of them for a reader that takes none."""
END_OF_CHUNKS = b"0\r\n\r\n"


class Talker:
    """A policy that says as many events as it is asked for, as fast as they are taken."""

    name = POLICY_NAME

    def __init__(self, num_events: int, pause_s: float = 0.0) -> None:
        self.num_events = num_events
        self.num_said = 0
        self.is_closed = False
        self._pause_s = pause_s

    async def chat(self, body: Mapping[str, Any], client: str = "") -> dict[str, Any] | AsyncGenerator[str, None]:
        return self._talk() if body.get("stream") else {"said": EVENT * self.num_events}

    async def complete(self, body: Mapping[str, Any], client: str = "") -> dict[str, Any] | AsyncGenerator[str, None]:
        return await self.chat(body)

    async def respond(self, body: Mapping[str, Any], client: str = "") -> dict[str, Any] | AsyncGenerator[str, None]:
        return await self.chat(body)

    async def try_grammar(self, asked: Asked, client: str = "", num_responses: int = 1) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def _talk(self) -> AsyncGenerator[str, None]:
        try:
            while self.num_said < self.num_events:
                await asyncio.sleep(self._pause_s)
                self.num_said += 1
                yield EVENT
        finally:
            self.is_closed = True


@asynccontextmanager
async def talking(talker: Talker, **fields: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Admission]]:
    settings, world = Settings(**{"keep_alive_s": 1, **fields}), World(Tree(answer("1", 0.5)))
    app = create_app(world.models, (), settings, Keyring(), plain=talker)
    async with serving(app, settings) as client:
        yield client, app.state.winnow.admission


def chat(*, stream: bool = True) -> bytes:
    body = {"model": POLICY_NAME, "messages": [{"role": "user", "content": "Talk."}], "stream": stream}
    return post("/v1/chat/completions", json.dumps(body).encode())


async def test_a_place_ends_with_the_generation_though_nothing_is_read() -> None:
    talker = Talker(500)
    async with talking(talker) as (client, admission):
        reader = await connected(client, chat())
        await until(lambda: talker.num_said == 500)
        await until(lambda: admission.in_flight == 0, within_s=1)
        assert (await rest_of(reader)).endswith(END_OF_CHUNKS)


async def test_a_stream_of_which_too_much_is_unread_is_cut_off_and_its_work_aborted() -> None:
    talker = Talker(10**6)
    async with talking(talker, max_unread_bytes=1_000_000) as (client, admission):
        reader = await connected(client, chat())
        await until(lambda: talker.is_closed)
        await until(lambda: admission.in_flight == 0)
        received = await rest_of(reader)
    assert talker.num_said * len(EVENT) < 3_000_000
    assert not received.endswith(END_OF_CHUNKS)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reader_that_takes_nothing_is_cut_off(stream: bool) -> None:
    talker = Talker(500)
    async with talking(talker, send_timeout_s=0.4) as (client, _):
        reader = await connected(client, chat(stream=stream))
        await asyncio.sleep(1.2)
        received = await rest_of(reader)
    assert 0 < len(received) < 500 * len(EVENT)


async def test_so_is_one_that_has_closed_its_own_side_and_its_work_is_aborted() -> None:
    talker = Talker(10**6, pause_s=0.001)
    async with talking(talker, send_timeout_s=0.4) as (client, admission):
        reader = await connected(client, chat())
        await until(lambda: talker.num_said)
        reader.shutdown(1)
        await until(lambda: talker.is_closed)
        await until(lambda: admission.in_flight == 0)
        reader.close()


async def test_a_slow_reader_gets_everything() -> None:
    async with talking(Talker(300, pause_s=0.001), send_timeout_s=1.0) as (client, _):
        reader, received = await connected(client, chat(), buffer_bytes=65_536), 0
        while received < 300 * len(EVENT):
            received += len(await asyncio.get_running_loop().sock_recv(reader, 200_000))
            await asyncio.sleep(0.03)
        reader.close()


async def test_of_all_that_leave_too_much_unread_the_largest_is_cut_off() -> None:
    talker = Talker(150)
    fields = {"max_unread_bytes": 1_800_000, "max_unread_bytes_in_all": 1_800_000}
    async with talking(talker, **fields) as (client, admission):
        first = await connected(client, chat())
        await until(lambda: talker.num_said == 150 and admission.in_flight == 0)
        talker.num_said = 50
        second = await connected(client, chat())
        await until(lambda: talker.num_said == 150 and admission.in_flight == 0)
        received = [await rest_of(reader) for reader in (first, second)]
    assert [each.endswith(END_OF_CHUNKS) for each in received] == [False, True]


async def test_a_searched_stream_that_nobody_reads_ends_with_its_search() -> None:
    world = World(Tree(step("a" * 200_000, 0.5, answer("1", 0.5))))
    world.policy.context = 10**6
    settings = Settings(send_timeout_s=0.4)
    app = create_app(world.models, (), settings, Keyring())
    body = {"problem": "1", "n": 8, "stream": True, "max_tokens": 100_000}
    async with serving(app, settings) as client:
        reader = await connected(client, post("/solve", json.dumps(body).encode()))
        admission = app.state.winnow.admission
        await until(lambda: world.policy.num_calls)
        await until(lambda: admission.in_flight == 0)
        await asyncio.sleep(1.2)
        received = await rest_of(reader)
    assert 0 < len(received) < 1_600_000
    assert not received.endswith(END_OF_CHUNKS)


async def test_others_are_answered_beside_readers_that_read_nothing_and_while_these_leave() -> None:
    talker = Talker(2_000)
    async with talking(talker) as (client, _):
        readers = [await connected(client, chat()) for _ in range(4)]
        await until(lambda: talker.num_said >= 2_000)
        for reader in readers:
            reader.close()
        async with asyncio.timeout(5):
            assert (await client.get("/healthz")).status_code == 200

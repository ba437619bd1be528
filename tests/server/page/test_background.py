"""A search that outlives its connection, on the page: found again after a reload, resumed, stopped."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from tests.natures import Tree, answer, step
from tests.server.page.test_solving import SHOWN, ask, finish
from tests.server.services import service
from tests.waiting import until
from tests.worlds import World

if TYPE_CHECKING:
    from playwright.async_api import Page

    Open = Callable[..., AbstractAsyncContextManager[Page]]


def halting() -> tuple[World, asyncio.Event]:
    """A world whose responses stop before their second step until the event is set."""
    world = World(Tree(step("first", 0.9, answer("1", 0.8)), step("other", 0.4, answer("1", 0.3))))
    world.policy.gates[r"\boxed{1}"] = gate = asyncio.Event()
    return world, gate


class Line:
    """A line to a service that can be cut and mended."""

    def __init__(self) -> None:
        self.is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        self.is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    async def carry(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            return writer.transport.abort()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer), return_exceptions=True)
        self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()


@asynccontextmanager
async def line_to(port: int) -> AsyncIterator[tuple[str, Line]]:
    line = Line()
    server = await asyncio.start_server(lambda reader, writer: line.carry(port, reader, writer), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", line


async def begin(page: "Page", world: World) -> None:
    await ask(page, "beam_search", n=4, beam_width=2)
    await until(lambda: world.policy.num_in_flight >= 4)
    await page.locator("canvas").wait_for()


async def test_a_search_is_found_again_after_a_reload(open_page: "Open") -> None:
    world, gate = halting()
    async with service(world) as client, open_page(str(client.base_url)) as page:
        await begin(page, world)
        await page.wait_for_url("**/#solve/*")
        await page.reload()
        await page.locator("canvas").wait_for()
        assert world.policy.num_cancelled == 0
        gate.set()
        await finish(page)
        shown = await page.evaluate(SHOWN)
    assert {node["id"] for node in shown["nodes"]} == {node["id"] for node in shown["reply"]["tree"]["nodes"]}
    assert shown["reply"]["answer"] == "1"


async def test_a_stream_that_is_cut_goes_on_behind_its_last_event(open_page: "Open") -> None:
    world, gate = halting()
    async with service(world) as client, line_to(client.base_url.port or 0) as (url, line), open_page(url) as page:
        await begin(page, world)
        line.cut()
        await page.get_by_text("The connection was lost. Resuming").wait_for()
        gate.set()
        line.is_cut = False
        await finish(page)
        shown = await page.evaluate(SHOWN)
    by_id = {node["id"]: node for node in shown["nodes"]}
    assert by_id == {node["id"]: node for node in shown["reply"]["tree"]["nodes"]}


async def test_stop_ends_the_search_itself(open_page: "Open") -> None:
    world, _ = halting()
    async with service(world) as client, open_page(str(client.base_url)) as page:
        await begin(page, world)
        await page.get_by_role("button", name="Stop").click()
        await until(lambda: not world.policy.num_in_flight)
        await page.get_by_text("Stopped.").wait_for()


async def test_a_search_that_is_no_longer_kept_is_said_to_be_gone(open_page: "Open") -> None:
    world, _ = halting()
    async with service(world) as client, open_page(f"{client.base_url}/#solve/nothing") as page:
        assert "does not keep this search" in await page.get_by_role("alert").inner_text()

"""axe-core finds nothing on any view: light and dark, wide and narrow, empty and full."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.server.page.test_compare import compare, finished
from tests.server.page.test_evaluate import file_of
from tests.server.page.test_solving import ask, finish
from tests.server.page.test_statistics import outcomes
from tests.server.page.worlds import branching
from tests.server.services import service

if TYPE_CHECKING:
    from playwright.async_api import Page

    Open = Callable[..., AbstractAsyncContextManager[Page]]

SIZES = {"wide": {"width": 1440, "height": 900}, "narrow": {"width": 375, "height": 740}}
SOUND = {"wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"}


@pytest.fixture
async def plain() -> AsyncIterator[httpx.AsyncClient]:
    async with service(branching()) as client:
        yield client


async def solving(page: "Page", client: httpx.AsyncClient) -> None:
    await ask(page, "beam_search", n=8)
    await finish(page)
    await page.locator("canvas").press("Home")
    await page.get_by_role("complementary", name="Step").wait_for()


async def outlined(page: "Page", client: httpx.AsyncClient) -> None:
    await solving(page, client)
    await page.get_by_role("button", name="Outline").click()


async def compared(page: "Page", client: httpx.AsyncClient) -> None:
    await compare(page, "The same N", "majority", "beam_search", n=4)
    await finished(page, 2)


async def replayed(page: "Page", client: httpx.AsyncClient) -> None:
    request = {"problem": "Compute (17 + 28) * 3 - 45.", "strategy": "dvts", "n": 8, "seed": 5}
    reply = (await client.post("/solve", json=request)).json()
    await give(page, "\n".join([json.dumps({"request": request, **reply})] * 3 + ["no JSON", ""]))
    await page.get_by_role("slider").wait_for()
    await page.get_by_text("The same search from code").click()


async def evaluated(page: "Page", client: httpx.AsyncClient) -> None:
    await give(page, file_of(outcomes()))
    await page.get_by_role("heading", name="Problem by problem").wait_for()


async def operated(page: "Page", client: httpx.AsyncClient) -> None:
    await client.post("/solve", json={"problem": "1 + 1", "n": 2, "strategy": "majority"})
    await page.get_by_role("heading", name="Searches since the start").wait_for()


async def give(page: "Page", text: str) -> None:
    file: Any = {"name": "file.jsonl", "mimeType": "", "buffer": text.encode()}
    await page.locator("input[type=file]").set_input_files(files=[file])


async def nothing(page: "Page", client: httpx.AsyncClient) -> None:
    await page.locator("h1").wait_for(state="attached")


STATES: dict[str, tuple[str, Callable[["Page", httpx.AsyncClient], Awaitable[None]]]] = {
    "solve": ("solve", solving),
    "outline": ("solve", outlined),
    "compare": ("compare", compared),
    "replay": ("replay", replayed),
    "evaluate": ("evaluate", evaluated),
    "now": ("now", operated),
    "empty solve": ("solve", nothing),
    "empty replay": ("replay", nothing),
    "empty evaluate": ("evaluate", nothing),
    "empty now": ("now", nothing),
}


@pytest.mark.parametrize("state", STATES)
async def test_axe_finds_nothing(plain: httpx.AsyncClient, open_page: "Open", state: str) -> None:
    """Colours matter to one rule alone, so that the others are run once."""
    from axe_playwright_python.async_playwright import Axe

    view, arrive = STATES[state]
    async with open_page(f"{plain.base_url}/#{view}", viewport=SIZES["wide"]) as page:
        await arrive(page, plain)
        for size in SIZES.values():
            await page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing is cut off
            for colours, rules, num_rules in (("light", sorted(SOUND), 10), ("dark", ["color-contrast"], 1)):
                await page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]  # one of both
                found = await Axe().run(page, options={"runOnly": rules})
                faults = [
                    (each["id"], [node["html"][:200] for node in each["nodes"]])
                    for each in found.response["violations"]
                ]
                assert faults == [], (size, colours)
                assert len(found.response["passes"]) >= num_rules  # it looked

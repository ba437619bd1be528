"""The view Now in a real browser: what the metrics say, behind a key where there is one."""

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import httpx

from tests.server.services import service, world_of

if TYPE_CHECKING:
    from playwright.async_api import Page

    Open = Callable[..., AbstractAsyncContextManager[Page]]

KEY = "sk-0123456789abcdef"


async def test_it_shows_the_queue_the_engines_and_how_searches_ended(
    client: httpx.AsyncClient, open_page: "Open"
) -> None:
    async with open_page(f"{client.base_url}/#now") as page:
        await page.get_by_role("heading", name="Engines").wait_for()
        await client.post("/solve", json={"problem": "Compute 7 + 5.", "n": 4, "strategy": "dvts", "beam_width": 2})
        metrics = (await client.get("/metrics")).text
        wanted = re.search(r'winnow_searches_total\{status="complete",strategy="dvts"\} ([\d.]+)', metrics)
        assert wanted
        number = f"{float(wanted[1]):,.0f}"
        row = page.locator("tr", has=page.get_by_role("rowheader", name="dvts", exact=True))
        await row.get_by_text(number, exact=True).wait_for()
        engines = await page.get_by_role("region", name="Engines").locator("tbody th").all_inner_texts()
        charts = [await chart.text_content() or "" for chart in await page.get_by_role("img").all()]
        await page.get_by_role("button", name="Pause").click()
        assert await page.get_by_role("button", name="Pause").get_attribute("aria-pressed") == "true"
    assert len(engines) == 2
    assert any("generated" in chart for chart in charts)


async def test_a_key_is_asked_for_and_sent(open_page: "Open") -> None:
    async with service(world_of("1"), api_keys=KEY) as plain, open_page(f"{plain.base_url}/#now") as page:
        await page.get_by_role("dialog").get_by_label("Key").fill(KEY)
        await page.get_by_role("button", name="Use it").click()
        await page.get_by_text("No search has ended yet").wait_for()
        assert await page.get_by_text("The engines of this service tell nothing").is_visible()


async def test_a_service_that_is_gone_is_told_in_words_and_read_again(open_page: "Open") -> None:
    async with service(world_of("1")) as plain, open_page(f"{plain.base_url}/#now") as page:
        await page.get_by_text("No search has ended yet").wait_for()
        await page.context.set_offline(True)
        await page.get_by_role("alert").wait_for()
        assert "cannot be reached" in await page.get_by_role("alert").inner_text()
        await page.context.set_offline(False)
        await page.get_by_role("alert").wait_for(state="detached")

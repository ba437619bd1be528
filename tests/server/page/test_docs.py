"""`/docs` in Chromium: drawn from the service alone, without a breach of the policy; a key is asked for and used."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from tests.server.services import service, world_of

KEY = "sk-0123456789abcdef"
Open = Callable[[str], AbstractAsyncContextManager[Any]]


async def solve_by_hand(page: Any) -> Any:
    """Open `POST /solve` and send its example as it stands; returns the reply that is shown."""
    await page.locator("#operations-solve-post_solve_solve_post button.opblock-summary-control").click()
    await page.locator("button.execute").click()
    return page.locator(".live-responses-table .response .highlight-code").first


async def test_the_interface_is_drawn_and_its_first_example_runs(open_page: Open) -> None:
    async with service(world_of("20")) as client, open_page(f"{client.base_url}/docs") as page:
        await page.locator(".opblock-summary-description", has_text="Search for the answer of a problem").wait_for()
        assert await page.locator("button.authorize").count() == 0
        reply = await solve_by_hand(page)
        await reply.wait_for()
        assert '"answer": "20"' in await reply.inner_text()


async def test_where_there_are_keys_one_is_asked_for_and_sent(open_page: Open) -> None:
    async with (
        service(world_of("20"), api_keys=KEY) as client,
        open_page(f"{client.base_url}/docs") as page,
    ):
        await page.get_by_text("This service asks for an API key.").wait_for()
        await page.get_by_label("API key").fill("sk-wrong")
        await page.get_by_role("button").click()
        await page.get_by_text("The service does not know this key.").wait_for()
        await page.get_by_label("API key").fill(KEY)
        await page.get_by_role("button").click()
        await page.locator("button.authorize.locked, button.authorize").first.wait_for()
        reply = await solve_by_hand(page)
        await reply.wait_for()
        assert '"answer": "20"' in await reply.inner_text()
        assert await page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0

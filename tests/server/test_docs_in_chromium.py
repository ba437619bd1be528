"""`/docs` in Chromium: drawn from the service alone, without a breach of the policy; a key is asked for and used."""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.server.services import service, world_of

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

KEY = "sk-0123456789abcdef"
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
WATCH = """
  window.violations = [];
  addEventListener("securitypolicyviolation", (event) =>
    window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
Open = Callable[[str], AbstractAsyncContextManager[Any]]


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Any]:
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
def open_page(browser: Any) -> Open:
    """Opens an address in a tab that fails for what breaks the policy, asks another host or throws."""

    @asynccontextmanager
    async def open_page(url: str) -> AsyncIterator[Any]:
        context = await browser.new_context()
        outside: list[str] = []
        failures: list[str] = []

        async def stay_at_home(route: Any) -> None:
            asked = route.request.url
            if urlsplit(asked).netloc == urlsplit(url).netloc or asked.startswith("data:"):
                await route.fallback()
            else:
                outside.append(asked)
                await route.abort()

        await context.route("**/*", stay_at_home)
        await context.add_init_script(WATCH)
        page = await context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: failures.append(str(error)))
        await page.goto(url)
        yield page
        assert await page.evaluate("window.violations") == []
        assert (outside, failures) == ([], [])
        await context.close()

    return open_page


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

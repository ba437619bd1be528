"""Chromium, and pages of it that watch themselves: what breaks the policy, asks other hosts or throws, fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.chromium import find_chromium

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Route

WATCH = """
  window.violations = [];
  addEventListener("securitypolicyviolation", (event) =>
    window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""

Open = "Callable[..., AbstractAsyncContextManager[Page]]"


@pytest.fixture(scope="session")
async def browser(request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """Debian's Chromium, or one that is there otherwise; skipped where there is none, unless `--browser` is given."""
    program = find_chromium()
    if program is None:
        reason = "there is no Chromium: tests/server/page/chromium.sh installs it where it may"
        if request.config.getoption("--browser"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Callable[..., AbstractAsyncContextManager[Page]]:
    """Opens an address in a tab of its own, with Playwright's options of a context."""

    @asynccontextmanager
    async def open_page(url: str, **options: Any) -> AsyncIterator[Page]:
        context = await browser.new_context(reduced_motion="reduce", **options)
        outside: list[str] = []
        failures: list[str] = []

        async def stay_at_home(route: Route) -> None:
            if urlsplit(route.request.url).netloc == urlsplit(url).netloc or route.request.url.startswith(
                ("data:", "blob:")
            ):
                await route.fallback()
            else:
                outside.append(route.request.url)
                await route.abort()

        await context.route("**/*", stay_at_home)
        await context.add_init_script(WATCH)
        page = await context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: failures.append(str(error)))
        await page.goto(url)
        yield page
        assert await page.evaluate("window.violations") == []
        assert outside == []
        assert failures == []
        await context.close()

    return open_page

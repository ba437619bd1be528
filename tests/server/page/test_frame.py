"""The page's frame in a real browser: without JavaScript, light and dark, on a phone, and what it draws."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pytest

from tests.natures import Tree, answer, step
from tests.server.page.test_solving import ask, finish
from tests.server.services import service, world_of
from tests.worlds import World

if TYPE_CHECKING:
    from playwright.async_api import Page

    Open = Callable[..., AbstractAsyncContextManager[Page]]

DARK, LIGHT = "rgb(20, 22, 26)", "rgb(251, 251, 249)"
TEX = r"So $x = \frac{1}{2}$ and \[ \sum_{k=1}^{3} k = 6 \] cost $5 and $6."
MARKUP = "element => [element.querySelectorAll('math').length, element.querySelectorAll('mfrac, munderover').length]"


async def test_without_javascript_it_is_a_text_that_says_how_to_ask(open_page: "Open") -> None:
    async with service(world_of("1")) as client, open_page(str(client.base_url), java_script_enabled=False) as page:
        text = await page.locator("noscript").inner_text()
        links = await page.locator("noscript a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
        assert [(await client.get(f"/{link}")).status_code for link in links] == [200, 200, 200]
    assert "needs JavaScript" in text
    assert "curl" in text


@pytest.mark.parametrize(("system", "colour"), [("light", LIGHT), ("dark", DARK)])
async def test_the_colours_are_the_systems_until_somebody_chooses(open_page: "Open", system: str, colour: str) -> None:
    from playwright.async_api import expect

    async with service(world_of("1")) as client, open_page(str(client.base_url), color_scheme=system) as page:
        switch, root = page.get_by_role("button", name="Colours"), page.locator("html")
        await expect(root).to_have_css("background-color", colour)
        for chosen in (LIGHT, DARK):
            await switch.click()
            await expect(root).to_have_css("background-color", chosen)
        await page.reload()
        await expect(root).to_have_css("background-color", DARK)


@pytest.mark.parametrize("width", [320, 390, 768, 1920])
async def test_nothing_reaches_out_of_the_screen(open_page: "Open", width: int) -> None:
    size = {"width": width, "height": 800}
    async with service(world_of("1", "2")) as client, open_page(str(client.base_url), viewport=size) as page:
        await ask(page, "best_of_n", n=4)
        await finish(page)
        await page.locator("canvas").press("Home")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_formulas_are_drawn_and_prices_are_not(open_page: "Open") -> None:
    world = World(Tree(step(TEX, 0.5, answer("6", 0.9))))
    async with service(world) as client, open_page(str(client.base_url)) as page:
        await ask(page, "best_of_n", n=1)
        await finish(page)
        await page.locator(".response summary").click()
        prose = page.locator(".response .prose")
        await prose.locator("math").nth(2).wait_for()
        drawn = await prose.evaluate(MARKUP)
        assert "cost $5 and $6." in await prose.inner_text()
    assert drawn == [3, 2]  # the boxed answer is the third


async def test_the_address_names_the_view(open_page: "Open") -> None:
    async with service(world_of("1")) as client, open_page(f"{client.base_url}/#compare") as page:
        assert await page.locator("nav [aria-current=page]").inner_text() == "Compare"
        await page.get_by_role("link", name="Solve").click()
        await page.locator("[name=problem]").wait_for()
        assert page.url.endswith("#solve")

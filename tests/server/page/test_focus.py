"""Who works by keyboard keeps the focus, and a browser that keeps or draws less than others is served all the same."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from tests.server.page.test_background import begin, halting
from tests.server.page.test_solving import ask, finish
from tests.server.services import service, world_of

if TYPE_CHECKING:
    from playwright.async_api import Page

    Open = Callable[..., AbstractAsyncContextManager[Page]]

KEY = "sk-0123456789abcdef"
KEEPS_NOTHING = """for (const name of ["sessionStorage", "localStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });"""
DRAWS_NOTHING = "() => { HTMLCanvasElement.prototype.getContext = () => { throw new Error('no canvas'); }; }"


async def focused(page: "Page") -> str:
    found: str = await page.evaluate("document.activeElement.innerText || document.activeElement.tagName")
    return found


async def test_the_button_keeps_the_focus_while_a_search_runs_and_gets_it_from_stop(open_page: "Open") -> None:
    world, _ = halting()
    async with service(world) as client, open_page(str(client.base_url)) as page:
        await begin(page, world)
        assert await focused(page) == "Solve"
        await page.get_by_role("button", name="Stop").click()
        await page.get_by_text("Stopped.").wait_for()
        assert await focused(page) == "Solve"


async def test_a_step_is_closed_by_escape_wherever_the_focus_is_and_gives_it_back(open_page: "Open") -> None:
    async with service(world_of("1")) as client, open_page(str(client.base_url)) as page:
        await ask(page, "majority", n=2)
        await finish(page)
        step = page.get_by_role("complementary", name="Step")
        await page.locator("canvas").press("Home")
        await step.get_by_role("button", name="Close").press("Escape")
        assert (await step.count(), await focused(page)) == (0, "CANVAS")
        await page.get_by_role("button", name="Outline").click()
        item = page.get_by_role("treeitem").first
        await item.press("Enter")
        await step.wait_for()
        await item.press("Escape")
        assert await step.count() == 0


async def test_a_browser_that_keeps_nothing_asks_for_the_key_and_solves(open_page: "Open") -> None:
    async with service(world_of("1"), api_keys=KEY) as client, open_page(str(client.base_url)) as page:
        await page.add_init_script(KEEPS_NOTHING)
        await page.reload()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Key").fill(KEY)
        await dialog.get_by_role("button", name="Use it").click()
        await ask(page, "majority", n=2)
        await finish(page)


async def test_a_link_that_leads_out_of_the_searches_is_refused_at_once(open_page: "Open") -> None:
    async with service(world_of("1")) as client, open_page(f"{client.base_url}/#solve/..") as page:
        assert "There is no search .." in await page.get_by_role("alert").inner_text()


async def test_a_view_that_cannot_be_drawn_says_so_and_the_others_go_on(open_page: "Open") -> None:
    async with service(world_of("1")) as client, open_page(str(client.base_url)) as page:
        await page.evaluate(DRAWS_NOTHING)
        await ask(page, "majority", n=2)
        await page.get_by_text("This view cannot be drawn: Error: no canvas").wait_for()
        await page.get_by_role("link", name="Replay").click()
        await page.get_by_role("heading", name="Replay").wait_for(state="attached")

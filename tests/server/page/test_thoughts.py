"""Thoughts on the page, in a real browser: apart from what is answered, and folded until somebody wants them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from tests.natures import Tree, answer, step
from tests.server.page.test_solving import ask, finish
from tests.server.services import service
from tests.worlds import World

if TYPE_CHECKING:
    from playwright.async_api import Page

    Open = Callable[..., AbstractAsyncContextManager[Page]]

THOUGHT = "Hm, what about this"


async def test_the_thoughts_of_a_step_are_folded_in_inspect_and_an_answer_is_not(open_page: "Open") -> None:
    world = World(Tree(step(THOUGHT, 0.5, answer("1", 0.9))), thinks=True)
    async with service(world) as client, open_page(str(client.base_url)) as page:
        await ask(page, "majority", n=1)
        await finish(page)
        canvas, shown = page.locator("canvas"), page.get_by_role("complementary", name="Step")
        await canvas.press("Home")
        thoughts = shown.get_by_text(THOUGHT)
        assert [await each.is_visible() for each in await thoughts.all()] == [False, False]  # the step, the response
        await shown.get_by_text("Thoughts", exact=True).click()
        await thoughts.first.wait_for(state="visible")
        await canvas.press("ArrowRight")
        assert await shown.get_by_text("Thoughts", exact=True).count() == 0

"""What can go wrong on the page, in a real browser on exact worlds: keys, full queues, refusals, hostile texts."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pytest

from tests.natures import Tree, answer, step
from tests.server.page.scripts import call
from tests.server.page.test_solving import ask, finish
from tests.server.services import queueing, service, world_of
from tests.waiting import until
from tests.worlds import World

if TYPE_CHECKING:
    from playwright.async_api import Page

    Open = Callable[..., AbstractAsyncContextManager[Page]]

KEY = "sk-0123456789abcdef"
COST = 1024

HOSTILE = {
    "script": "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>",
    "mathml": "<math><mtext><img src=x onerror='window.hacked = 1'></mtext></math>",
    "link": r"$\href{javascript:window.hacked=1}{click}$ [x](javascript:window.hacked=1)",
    "macros": r"$\def\a{\a\a}\a$ $\newcommand{\b}{\b\b}\b$",
    "nested": "$" + "{" * 400 + "x" + "}" * 400 + "$",
    "tall": "$" + r"\sqrt{" * 200 + "x" + "}" * 200 + "$",
    "wide": r"$\rule{9999em}{9999em}$ $\hspace{-500em}x$",
    "turned": "safe \u202egnihton\u202c \u2066\u200b\u200e",
    "template": "${alert(1)} {{7*7}} ` onload=window.hacked=1",
    "style": r"<style>*{display:none}</style> $\style{position:fixed}{x}$ $\class{top}{x}$",
}


async def test_a_key_is_asked_for_and_kept_for_the_tab(open_page: "Open") -> None:
    async with service(world_of("1"), api_keys=KEY) as client, open_page(str(client.base_url)) as page:
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Key").fill("not the key, but as long")
        await dialog.get_by_role("button", name="Use it").click()
        await page.get_by_text("does not know this key").wait_for()
        await dialog.get_by_label("Key").fill(KEY)
        await dialog.get_by_role("button", name="Use it").click()
        await ask(page, "majority", n=2)
        await finish(page)
        kept = await page.evaluate("[Object.values(sessionStorage), Object.values(localStorage)]")
        await page.reload()
        await page.locator("[name=strategy]").wait_for()
        assert await dialog.count() == 0
    assert KEY in kept[0]
    assert KEY not in kept[1]


async def test_a_service_that_can_keep_no_more_searches_runs_them_all_the_same(open_page: "Open") -> None:
    fields = {"problem": "1", "n": 1, "strategy": "majority", "background": True}
    async with service(world_of("1"), max_background_per_client=1) as client, open_page(str(client.base_url)) as page:
        (await client.post("/solve", json=fields)).raise_for_status()
        assert (await client.post("/solve", json=fields)).json()["error"]["code"] == "background_full"
        await ask(page, "majority", n=2)
        await finish(page)


def test_candidates_without_an_answer_are_not_those_whose_answer_is_called_so() -> None:
    votes = [{"answer": answer} for answer in (None, "none", "null")]
    assert len(set(call("votes", "({ keyOf }, votes) => votes.map(keyOf)", votes))) == 3


async def test_a_full_queue_is_counted_down_and_asked_again(open_page: "Open") -> None:
    world = world_of("1")
    gate = asyncio.Event()
    world.policy.gates[r"\boxed{1}"] = gate
    async with queueing(world, max_cost_in_flight=COST, max_queued=0) as (client, admission):
        first = asyncio.create_task(client.post("/solve", json={"problem": "1", "n": 1, "strategy": "majority"}))
        await until(lambda: admission.num_running)
        async with open_page(str(client.base_url)) as page:
            await ask(page, "majority", problem="1", n=1)
            await page.get_by_text("The queue is full.").wait_for()
            said = await page.get_by_role("alert").inner_text()
            gate.set()
            await first
            await finish(page)
    assert "Asking again in" in said


async def test_a_refusal_names_its_field(open_page: "Open") -> None:
    async with service(world_of("1")) as client, open_page(str(client.base_url)) as page:
        await ask(page, "beam_search", problem="1", n=8, beam_width=3)
        said = await page.get_by_role("alert").inner_text()
        assert await page.locator("[aria-invalid=true]").get_attribute("name") in ("n", "beam_width")
    assert "8" in said
    assert "3" in said


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_text_stays_text(open_page: "Open", text: str) -> None:
    world = World(Tree(step(text, 0.5, answer("1", 0.9)), step(f"more {text}", 0.4, answer("2", 0.2))))
    async with service(world) as client, open_page(str(client.base_url)) as page:
        elements = await page.locator(
            "main script, main img, main iframe, main style, main a[href^='javascript']"
        ).count()
        await ask(page, "best_of_n", problem=text, n=2)
        await finish(page)
        await page.locator(".response summary").click()
        shown = await page.locator(".response .prose").inner_text()
        await page.get_by_role("button", name="Outline").click()
        await page.get_by_role("treeitem").first.click()
        assert await page.evaluate("window.hacked") is None
        after = await page.locator("main script, main img, main iframe, main style, main a[href^='javascript']").count()
        assert await page.get_by_label("Problem", exact=True).input_value() == text
        said = await page.locator("form.problem").inner_text()
        width = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert elements == after == 0
    assert width <= 0
    assert not set("\u202e\u202c\u2066\u200b\u200e") & set(shown)
    if text == HOSTILE["turned"]:
        assert all(number in shown for number in ("U+202E", "U+202C", "U+2066", "U+200B", "U+200E"))
        assert "cannot be seen: U+202E, U+202C" in said
    if text == HOSTILE["script"]:
        assert text in shown

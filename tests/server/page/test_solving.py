"""The view Solve in a real browser, on the demo pair: what it draws is what the service found."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from models.policy.engine_policy import EnginePolicy
from models.prm.winnow import WinnowPRM
from tests.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import Page, Request

    Open = Callable[..., AbstractAsyncContextManager[Page]]

PROBLEM = "Compute (17 + 28) * 3 - 45."
STRATEGIES = ("auto", "majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts", "rebase", "deepconf")
SHOWN = """async () => {
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  const { story, laid } = document.querySelector("canvas").tree;
  const nodes = [...story.nodes.values()].map(({ id, parent, steps, tokens, score, state }) => ({
    id, parent, tokens, score, state,
    steps: steps.map(({ text, score, thinking }) => ({ text, score, thinking })),
  }));
  return { nodes, reply: story.result, cells: laid.cells.size };
}"""
"""What the page has drawn, and the reply that came with it."""


async def ask(page: "Page", strategy: str, problem: str = PROBLEM, **fields: Any) -> None:
    await page.get_by_label("Problem", exact=True).fill(problem)
    await page.locator("[name=strategy]").select_option(strategy)
    for label, value in fields.items():
        await page.locator(f"[name={label}]").fill(str(value))
    await page.get_by_role("button", name="Solve", exact=True).click()


async def finish(page: "Page") -> None:
    from playwright.async_api import expect

    await expect(page.locator(".verdict .why li").first).to_be_visible(timeout=60_000)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_tree_on_the_page_is_that_of_the_reply(
    client: httpx.AsyncClient, open_page: "Open", strategy: str
) -> None:
    async with open_page(str(client.base_url)) as page:
        await ask(page, strategy, n=8)
        await finish(page)
        shown = await page.evaluate(SHOWN)
        answer = await page.locator(".verdict .answer").first.inner_text()
    reply = shown["reply"]
    by_id = {node["id"]: node for node in shown["nodes"]}
    assert by_id == {node["id"]: node for node in reply["tree"]["nodes"]}
    steps = sum(max(1, len(node["steps"])) for node in reply["tree"]["nodes"])
    assert shown["cells"] == 1 + steps
    assert reply["strategy"]["name"] == strategy or strategy == "auto"
    assert answer == reply["answer"]


async def test_stop_stops_the_engines(
    client: httpx.AsyncClient, open_page: "Open", policy: EnginePolicy, verifier: WinnowPRM
) -> None:
    async with open_page(str(client.base_url)) as page:
        await ask(page, "beam_search", n=64)
        await until(lambda: policy.engine.num_running_requests)
        await page.get_by_role("button", name="Stop").click()
        await until(
            lambda: not (policy.engine.num_running_requests or verifier.engine.num_running_requests), within_s=2
        )
        await page.locator(".verdict .status", has_text="Stopped").wait_for()


async def test_a_step_is_inspected_by_keyboard_and_the_outline_holds_the_same(
    client: httpx.AsyncClient, open_page: "Open"
) -> None:
    async with open_page(str(client.base_url)) as page:
        await ask(page, "beam_search", n=8)
        await finish(page)
        shown = await page.evaluate(SHOWN)
        canvas = page.locator("canvas")
        await canvas.focus()
        await canvas.press("Home")
        step = page.get_by_role("complementary", name="Step")
        first = await step.locator("h2").inner_text()
        await canvas.press("ArrowRight")
        second = await step.locator("h2").inner_text()
        await canvas.press("Escape")
        assert await step.count() == 0
        await page.get_by_role("button", name="Outline").click()
        items = await page.get_by_role("treeitem").all_inner_texts()
    assert first.startswith("Step 1 ")
    assert second.startswith("Step 2 ")
    assert len(items) == len(shown["nodes"])
    assert any(shown["reply"]["answer"] in item for item in items)


async def test_steps_are_found_by_their_text(client: httpx.AsyncClient, open_page: "Open") -> None:
    from playwright.async_api import expect

    async with open_page(str(client.base_url)) as page:
        await ask(page, "best_of_n", n=4)
        await finish(page)
        shown = await page.evaluate(SHOWN)
        await page.get_by_label("Find in steps").fill("FINAL answer")
        hits = [step for node in shown["nodes"] for step in node["steps"] if "final answer" in step["text"].lower()]
        await expect(page.locator(".matches")).to_have_text(f"{len(hits)} found")
        await page.get_by_label("Find in steps").press("Enter")
        text = await page.get_by_role("complementary", name="Step").inner_text()
    assert hits
    assert "final answer" in text


async def test_only_the_fields_that_a_strategy_reads_are_sent(client: httpx.AsyncClient, open_page: "Open") -> None:
    sent: list[dict[str, Any]] = []

    def note(request: "Request") -> None:
        if request.url.endswith("/solve"):
            sent.append(json.loads(request.post_data or ""))

    async with open_page(str(client.base_url)) as page:
        page.on("request", note)
        await ask(page, "beam_search", n=8, beam_width=2)
        await finish(page)
        await ask(page, "majority")
        await finish(page)
    assert (sent[0]["strategy"], sent[0]["n"], sent[0]["beam_width"]) == ("beam_search", 8, 2)
    assert (sent[-1]["strategy"], sent[-1]["n"]) == ("majority", 8)
    assert "beam_width" not in sent[-1]

"""The view Compare in a real browser: searches side by side, at the same N or for the same tokens."""

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import httpx

from models.policy.engine_policy import EnginePolicy
from models.prm.winnow import WinnowPRM
from tests.server.page.worlds import branching
from tests.server.services import service
from tests.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import Page

    Open = Callable[..., AbstractAsyncContextManager[Page]]

PROBLEM = "Compute (17 + 28) * 3 - 45."
COLUMNS = """() => [...document.querySelectorAll(".column canvas")]
  .filter(({ tree }) => tree).map(({ tree: { story } }) => ({ nodes: story.nodes.size, reply: story.result }))"""


async def compare(page: "Page", equal: str, *ways: str, n: int = 8) -> None:
    """Ask for strategies side by side; N is the first one's."""
    await page.get_by_label("Problem").fill(PROBLEM)
    await page.get_by_label(equal).check()
    for place, strategy in enumerate(ways):
        if place >= 2:
            await page.get_by_role("button", name="Add a search").click()
        await page.locator(".way select").nth(place).select_option(strategy)
    await page.locator(".way input").first.fill(str(n))
    await page.get_by_role("button", name="Compare", exact=True).click()


async def finished(page: "Page", number: int) -> list[dict[str, Any]]:
    from playwright.async_api import expect

    await expect(page.get_by_role("button", name="Look closer")).to_have_count(number, timeout=120_000)
    columns: list[dict[str, Any]] = await page.evaluate(COLUMNS)
    return columns


async def rows(page: "Page") -> dict[str, list[str]]:
    table = page.locator("section", has_text="The differences").locator("table").last
    found = [await row.locator("th, td").all_inner_texts() for row in await table.locator("tbody tr").all()]
    return {name: cells for name, *cells in found}


async def test_three_strategies_at_the_same_n_show_their_trees_answers_and_bills(
    client: httpx.AsyncClient, open_page: "Open"
) -> None:
    async with open_page(f"{client.base_url}/#compare") as page:
        await compare(page, "The same N", "majority", "beam_search", "dvts")
        columns = await finished(page, 3)
        shown = await rows(page)
    replies = [column["reply"] for column in columns]
    assert [reply["strategy"]["name"] for reply in replies] == ["majority", "beam_search", "dvts"]
    assert {reply["strategy"]["n"] for reply in replies} == {8}
    assert [column["nodes"] for column in columns] == [len(reply["tree"]["nodes"]) for reply in replies]
    assert shown["Answer"] == [reply["answer"] for reply in replies]
    assert shown["Tokens generated"] == [f"{reply['usage']['completion_tokens']:,}" for reply in replies]
    spent = [reply["usage"]["completion_tokens"] + reply["usage"]["verifier_tokens"] for reply in replies]
    shares = [float(re.search("\u00d7 ([\\d.]+)", cell)[1]) for cell in shown["Generated and judged"][1:]]  # type: ignore[index]
    assert shares == [round(tokens / spent[0], 2) for tokens in spent[1:]]


async def test_for_the_same_tokens_the_first_search_bounds_the_others_and_words_say_how(
    client: httpx.AsyncClient, open_page: "Open"
) -> None:
    async with open_page(f"{client.base_url}/#compare") as page:
        await compare(page, "The same tokens", "weighted_best_of_n", "majority", n=8)
        first, second = [column["reply"] for column in await finished(page, 2)]
        words = await page.get_by_text("Equal tokens, generated and judged").inner_text()
    assert second["strategy"]["n"] > first["strategy"]["n"] == 8  # a majority judges nothing
    assert f"majority gets {second['strategy']['n']} candidates" in words
    spent = [reply["usage"]["completion_tokens"] + reply["usage"]["verifier_tokens"] for reply in (first, second)]
    assert 0.4 < spent[1] / spent[0] < 2.5  # an estimate of one problem's tokens


async def test_two_budgets_of_one_strategy_and_a_stop_that_stops_all(
    client: httpx.AsyncClient, open_page: "Open", policy: EnginePolicy, verifier: WinnowPRM
) -> None:
    async with open_page(f"{client.base_url}/#compare?problem=Compute%207%20%2B%205.") as page:
        assert await page.get_by_label("Problem").input_value() == "Compute 7 + 5."
        await page.get_by_label("Each its own N").check()
        for place, n in enumerate((64, 128)):
            await page.locator(".way select").nth(place).select_option("beam_search")
            await page.locator(".way input").nth(place).fill(str(n))
        await page.get_by_role("button", name="Compare", exact=True).click()
        await until(lambda: policy.engine.num_running_requests, within_s=60)
        await page.get_by_role("button", name="Stop").click()
        await until(
            lambda: not (policy.engine.num_running_requests or verifier.engine.num_running_requests), within_s=2
        )
        assert await page.locator(".column h2").all_inner_texts() == ["beam search, N = 64", "beam search, N = 128"]


async def test_a_column_is_looked_at_closely_and_the_comparison_is_still_there(
    client: httpx.AsyncClient, open_page: "Open"
) -> None:
    async with open_page(f"{client.base_url}/#compare") as page:
        await compare(page, "The same N", "majority", "best_of_n", n=4)
        columns = await finished(page, 2)
        await page.get_by_role("button", name="Look closer").last.click()
        await page.get_by_role("slider", name="Moment of the search").wait_for()
        assert await page.locator(".asked").inner_text() != ""
        reply = await page.evaluate("document.querySelector('.growth canvas').tree.story.result")
        await page.get_by_role("link", name="Compare").click()
        async with asyncio.timeout(10):
            while await page.evaluate(COLUMNS) != columns:  # until the canvases are drawn again
                await page.wait_for_timeout(50)
    assert reply["strategy"]["name"] == "best_of_n"


async def test_an_estimate_fits_the_budgets_before_anything_runs(open_page: "Open") -> None:
    from playwright.async_api import Route

    async def estimate(route: Route) -> None:
        asked: Any = route.request.post_data_json
        judged = 0 if asked["strategy"] == "majority" else 50 * asked["n"]
        tokens = {"completion_tokens": {"expected": 100 * asked["n"]}, "verifier_tokens": {"expected": judged}}
        await route.fulfill(json=tokens)

    async with service(branching()) as plain, open_page(f"{plain.base_url}/#compare") as page:
        await page.route("**/solve/estimate", estimate)
        await compare(page, "The same tokens", "best_of_n", "majority", "dvts", n=10)
        columns = await finished(page, 3)
        words = await page.get_by_text("Equal tokens, generated and judged").inner_text()
    assert [column["reply"]["strategy"]["n"] for column in columns] == [10, 15, 8]  # of 4 in DVTS
    assert "best of N with 10 candidates is expected to spend 1,500 tokens. By the service's estimate" in words
    assert "DVTS gets 8 candidates, which should spend 1,200" in words

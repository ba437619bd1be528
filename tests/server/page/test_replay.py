"""The view Replay in a real browser: files opened, time moved, searches saved and linked to."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.server.page.worlds import branching
from tests.server.services import service

if TYPE_CHECKING:
    from playwright.async_api import Page

    Open = Callable[..., AbstractAsyncContextManager[Page]]

REQUEST = {"problem": "Compute (17 + 28) * 3 - 45.", "strategy": "beam_search", "n": 8, "seed": 5}
DRAWN = """() => {
  const { story } = document.querySelector(".growth canvas").tree;
  return { nodes: [...story.nodes.keys()], state: story.state, votes: story.votes };
}"""
HOSTILE = (
    "<img src=x onerror=alert(1)><script>alert(2)</script> \u202e\u200b "
    "$\\def\\a{\\a\\a}\\a$ <math href='javascript:1'>"
)


@pytest.fixture
async def plain() -> AsyncIterator[httpx.AsyncClient]:
    async with service(branching()) as client:
        yield client


async def solved(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    reply: dict[str, Any] = (await client.post("/solve", json=REQUEST | fields)).raise_for_status().json()
    return reply


async def drawn(page: "Page", is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait for the canvas to show what is wanted, and return it."""
    for _ in range(200):
        found: dict[str, Any] = await page.evaluate(DRAWN)
        if is_wanted(found):
            return found
        await page.wait_for_timeout(50)
    pytest.fail(f"the canvas shows {found}")


async def give(page: "Page", text: str, name: str = "searches.jsonl") -> None:
    file: Any = {"name": name, "mimeType": "application/json", "buffer": text.encode()}
    await page.locator("input[type=file]").set_input_files(files=[file])


async def test_a_reply_of_the_command_line_is_drawn_and_scrubbed_by_rounds(
    plain: httpx.AsyncClient, open_page: "Open"
) -> None:
    reply = await solved(plain)
    async with open_page(f"{plain.base_url}/#replay") as page:
        await give(page, json.dumps(reply, indent=2), "reply.json")
        slider = page.get_by_role("slider", name="Moment of the search")
        await slider.wait_for()
        await drawn(page, lambda found: set(found["nodes"]) == {node["id"] for node in reply["tree"]["nodes"]})
        await slider.fill("1")
        roots = {node["id"] for node in reply["tree"]["nodes"] if "." not in node["id"]}
        await drawn(page, lambda found: set(found["nodes"]) == roots)
        assert "does not say what was asked" in await page.locator(".asked").inner_text()
        await slider.press("End")
        assert await page.locator(".verdict .answer").first.inner_text() == reply["answer"]


async def test_a_search_of_the_page_is_saved_with_its_events_and_opened_again(
    plain: httpx.AsyncClient, open_page: "Open", tmp_path: Path
) -> None:
    async with open_page(str(plain.base_url)) as page:
        await page.get_by_label("Problem", exact=True).fill(REQUEST["problem"])  # type: ignore[arg-type]
        await page.get_by_role("button", name="Solve", exact=True).click()
        async with page.expect_download() as waiting:
            await page.get_by_role("button", name="Save as a file").click(timeout=60_000)
        await (await waiting.value).save_as(tmp_path / "saved.jsonl")
        saved = json.loads((tmp_path / "saved.jsonl").read_text())
        await page.get_by_role("link", name="Replay").click()
        await page.locator("input[type=file]").set_input_files(tmp_path / "saved.jsonl")
        slider = page.get_by_role("slider", name="Moment of the search")
        await slider.wait_for()
        assert await slider.get_attribute("max") == str(len(saved["events"]))
        whole = await drawn(page, lambda found: len(found["nodes"]) == len(saved["tree"]["nodes"]))
        await slider.press("Home")
        await drawn(page, lambda found: found["nodes"] == [])
        await slider.press("ArrowRight")
        await page.get_by_label("Speed").select_option("16")
        await page.get_by_role("button", name="Play").click()
        again = await drawn(page, lambda found: found["state"] == "complete")
    assert saved["request"]["problem"] == REQUEST["problem"]
    assert again == whole
    assert sorted(whole["nodes"]) == sorted(node["id"] for node in saved["tree"]["nodes"])


async def test_files_of_many_searches_are_listed_and_bad_lines_told(
    plain: httpx.AsyncClient, open_page: "Open"
) -> None:
    reply = await solved(plain, include=["candidates"])
    lines = [json.dumps({"request": REQUEST | {"problem": f"Problem {place}"}, **reply}) for place in range(60)]
    lines[7:7] = ["no JSON", '{"line": 8, "request": {}, "error": "refused"}']
    async with open_page(f"{plain.base_url}/#replay") as page:
        await give(page, "\n".join(lines))
        told = await page.get_by_role("alert").inner_text()
        assert await page.get_by_role("heading", name="60 searches").is_visible()
        await page.locator(".pages").get_by_role("button", name="Next").click()
        assert "26 to 50 of 60" in await page.locator(".pages").inner_text()
        await page.get_by_label("Find a problem").fill("problem 59")
        await page.get_by_role("button", name="Problem 59").click()
        assert "Problem 59" in await page.locator(".asked").inner_text()
        await give(page, json.dumps({"made": {}}) + "\n", "outcomes.jsonl")
        await page.get_by_text("open it under Evaluate").wait_for()
        await page.get_by_role("heading", name="60 searches").wait_for()
    assert "searches.jsonl, line 8: not JSON" in told
    assert "searches.jsonl, line 9: it has no reply: refused" in told


async def test_files_are_dropped_anywhere(plain: httpx.AsyncClient, open_page: "Open") -> None:
    reply = await solved(plain)
    drop = """(text) => {
      const transfer = new DataTransfer();
      for (let place = 0; place < 9; place++) transfer.items.add(new File([text], `dropped-${place}.json`));
      const drop = new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
      document.body.dispatchEvent(drop);
    }"""
    async with open_page(f"{plain.base_url}/#replay") as page:
        await page.locator(".opener").wait_for()
        await page.evaluate(drop, json.dumps(reply))
        await page.get_by_role("slider", name="Moment of the search").wait_for()
        assert "dropped-0.json" in await page.locator(".asked").inner_text()
        await page.get_by_text("The first 8 of 9 files were opened.").wait_for()


async def test_what_a_file_says_never_becomes_markup(plain: httpx.AsyncClient, open_page: "Open") -> None:
    reply = await solved(plain)
    for node in reply["tree"]["nodes"]:
        node["steps"] = [step | {"text": HOSTILE} for step in node["steps"]]
    hostile = reply | {"answer": HOSTILE, "response": HOSTILE, "status_reason": HOSTILE}
    hostile["votes"] = [vote | {"answer": HOSTILE} for vote in reply["votes"]]
    hostile["diagnostics"]["warnings"] = [HOSTILE]
    line = json.dumps({"request": REQUEST | {"problem": HOSTILE}, **hostile, "gold": [HOSTILE]})
    async with open_page(f"{plain.base_url}/#replay") as page:
        await give(page, f'{line}\n{line}\n{{"{HOSTILE[:20]}": 1}}')
        await page.locator(".opened").wait_for()
        await page.get_by_role("button", name="Outline").click()
        assert await page.locator("#page img, #page script, #page math[href]").count() == 0
        text = await page.locator("#page").inner_text()
        assert "\u202e" not in text
        assert "<script>alert(2)</script>" in text


async def test_code_and_a_link_are_offered_for_a_search(plain: httpx.AsyncClient, open_page: "Open") -> None:
    reply = await solved(plain)
    line = json.dumps({"request": REQUEST, **reply})
    async with open_page(f"{plain.base_url}/#replay", permissions=["clipboard-read", "clipboard-write"]) as page:
        await give(page, line)
        await page.get_by_text("The same search from code").click()
        await page.get_by_label("Python, openai").check()
        code = await page.locator("pre.code").inner_text()
        await page.get_by_role("button", name="Copy a link to the filled form").click()
        link = await page.evaluate("navigator.clipboard.readText()")
    assert "from openai import OpenAI" in code
    async with open_page(link) as page:
        field = page.get_by_label("Problem", exact=True)
        await field.wait_for()
        filled = [
            await field.input_value(),
            await page.get_by_role("combobox", name="Strategy", exact=True).input_value(),
        ]
        filled.append(await page.locator("[name=n]").input_value())
        await page.wait_for_timeout(300)
        started = await page.locator(".verdict").count()
    assert filled == [REQUEST["problem"], "beam_search", "8"]
    assert started == 0  # a link fills the form, and never starts a search


async def test_a_link_says_what_the_form_has_no_field_for(plain: httpx.AsyncClient, open_page: "Open") -> None:
    address = f"{plain.base_url}/#solve?problem=1%20%2B%201&strategy=dvts&n=8&seed=3&lookahead=2&system_prompt=Think."
    async with open_page(address) as page:
        await page.get_by_text("The link also gives system_prompt").wait_for()
        filled = {
            name: await page.locator(f"[name={name}]").input_value() for name in ("problem", "n", "seed", "lookahead")
        }
    assert filled == {"problem": "1 + 1", "n": "8", "seed": "3", "lookahead": "2"}


async def test_a_service_without_a_policy_offers_no_code_that_would_ask_it(open_page: "Open") -> None:
    async with service(branching()) as searching:
        saved = json.dumps({"request": REQUEST, **await solved(searching)})
    async with service(branching(), policy_model="none") as client, open_page(f"{client.base_url}/#replay") as page:
        await give(page, saved)
        await page.get_by_role("heading", name="Save and share").wait_for()
        assert await page.get_by_text("The same search from code").count() == 0

"""The view Evaluate in a real browser: what it shows of a file is what `winnow eval` prints for it."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from search.evaluation import tables
from search.evaluation.outcomes import Outcome, read_evaluation
from search.evaluation.report import Report
from tests.server.page.test_statistics import outcomes
from tests.server.services import service, world_of

if TYPE_CHECKING:
    from playwright.async_api import Page

    Open = Callable[..., AbstractAsyncContextManager[Page]]

HEAD = {"made": {"policy": "demo/policy", "verifier": "demo/prm"}, "told": {}}


@pytest.fixture
async def plain() -> AsyncIterator[httpx.AsyncClient]:
    """A service that is asked for nothing but its page."""
    async with service(world_of("1")) as client:
        yield client


def file_of(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in [HEAD, *records])


async def give(page: "Page", **texts: str) -> None:
    files = [{"name": f"{name}.jsonl", "mimeType": "", "buffer": text.encode()} for name, text in texts.items()]
    await page.locator("input[type=file]").set_input_files(files=files)  # type: ignore[arg-type]


async def choose(page: "Page", label: str, option: str) -> None:
    await page.get_by_role("combobox", name=label, exact=True).select_option(option)


async def table(page: "Page", name: str) -> list[list[str]]:
    rows = page.get_by_role("region", name=name, exact=True).locator("tbody tr")
    await rows.first.wait_for()
    return [await row.locator("th, td").all_inner_texts() for row in await rows.all()]


async def test_the_tables_are_those_of_winnow_eval(plain: httpx.AsyncClient, open_page: "Open", tmp_path: Path) -> None:
    text = file_of(outcomes())
    (tmp_path / "run.jsonl").write_text(text)
    report = Report(read_evaluation(tmp_path / "run.jsonl").outcomes)
    async with open_page(f"{plain.base_url}/#evaluate") as page:
        await give(page, run=text)
        accuracy, costs = await table(page, "Accuracy"), await table(page, "Cost")
        passed = await table(page, "pass@k")
        charts = await page.get_by_role("img").all()
        assert len(charts) == 2
    assert accuracy == cells(tables.accuracy_table(report, ""))[: len(accuracy)]
    assert costs == cells(tables.cost_table(report))
    assert [row[1:] for row in passed] == [row[1:] for row in cells(tables.pass_table(report))]


def cells(table: Any) -> list[list[str]]:
    """The rows of a table that `winnow eval` prints; hashes of long values are not shown on the page."""
    return [
        [str(cell).split(" #")[0] for cell in row]
        for row in zip(*(column.cells for column in table.columns), strict=True)
    ]


async def test_a_level_is_chosen_and_two_files_are_compared(plain: httpx.AsyncClient, open_page: "Open") -> None:
    records = outcomes()
    better = [record | {"is_correct": True} for record in records]
    async with open_page(f"{plain.base_url}/#evaluate") as page:
        await give(page, run=file_of(records), better=file_of(better))
        await choose(page, "Problems", "level 2")
        accuracy = {row[0]: row[1:] for row in await table(page, "Accuracy")}
        await choose(page, "This", "dvts@16 · better.jsonl")
        await choose(page, "less that", "dvts@16 · run.jsonl")
        said = await page.locator("section", has=page.get_by_role("heading", name="Difference")).inner_text()
        await page.get_by_role("button", name="Close better.jsonl").click()
        assert (await table(page, "Accuracy"))[0][0] == "greedy"
    assert accuracy["dvts · better.jsonl"][-1] == "100.0 (100.0 to 100.0)"
    wrong = [
        record for record in records if (record["strategy"], record["n"]) == ("dvts", 16) and not record["is_correct"]
    ]
    assert f"+{100 * len(wrong) / 120:.1f} (" in said


async def test_problems_are_filtered_and_lead_to_their_trees(plain: httpx.AsyncClient, open_page: "Open") -> None:
    request = {"problem": "1 + 1", "strategy": "best_of_n", "n": 2, "seed": 0}
    reply = (await plain.post("/solve", json=request)).json()
    told = [
        Outcome("1 + 1", None, name, n, 0, answer, answer == "1", 9).as_record()
        for name, n, answer in (("best_of_n", 2, "1"), ("majority", 1, "7"))
    ] + [
        Outcome(f"{place} + 2", None, name, 2, 0, "5", True, 9).as_record()
        for place in range(30)
        for name in ("best_of_n",)
    ]
    async with open_page(f"{plain.base_url}/#evaluate") as page:
        await give(page, run=file_of(told), searches=json.dumps({"request": request, **reply, "gold": ["1"]}) + "\n")
        await choose(page, "First", "best_of_n@2")
        await choose(page, "Second", "majority@1")
        assert "31 of 31 problems" in await page.locator("section", has_text="Problem by problem").inner_text()
        await choose(page, "Show", "the first right, the second wrong")
        (row,) = await table(page, "Problem by problem")
        await page.get_by_role("button", name="tree of 1 + 1").click()
        await page.get_by_role("slider", name="Moment of the search").wait_for()
        asked = await page.locator(".asked").inner_text()
    assert row[0] == "1 + 1"
    assert ("right" in row[2], "wrong" in row[3]) == (True, True)
    assert "the right answer is 1" in asked


async def test_bad_files_are_told_in_words(plain: httpx.AsyncClient, open_page: "Open") -> None:
    async with open_page(f"{plain.base_url}/#evaluate") as page:
        await give(page, bad=file_of([{"n": 1}]), empty="", none=file_of([]))
        told = await page.get_by_role("alert").inner_text()
    assert "bad.jsonl, line 2: no answer, completion_tokens" in told
    assert "empty.jsonl, line 1: does not say how it was made" in told
    assert "none.jsonl holds no outcomes yet" in told


async def test_outcomes_without_a_token_have_no_place_on_a_logarithmic_axis(
    plain: httpx.AsyncClient, open_page: "Open"
) -> None:
    free = [each | {"completion_tokens": 0, "verifier_tokens": 0} for each in outcomes()]
    async with open_page(f"{plain.base_url}/#evaluate") as page:
        await give(page, run=file_of(free))
        assert await table(page, "Accuracy")
        said = await page.locator("main").inner_text()
        assert "NaN" not in said + await page.locator("main").inner_html()
    assert "Difference" in said

"""`strategy: "auto"` on the demo pair and its bundled table, over HTTP."""

import asyncio
from typing import Any

import httpx
import pytest

from models.training.demo.tasks.stream import held_out_problems
from search.calibration.table import Calibrated
from server.identity import load_calibration
from server.settings import Settings
from tests.server.services import service, world_of

PROBLEMS = [record.problem for record in held_out_problems(0, 40)]


@pytest.fixture(scope="module")
def table() -> Calibrated:
    return load_calibration(Settings())


async def solve(client: httpx.AsyncClient, problem: str = PROBLEMS[0], **fields: Any) -> dict[str, Any]:
    response = await client.post("/solve", json={"problem": problem, "seed": 0} | fields)
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


def assert_alike(one: Any, other: Any) -> None:
    """Assert that two replies are equal; scores may differ by what float32 rounds otherwise in another batch."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_alike(one[name], other[name])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_alike(*pair)
    else:
        assert one == (pytest.approx(other, abs=1e-6) if isinstance(one, float) else other)


async def test_it_is_the_default_and_says_what_it_did_and_why(client: httpx.AsyncClient) -> None:
    reply = await solve(client)
    told = reply["strategy"]
    assert (told["name"], told["n"]) == ("auto", 16)
    assert told["probe"] in told["reason"]
    assert 0 <= told["probe_confidence"] <= 1
    assert 0 <= reply["confidence"] <= 1


async def test_easy_problems_end_with_the_probe_and_hard_ones_do_not(client: httpx.AsyncClient) -> None:
    replies = await asyncio.gather(*(solve(client, problem) for problem in PROBLEMS[:16]))
    ended = [reply for reply in replies if reply["strategy"]["rest"] is None]
    went_on = [reply for reply in replies if reply["strategy"]["rest"] is not None]
    assert ended
    assert went_on
    assert max(r["strategy"]["difficulty"] for r in ended) < min(r["strategy"]["difficulty"] for r in went_on)
    roots = {reply["id"]: {node["id"].split(".")[0] for node in reply["tree"]["nodes"]} for reply in replies}
    assert all(len(roots[reply["id"]]) <= 16 for reply in replies)


async def test_the_same_seed_gives_the_same_reply(client: httpx.AsyncClient) -> None:
    one, other = [await solve(client, PROBLEMS[3], early_stop=False) for _ in range(2)]
    told = one.keys() - {"id", "timing", "usage"}  # a step that is left at its delimiter may cost a token more
    assert_alike({name: one[name] for name in told}, {name: other[name] for name in told})


async def test_a_target_above_the_probe_goes_on_and_one_below_it_does_not(client: httpx.AsyncClient) -> None:
    sure = (await solve(client))["strategy"]["probe_confidence"]
    easy = await solve(client, target_confidence=max(sure - 0.01, 0.001))
    assert easy["strategy"]["rest"] is None


async def test_a_limit_of_tokens_takes_a_smaller_budget_and_says_so(
    client: httpx.AsyncClient, table: Calibrated
) -> None:
    assert table.table is not None
    smallest = table.table.budgets[0]
    reply = await solve(client, n=64, max_total_tokens=int(smallest.tokens[1]) + 1)
    assert f"N = {smallest.n} instead of 64" in reply["strategy"]["reason"]


async def test_a_limit_that_no_budget_keeps_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/solve", json={"problem": "1 + 1", "max_total_tokens": 1})
    assert response.status_code == 422
    assert "max_total_tokens: 1 is too small; allowed: at least" in response.json()["error"]["message"]


async def test_a_deadline_takes_a_budget_that_fits_into_it(client: httpx.AsyncClient, table: Calibrated) -> None:
    assert table.table is not None
    smallest = table.table.budgets[0]
    reply = await solve(client, n=64, deadline_s=smallest.seconds[1] / 10)
    assert f"N = {smallest.n} instead of 64" in reply["strategy"]["reason"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"n": 2}, "the smallest budget of the calibration table is 4"),
        ({"system_prompt": "Think."}, "the calibration table holds for another system prompt"),
    ],
    ids=["too small", "another prompt"],
)
async def test_where_the_table_does_not_hold_it_is_weighted_best_of_n(
    client: httpx.AsyncClient, fields: dict[str, Any], reason: str
) -> None:
    reply = await solve(client, **{"n": 4} | fields)
    assert reply["strategy"]["name"] == "weighted_best_of_n"
    assert reply["strategy"]["reason"] == f"auto: {reason}, so weighted_best_of_n"


async def test_without_a_table_it_is_weighted_best_of_n_and_nothing_is_said_of_confidence() -> None:
    async with service(world_of("1")) as client:
        reply = await solve(client, n=4)
    assert reply["strategy"]["name"] == "weighted_best_of_n"
    assert "no calibration table" in reply["strategy"]["reason"]
    assert reply["confidence"] is None


async def test_every_strategy_tells_its_confidence_at_its_defaults_alone(client: httpx.AsyncClient) -> None:
    for strategy in ("majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts"):
        reply = await solve(client, strategy=strategy, n=4)
        assert 0 <= reply["confidence"] <= 1
    for other in ({"lookahead": 1}, {"temperature": 1.0}, {"top_p": 0.9}):
        assert (await solve(client, strategy="dvts", n=4, **other))["confidence"] is None


async def test_a_deadline_in_the_probe_says_so(client: httpx.AsyncClient) -> None:
    reply = await solve(client, n=4, deadline_s=0.001)
    assert reply["status"] == "deadline"
    assert "time was up in the probe" in reply["strategy"]["reason"]
    assert reply["confidence"] is None


async def test_the_name_of_a_model_can_ask_for_it(client: httpx.AsyncClient) -> None:
    names = [model["id"] for model in (await client.get("/v1/models")).json()["data"]]
    assert any(name.endswith("@auto-16") for name in names)


@pytest.mark.parametrize(
    "limit", [{"target_confidence": 0.9}, {"max_total_tokens": 1000}], ids=lambda limit: next(iter(limit))
)
async def test_without_a_table_a_limit_is_refused_by_name(limit: dict[str, float]) -> None:
    (name,) = limit
    async with service(world_of("1")) as client:
        response = await client.post("/solve", json={"problem": "1 + 1"} | limit)
    assert (response.status_code, response.json()["error"]["param"]) == (422, name)
    assert "no calibration table" in response.json()["error"]["message"]

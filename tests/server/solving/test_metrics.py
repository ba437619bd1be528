"""`GET /metrics`: the sums are the requests that were sent."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from search.answers.pool import AnswerPool
from search.expander import Models
from tests.natures import Tree, answer
from tests.server.conftest import listening
from tests.server.scraping import scrape, total
from tests.server.test_solve import solve
from tests.worlds import World


@pytest.fixture
async def world() -> AsyncIterator[tuple[World, httpx.AsyncClient]]:
    """An app of its own, whose counters start at 0."""
    world = World(Tree(answer("1", 0.5)))
    async with AnswerPool(num_workers=1) as reader, listening(Models(world.policy, world.verifier, reader)) as client:
        yield world, client


async def test_every_request_is_counted_once_by_route_and_status(world: tuple[World, httpx.AsyncClient]) -> None:
    _, client = world
    await solve(client, n=2)
    await client.post("/solve", json={"problem": "?", "n": 0})
    await client.get("/nowhere")
    counted = await scrape(client)
    assert total(counted, "winnow_http_requests_total", route="/solve", status="200") == 1
    assert total(counted, "winnow_http_requests_total", route="/solve", status="422") == 1
    assert total(counted, "winnow_http_requests_total", route="none", status="404") == 1
    assert total(counted, "winnow_http_requests_total") == 3
    assert total(counted, "winnow_http_requests_in_flight") == 1  # the scrape itself


async def test_a_client_that_goes_away_is_counted_as_gone(world: tuple[World, httpx.AsyncClient]) -> None:
    toy, client = world
    toy.policy.gates[r"\boxed{1}"] = asyncio.Event()
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/solve", json={"problem": "?", "n": 2}, timeout=0.2)
    async with asyncio.timeout(5):
        while not total(counted := await scrape(client), "winnow_http_requests_total", status="499"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert total(counted, "winnow_searches_total", status="cancelled") == 1
    assert total(counted, "winnow_searches_in_flight") == 0


async def test_so_is_one_that_leaves_a_stream(world: tuple[World, httpx.AsyncClient]) -> None:
    toy, client = world
    toy.policy.gates[r"\boxed{1}"] = asyncio.Event()
    async with client.stream("POST", "/solve", json={"problem": "?", "n": 2, "stream": True}) as response:
        assert response.status_code == 200
    async with asyncio.timeout(5):
        while not total(counted := await scrape(client), "winnow_http_requests_total", status="499"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert total(counted, "winnow_http_requests_total", route="/solve") == 1


async def test_a_whole_stream_is_counted_as_answered(world: tuple[World, httpx.AsyncClient]) -> None:
    _, client = world
    await client.post("/solve", json={"problem": "?", "n": 2, "stream": True})
    assert total(await scrape(client), "winnow_http_requests_total", route="/solve", status="200") == 1


async def test_the_process_and_its_event_loop_are_seen(world: tuple[World, httpx.AsyncClient]) -> None:
    before = await scrape(world[1])
    waiting = [asyncio.create_task(asyncio.Event().wait()) for _ in range(7)]
    after = await scrape(world[1])
    for task in waiting:
        task.cancel()
    assert total(after, "winnow_event_loop_tasks") - total(before, "winnow_event_loop_tasks") == 7
    assert total(after, "process_open_fds") > 0


async def test_a_search_is_counted_with_its_tokens_and_its_warnings(world: tuple[World, httpx.AsyncClient]) -> None:
    _, client = world
    usage = (await solve(client, n=4, strategy="best_of_n", early_stop=False))["usage"]
    counted = await scrape(client)
    assert total(counted, "winnow_searches_total", strategy="best_of_n", status="complete") == 1
    assert total(counted, "winnow_candidates_total", strategy="best_of_n") == 4
    assert total(counted, "winnow_tokens_total", kind="completion") == usage["completion_tokens"]
    assert total(counted, "winnow_tokens_total", kind="verifier") == usage["verifier_tokens"]
    assert total(counted, "winnow_warnings_total", warning="low_diversity") == 1
    assert total(counted, "winnow_agreement_count") == 1


async def test_candidates_that_a_decided_vote_did_not_need_are_counted(world: tuple[World, httpx.AsyncClient]) -> None:
    _, client = world
    usage = (await solve(client, n=64, strategy="majority"))["usage"]
    saved = total(await scrape(client), "winnow_candidates_saved_total", strategy="majority")
    assert saved == 64 - usage["candidates"]


async def test_both_engines_are_seen_together(client: httpx.AsyncClient) -> None:
    before = await scrape(client)
    usage = (await solve(client, early_stop=False))["usage"]
    after = await scrape(client)
    generated = [total(samples, "vllm:generation_tokens_total", model_name="policy") for samples in (before, after)]
    assert generated[1] - generated[0] >= usage["completion_tokens"]  # and what earlier tests have left running
    assert total(after, "vllm:prompt_tokens_total", model_name="verifier") > 0
    assert {engine for name, labels in after for key, engine in labels if name == "winnow_engine_restarts_total"} == {
        "policy",
        "verifier",
    }

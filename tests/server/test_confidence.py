"""A service whose policy is its own verifier, on the bundled model that thinks: over HTTP, with every strategy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from models.prm.options import Measure
from search.strategies import strategies
from server.app import create_app
from server.composition import open_models, plain_policy
from server.keys import Keyring
from server.settings import DEMO, Settings
from tests.server.conftest import serving

THINKER = DEMO / "thinker"
PROBLEM = "Compute 8 + 6 * 4 - 12."
JUDGING = [row.name for row in strategies().values() if row.judges and row.name != "ttt_best_of_n"]

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not THINKER.exists(), reason="the thinker is not in this checkout"),
]


@asynccontextmanager
async def service(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    chosen = Settings(
        policy_model=str(THINKER),
        reasoning_parser="qwen3",
        chat_template_keys=("enable_thinking",),
        verifier_format="confidence",
        **settings,
    )
    async with open_models(chosen) as (models, engines):
        plain = plain_policy(chosen, models)
        async with serving(create_app(models, engines, chosen, Keyring(), plain=plain), chosen) as client:
            yield client
        await plain.stop()


@pytest.fixture(scope="module")
async def confident() -> AsyncIterator[httpx.AsyncClient]:
    async with service(confidence_measure=Measure.LOWEST_GROUP) as client:
        yield client


async def solved(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    body = {"problem": PROBLEM, "n": 4, "max_tokens": 600, "seed": 1} | fields
    response = await client.post("/solve", json=body)
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


@pytest.mark.parametrize("strategy", JUDGING)
async def test_every_strategy_is_served_by_the_policy_alone(confident: httpx.AsyncClient, strategy: str) -> None:
    reply = await solved(confident, strategy=strategy)
    complete = [candidate for candidate in reply["candidates"] if candidate["finish"] == "complete"]
    assert complete
    assert all(0 < candidate["score"] < 1 for candidate in complete)
    assert reply["usage"]["verifier_tokens"] == reply["usage"]["verifier_cached_tokens"] == 0
    assert reply["status"] == "complete"


async def test_a_majority_has_no_scores(confident: httpx.AsyncClient) -> None:
    reply = await solved(confident, strategy="majority")
    assert {candidate["score"] for candidate in reply["candidates"]} == {None}


async def test_scores_are_of_the_answers_and_hear_the_thoughts(confident: httpx.AsyncClient) -> None:
    """The same responses, judged with their thoughts, have the same last score."""
    answers, whole = [
        await solved(confident, strategy="best_of_n", judge=judge, early_stop=False) for judge in ("answer", "all")
    ]
    for one, other in zip(answers["candidates"], whole["candidates"], strict=True):
        assert one["response"] == other["response"]
        assert one["score"] == pytest.approx(other["score"], abs=0.01)
        assert {step["score"] is None for step in one["steps"] if step["thinking"]} == {True}
        assert {step["score"] is None for step in other["steps"] if step["thinking"]} == {False}


async def test_a_part_of_the_responses_votes(confident: httpx.AsyncClient) -> None:
    reply = await solved(confident, strategy="weighted_best_of_n", n=8, keep=0.5)
    answered = [candidate for candidate in reply["candidates"] if candidate["answer"] is not None]
    assert sum(vote["count"] for vote in reply["votes"] if vote["answer"] is not None) == -(-len(answered) // 2)
    assert reply["strategy"]["keep"] == 0.5


async def test_deepconf_stops_responses_in_their_thoughts_and_says_so(confident: httpx.AsyncClient) -> None:
    fields = {"strategy": "deepconf", "n": 24, "warmup": 8, "keep": 0.1, "early_stop": False, "temperature": 1.2}
    reply = await solved(confident, **fields)
    stopped = [candidate for candidate in reply["candidates"] if candidate["finish"] == "stopped"]
    assert stopped
    assert all(candidate["answer"] is None and candidate["score"] < 1 for candidate in stopped)
    assert reply["strategy"]["stopped"] >= len(stopped)
    assert 0 < reply["strategy"]["threshold"] < 1
    assert reply["strategy"]["keep"] == 0.1
    assert "fell below the threshold" in reply["strategy"]["reason"]


@pytest.mark.parametrize("strategy", ["majority", "best_of_n", "beam_search"])
async def test_a_share_is_refused_where_votes_are_not_weighted(confident: httpx.AsyncClient, strategy: str) -> None:
    body = {"problem": PROBLEM, "n": 4, "strategy": strategy, "keep": 0.5}
    refused = await confident.post("/solve", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "keep")
    assert "omit it or use weighted_best_of_n or deepconf" in refused.json()["error"]["message"]


async def test_it_is_ready_and_its_one_engine_is_counted_once(confident: httpx.AsyncClient) -> None:
    assert (await confident.get("/readyz")).status_code == 200
    lines = (await confident.get("/metrics")).text.splitlines()
    running = [line for line in lines if line.startswith("vllm:num_requests_running{")]
    assert len(running) == 1
    assert 'model_name="policy"' in running[0]


async def test_a_budget_of_no_thoughts_leaves_nothing_to_doubt_before_the_answer(confident: httpx.AsyncClient) -> None:
    reply = await solved(confident, strategy="best_of_n", judge="all", thinking_budget=0)
    assert reply["status"] == "complete"
    assert all(0 < candidate["score"] < 1 for candidate in reply["candidates"] if candidate["finish"] == "complete")


async def test_the_mean_log_probability_is_served_too() -> None:
    async with service(confidence_measure=Measure.MEAN_LOGPROB) as client:
        reply = await solved(client, strategy="weighted_best_of_n")
        assert all(0 < each["score"] <= 1 for each in reply["candidates"] if each["finish"] == "complete")

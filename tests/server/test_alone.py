"""A service whose policy has no verifier: majority votes and plain requests, and a reason for all else."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from search.calibration.table import ALONE
from search.strategies import strategies
from server.openai.names import LISTED_N
from server.settings import Settings
from tests.server.conftest import listening
from tests.server.services import world_of

JUDGING = [row.name for row in strategies().values() if row.judges and row.fallback is None]
NAME = "winnow-demo"


@pytest.fixture
async def alone() -> AsyncIterator[httpx.AsyncClient]:
    models = replace(world_of("3", "7", "7").models, verifier=None)
    async with listening(models, settings=Settings(verifier_format="none"), calibrated=ALONE) as client:
        yield client


async def test_the_majority_is_elected(alone: httpx.AsyncClient) -> None:
    reply = (await alone.post("/solve", json={"problem": "?", "n": 3, "strategy": "majority"})).json()
    assert (reply["answer"], reply["score"], reply["usage"]["verifier_tokens"]) == ("7", None, 0)


async def test_auto_is_a_majority_and_says_why(alone: httpx.AsyncClient) -> None:
    reply = (await alone.post("/solve", json={"problem": "?", "n": 3})).json()
    assert (reply["answer"], reply["strategy"]["name"]) == ("7", "majority")
    assert reply["strategy"]["reason"] == "auto: this service has no verifier, so majority"


@pytest.mark.parametrize("strategy", JUDGING)
async def test_what_needs_a_verifier_is_refused_by_name_and_says_what_one_would_add(
    alone: httpx.AsyncClient, strategy: str
) -> None:
    response = await alone.post("/solve", json={"problem": "?", "n": 4, "strategy": strategy})
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (422, "strategy")
    assert f"{strategy} needs a verifier" in error["message"]
    assert "use majority, or start winnow with verifier_model" in error["message"]


async def test_only_what_can_be_served_is_listed(alone: httpx.AsyncClient) -> None:
    listed = [model["id"] for model in (await alone.get("/v1/models")).json()["data"]]
    assert listed == [NAME, *(f"{NAME}@{name}-{n}" for name in ("auto", "majority") for n in LISTED_N)]
    for name in listed:
        assert (await alone.get(f"/v1/models/{name}")).status_code == 200
    missing = await alone.get(f"/v1/models/{NAME}@beam_search-16")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


async def test_openais_clients_are_told_the_same(alone: httpx.AsyncClient) -> None:
    chat = {"messages": [{"role": "user", "content": "?"}]}
    reply = await alone.post("/v1/chat/completions", json=chat | {"model": f"{NAME}@auto-3"})
    assert reply.json()["search"]["answer"] == "7"
    refused = await alone.post("/v1/chat/completions", json=chat | {"model": f"{NAME}@dvts-4"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "search.strategy")
    assert "dvts needs a verifier" in refused.json()["error"]["message"]


async def test_it_is_ready_and_counts(alone: httpx.AsyncClient) -> None:
    await alone.post("/solve", json={"problem": "?", "n": 3})
    assert (await alone.get("/readyz")).status_code == 200
    assert 'winnow_tokens_total{kind="verifier"} 0.0' in (await alone.get("/metrics")).text

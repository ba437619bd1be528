"""`ttt_best_of_n` in `POST /solve`: a verifier in plain PyTorch learns from a request's responses."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from models.checkpoints.prompt import PromptBuilder
from models.policy.engine_policy import EnginePolicy
from models.prm.torch_verifier import open_verifier
from models.vllm.settings import EngineSettings
from search.answers.pool import AnswerPool
from search.expander import Models
from tests.conftest import DEMO
from tests.server.conftest import listening
from tests.server.test_solve import PROBLEM, solve

ADAPTED = {"strategy": "ttt_best_of_n", "adapt_steps": 3, "adapt_learning_rate": 0.1}


@pytest.fixture(scope="module")
async def adaptable(policy: EnginePolicy, prompts: PromptBuilder) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        open_verifier(EngineSettings(DEMO / "prm", "verifier"), prompts) as verifier,
        AnswerPool(num_workers=1) as reader,
        listening(Models(policy, verifier, reader), policy.engine, verifier.engine) as client,
    ):
        yield client


def scores(reply: dict[str, Any]) -> list[float]:
    return [candidate["score"] for candidate in reply["candidates"]]


async def test_the_reply_says_how_it_went_and_what_it_cost(adaptable: httpx.AsyncClient) -> None:
    plain = await solve(adaptable, strategy="weighted_best_of_n", early_stop=False)
    adapted = await solve(adaptable, early_stop=False, **ADAPTED)
    told = adapted["strategy"]
    assert len(told["losses"]) == 4
    assert told["losses"] == sorted(told["losses"], reverse=True)
    assert told["drift"] > 0
    assert (told["name"], told["adapt_steps"], told["adapt_learning_rate"]) == ("ttt_best_of_n", 3, 0.1)
    assert told["reason"].endswith("the verifier learnt from the responses before it judged them")
    lesson = sum(c["tokens"] + adapted["usage"]["prompt_tokens"] for c in adapted["candidates"])
    assert adapted["usage"]["verifier_tokens"] == plain["usage"]["verifier_tokens"] + 4 * lesson


async def test_it_changes_scores_of_its_own_request_only(adaptable: httpx.AsyncClient) -> None:
    before = await solve(adaptable, strategy="weighted_best_of_n", early_stop=False)
    adapted = await solve(adaptable, early_stop=False, **ADAPTED)
    after = await solve(adaptable, strategy="weighted_best_of_n", early_stop=False)
    assert scores(adapted) != pytest.approx(scores(before), abs=1e-6)
    assert scores(after) == pytest.approx(scores(before), abs=1e-6)


@pytest.mark.parametrize("strategy", ["majority", "best_of_n", "beam_search", "dvts"])
async def test_other_strategies_refuse_its_fields(adaptable: httpx.AsyncClient, strategy: str) -> None:
    response = await adaptable.post("/solve", json={"problem": PROBLEM, "strategy": strategy, "adapt_steps": 2})
    assert (response.status_code, response.json()["error"]["param"]) == (422, "adapt_steps")
    assert response.json()["error"]["message"].endswith(f"by strategy {strategy}; omit it or use ttt_best_of_n")


async def test_models_are_listed_that_the_verifier_can_serve(
    adaptable: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    able, unable = [{m["id"] for m in (await each.get("/v1/models")).json()["data"]} for each in (adaptable, client)]
    assert {name.partition("@")[2] for name in able - unable} == {f"ttt_best_of_n-{n}" for n in (4, 16, 64)}

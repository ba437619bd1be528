"""`adapt` in `POST /solve`: the demo's verifier in plain PyTorch learns from a request's candidates, for it alone."""

from collections.abc import AsyncIterator

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

ADAPT = {"steps": 3, "learning_rate": 0.1}


@pytest.fixture(scope="module")
async def adaptable(policy: EnginePolicy, prompts: PromptBuilder) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        open_verifier(EngineSettings(DEMO / "prm", "verifier"), prompts) as verifier,
        AnswerPool(num_workers=1) as reader,
        listening(Models(policy, verifier, reader), policy.engine, verifier.engine) as client,
    ):
        yield client


def scores(reply: dict[str, list[dict[str, float]]]) -> list[float]:
    return [candidate["score"] for candidate in reply["candidates"]]


async def test_the_reply_says_how_it_went_and_what_it_cost(adaptable: httpx.AsyncClient) -> None:
    plain = await solve(adaptable, strategy="weighted_best_of_n", early_stop=False)
    adapted = await solve(adaptable, strategy="weighted_best_of_n", early_stop=False, adapt=ADAPT)
    losses = adapted["adaptation"]["losses"]
    assert len(losses) == 4
    assert losses == sorted(losses, reverse=True)
    assert adapted["adaptation"]["drift"] > 0
    assert adapted["strategy"]["adapt"] == ADAPT
    lesson = sum(c["tokens"] + adapted["usage"]["prompt_tokens"] for c in adapted["candidates"])
    assert adapted["usage"]["verifier_tokens"] == plain["usage"]["verifier_tokens"] + 4 * lesson


async def test_it_changes_scores_of_its_own_request_only(adaptable: httpx.AsyncClient) -> None:
    before = await solve(adaptable, strategy="weighted_best_of_n", early_stop=False)
    adapted = await solve(adaptable, strategy="weighted_best_of_n", early_stop=False, adapt=ADAPT)
    after = await solve(adaptable, strategy="weighted_best_of_n", early_stop=False)
    assert scores(adapted) != pytest.approx(scores(before), abs=1e-6)
    assert scores(after) == pytest.approx(scores(before), abs=1e-6)
    assert (before["adaptation"], after["adaptation"]) == (None, None)


@pytest.mark.parametrize("strategy", ["majority", "beam_search", "dvts"])
async def test_strategies_that_cannot_wait_for_all_candidates_refuse_it(
    adaptable: httpx.AsyncClient, strategy: str
) -> None:
    response = await adaptable.post("/solve", json={"problem": PROBLEM, "strategy": strategy, "adapt": ADAPT})
    assert (response.status_code, response.json()["error"]["param"]) == (422, "adapt")
    assert f"{strategy} has no use for it" in response.json()["error"]["message"]


async def test_a_verifier_that_cannot_learn_refuses_it(client: httpx.AsyncClient) -> None:
    response = await client.post("/solve", json={"problem": PROBLEM, "strategy": "best_of_n", "adapt": ADAPT})
    assert (response.status_code, response.json()["error"]["param"]) == (422, "adapt")
    assert "WINNOW_VERIFIER_FORMAT=torch" in response.json()["error"]["message"]

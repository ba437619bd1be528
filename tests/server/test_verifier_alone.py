"""A service whose verifier has no policy: scores and choices, and a reason for all else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import EngineUnavailableError
from models.interfaces import Meter, Sampling
from models.policy.absent import AbsentPolicy
from models.prm.winnow import WinnowPRM
from search.answers.pool import AnswerPool
from search.expander import Models
from server.identity import load_calibration
from server.settings import DEMO, Settings
from tests.models.problems import PROBLEM
from tests.server.conftest import listening
from tests.server.test_given import CHOOSE, post, scores

SETTINGS = Settings(policy_model="none")
RESPONSE = "## Step 1: Add\n17 + 28 = 45\n\n## Step 2: Subtract\n45 - 5 = 40\n\nThe final answer is: $\\boxed{40}$"


@pytest.fixture(scope="module")
def absent() -> AbsentPolicy:
    return AbsentPolicy(PromptBuilder(ChatTokenizer(DEMO / "prm")))


@pytest.fixture
async def alone(absent: AbsentPolicy, verifier: WinnowPRM) -> AsyncIterator[httpx.AsyncClient]:
    async with AnswerPool(num_workers=1) as reader:
        models = Models(absent, verifier, reader)
        async with listening(models, verifier.engine, settings=SETTINGS) as client:
            yield client


async def test_scores_are_those_of_a_service_with_a_policy(alone: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    asked: dict[str, Any] = {"problem": "Compute 17 + 28 - 5.", "responses": [RESPONSE]}
    ours, theirs = await post(alone, **asked), await post(client, **asked)
    assert scores(ours)[0] == pytest.approx(scores(theirs)[0], abs=1e-3)
    assert (await post(alone, CHOOSE, **asked))["answer"] == "40"


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/solve", {"problem": "?"}),
        ("/v1/chat/completions", {"model": "none", "messages": [{"role": "user", "content": "?"}]}),
        ("/v1/completions", {"model": "none", "prompt": "?"}),
        ("/v1/responses", {"model": "none", "input": "?"}),
    ],
)
async def test_what_needs_a_policy_is_refused_by_name(alone: httpx.AsyncClient, url: str, body: dict[str, Any]) -> None:
    error = (response := await alone.post(url, json=body)).json()["error"]
    assert (response.status_code, error["code"]) == (422, "no_policy")
    assert "policy_model is none; POST /v1/steps/score" in error["message"]


async def test_no_model_is_listed_and_the_service_is_ready(alone: httpx.AsyncClient) -> None:
    assert (await alone.get("/v1/models")).json()["data"] == []
    assert (await alone.get("/v1/models/none")).status_code == 422
    assert (await alone.get("/readyz")).status_code == 200


async def test_an_absent_policy_proposes_nothing(absent: AbsentPolicy) -> None:
    sampling = Sampling(temperature=0, top_p=1, max_tokens=1)
    with pytest.raises(EngineUnavailableError):
        await absent.propose(PROBLEM, (), sampling, Meter())
    with pytest.raises(EngineUnavailableError):
        await anext(absent.respond(PROBLEM, (), sampling, Meter()))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"verifier_format": "none"}, "verifier_format none then has nothing to read"),
        ({"verifier_format": "checker", "verifier_model": "arithmetic"}, "a verifier with a model of its own"),
        ({"policy_url": "http://127.0.0.1:1"}, "policy_url is set"),
    ],
)
def test_settings_that_leave_nothing_to_serve_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings(policy_model="none", **fields)


def test_a_table_is_not_looked_for(tmp_path: Path) -> None:
    assert load_calibration(SETTINGS).table is None

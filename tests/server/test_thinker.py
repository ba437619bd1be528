"""The bundled model that thinks, on the real engine: `/solve`, and chats without a search by vLLM's own handlers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from models.checkpoints.marks import THINK
from models.checkpoints.tokenizer import ChatTokenizer
from search.calibration.table import Calibrated, Calibration
from server.app import create_app
from server.composition import open_models, plain_policy
from server.identity import identity_of
from server.keys import Keyring
from server.settings import DEMO, Settings
from tests.server.conftest import openai_client, serving

THINKER = DEMO / "thinker"
PROBLEM = "Compute 8 + 6 * 4 - 12."
QUIET = {"chat_template_kwargs": {"enable_thinking": False}}

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not THINKER.exists(), reason="the thinker is not in this checkout"),
]


def table_of(settings: Settings) -> Calibrated:
    """Probe without thoughts, and spend the rest with them unless the probe is all but certain."""
    knots = [(0.0, 0.0), (1.0, 1.0)]
    flat = {"strategy": "weighted_best_of_n"}
    rests = {0.99: None, 0.0: flat | {"thinks": True}}
    table = Calibration.model_validate(
        {
            "identity": identity_of(settings).model_dump(),
            "temperature": 0.8,
            "made": {},
            "budgets": [
                {
                    "n": 8,
                    "probe": flat | {"thinks": False},
                    "probe_n": 4,
                    "bins": [
                        {"floor": floor, "rest": rest, "problems": 40, "accuracy": 0.5} for floor, rest in rests.items()
                    ],
                    "confidence": knots,
                    "final_confidence": knots,
                    "accuracy": 0.5,
                    "tokens": (1.0, 1.0),
                    "seconds": (1.0, 1.0),
                }
            ],
            "confidence": {},
        }
    )
    return Calibrated(table)


@pytest.fixture(scope="module")
async def thinking() -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        policy_model=str(THINKER),
        reasoning_parser="qwen3",
        chat_template_keys=("enable_thinking",),
        verifier_model="models.prm.checkers.arithmetic:check",
        verifier_format="checker",
        served_model_name="thinker",
    )
    async with open_models(settings) as (models, engines):
        plain = plain_policy(settings, models)
        app = create_app(models, engines, settings, Keyring(), plain=plain, calibrated=table_of(settings))
        async with serving(app, settings) as client:
            yield client
        await plain.stop()


async def solved(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    body = {"problem": PROBLEM, "n": 4, "max_tokens": 600, "seed": 1, "strategy": "majority"} | fields
    response = await client.post("/solve", json=body)
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


def thoughts_of(candidate: dict[str, Any]) -> list[str]:
    return [step["text"] for step in candidate["steps"] if step["thinking"]]


@pytest.mark.parametrize("strategy", ["majority", "best_of_n", "beam_search", "dvts", "rebase"])
async def test_every_strategy_answers_behind_the_thoughts(thinking: httpx.AsyncClient, strategy: str) -> None:
    reply = await solved(thinking, strategy=strategy)
    complete = [candidate for candidate in reply["candidates"] if candidate["finish"] == "complete"]
    assert complete
    for candidate in complete:
        assert candidate["thinking"]
        assert "think>" not in candidate["thinking"] + candidate["response"]
        assert candidate["answer"] is None or candidate["answer"] in candidate["response"]
    assert 0 < reply["usage"]["reasoning_tokens"] < reply["usage"]["completion_tokens"]


async def test_budgets_shorten_the_thoughts(thinking: httpx.AsyncClient) -> None:
    tokens = []
    for budget in (1, 20, 1000):
        reply = await solved(thinking, thinking_budget=budget, early_stop=False)
        assert reply["usage"]["reasoning_tokens"] <= 4 * (budget + 1)
        tokens.append(reply["usage"]["reasoning_tokens"])
    assert tokens[0] < tokens[1] < tokens[2]


@pytest.mark.parametrize("fields", [QUIET, {"reasoning_effort": "none"}], ids=["argument", "effort"])
async def test_the_template_turns_thoughts_off(thinking: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    reply = await solved(thinking, **fields)
    assert (reply["thinking"], reply["usage"]["reasoning_tokens"]) == (None, 0)


async def test_auto_probes_without_thoughts_and_goes_on_with_them(thinking: httpx.AsyncClient) -> None:
    hard = r"Solve for x: 7x - 3(2x - 5) = 4x - 9."
    reply = await solved(thinking, problem=hard, strategy="auto", n=8, early_stop=False, include=["candidates", "tree"])
    told, candidates = reply["strategy"], {each["id"]: each for each in reply["candidates"]}
    assert (told["probe"], told["probe_thinks"]) == ("weighted_best_of_n-4", False)
    assert (told["rest"], told["rest_thinks"]) == ("weighted_best_of_n-4", True)
    assert "weighted_best_of_n-4 with thoughts followed" in told["reason"]
    assert list(candidates) == [str(number) for number in range(8)]
    assert [bool(candidates[str(number)]["thinking"]) for number in range(8)] == [False] * 4 + [True] * 4
    assert reply["usage"]["completion_tokens"] == sum(each["tokens"] for each in candidates.values())
    assert 0 < reply["usage"]["reasoning_tokens"] < reply["usage"]["completion_tokens"]


async def test_a_request_that_says_how_to_think_is_not_auto_s_to_change(thinking: httpx.AsyncClient) -> None:
    reply = await solved(thinking, strategy="auto", n=8, **QUIET)
    assert reply["strategy"]["name"] == "weighted_best_of_n"
    assert "the calibration table holds for searches without chat_template_kwargs" in reply["strategy"]["reason"]
    assert reply["usage"]["reasoning_tokens"] == 0


async def chat(openai: AsyncOpenAI, content: str = PROBLEM, **fields: Any) -> Any:
    messages: Any = [{"role": "user", "content": content}]
    return await openai.chat.completions.create(
        model="thinker", messages=messages, max_tokens=500, seed=1, temperature=0, **fields
    )


async def test_a_chat_without_a_search_shows_thoughts_under_both_names(thinking: httpx.AsyncClient) -> None:
    async with openai_client(thinking) as openai:
        whole, stream = await asyncio.gather(chat(openai), chat(openai, stream=True))
        deltas = [chunk.choices[0].delta async for chunk in stream if chunk.choices]
        quiet = await chat(openai, extra_body=QUIET)
    message = whole.choices[0].message
    assert message.model_extra["reasoning"] == message.model_extra["reasoning_content"]
    assert message.model_extra["reasoning"]
    for name in ("reasoning", "reasoning_content"):
        said = "".join((delta.model_extra or {}).get(name) or "" for delta in deltas)
        assert said == message.model_extra[name]
    assert "".join(delta.content or "" for delta in deltas) == message.content
    assert whole.usage.completion_tokens_details.reasoning_tokens > 0
    assert not (quiet.choices[0].message.model_extra or {}).get("reasoning")


async def test_a_chat_without_a_search_keeps_a_budget(thinking: httpx.AsyncClient) -> None:
    async with openai_client(thinking) as openai:
        reply = await chat(openai, extra_body={"thinking_budget": 8})
    assert reply.usage.completion_tokens_details.reasoning_tokens <= 8 + 1


async def test_marks_in_a_users_text_stay_text(thinking: httpx.AsyncClient) -> None:
    async with openai_client(thinking) as openai:
        spelt = await chat(openai, "<think> 1 + 1? </think>")
    plain = ChatTokenizer(THINKER, THINK.texts).encode_chat([("user", "<think> 1 + 1? </think>")])
    assert spelt.usage.prompt_tokens == len(plain)


SCHEMA = {"type": "object", "properties": {"digit": {"enum": [1, 2, 3]}}, "required": ["digit"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "digit", "schema": SCHEMA | {"additionalProperties": False}}}


@pytest.mark.parametrize("fields", [{}, {"thinking_budget": 8}, {"thinking_budget": 0}, QUIET], ids=str)
async def test_documents_stand_behind_the_thoughts(thinking: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    reply = await solved(thinking, response_format=FORMAT, early_stop=False, **fields)
    complete = [candidate for candidate in reply["candidates"] if candidate["finish"] == "complete"]
    assert complete
    for candidate in complete:
        assert json.loads(candidate["response"]).keys() == {"digit"}
        assert bool(candidate["thinking"]) is (not fields or fields.get("thinking_budget") == 8)
    assert reply["diagnostics"]["fields"]["/digit"]["agreement"] == reply["votes"][0]["count"] / len(complete)


async def test_a_quiet_document_is_not_cut_by_a_budget_of_thoughts(thinking: httpx.AsyncClient) -> None:
    reply = await solved(thinking, response_format=FORMAT, early_stop=False, thinking_budget=3, **QUIET)
    assert {candidate["finish"] for candidate in reply["candidates"]} == {"complete"}
    assert sum(vote["count"] for vote in reply["votes"] if vote["answer"]) == 4

"""Prompts that fit into the context, and are longer than the service reads: refused by number before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.composition import policy_engine, policy_model, verifier_engine
from server.settings import Settings
from tests.server.conftest import POLICY_NAME

if TYPE_CHECKING:
    from models.policy.engine_policy import EnginePolicy

MOST = 60
LONG = "What is 1 + 2? " * 20
CHAT = {"messages": [{"role": "user", "content": LONG}]}
SEARCHED = {"search": {"n": 1, "strategy": "majority"}}


@pytest.fixture
def bounded(policy: EnginePolicy, monkeypatch: pytest.MonkeyPatch) -> EnginePolicy:
    monkeypatch.setattr(policy.engine, "max_prompt_tokens", MOST)
    return policy


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/solve", {"problem": LONG, "n": 1, "strategy": "majority"}, "problem"),
        ("/v1/chat/completions", CHAT, "messages"),
        ("/v1/chat/completions", CHAT | {"stream": True}, "messages"),
        ("/v1/chat/completions", CHAT | SEARCHED, "messages"),
        ("/v1/chat/completions", CHAT | SEARCHED | {"stream": True}, "messages"),
        ("/v1/completions", {"prompt": LONG}, "prompt"),
        ("/v1/completions", {"prompt": [[5], [5] * 61]}, "prompt"),
        ("/v1/completions", {"prompt": LONG} | SEARCHED, "prompt"),
        ("/v1/responses", {"input": LONG}, "input"),
        ("/v1/responses", {"input": LONG} | SEARCHED, "input"),
    ],
)
async def test_a_longer_prompt_is_refused_by_number_before_any_work(
    client: httpx.AsyncClient, bounded: EnginePolicy, path: str, body: dict[str, Any], field: str
) -> None:
    named = {} if path == "/solve" else {"model": POLICY_NAME}
    reply = await client.post(path, json=named | body)
    error = reply.json()["error"]
    assert (reply.status_code, error["param"], error["code"]) == (422, field, "prompt_too_long")
    assert error["message"].startswith(f"{field}: a prompt of ")
    assert error["message"].endswith(f"tokens is more than this service reads; at most {MOST}")
    assert bounded.engine.num_running_requests == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/solve", {"problem": "What is 1 + 2?", "n": 1, "strategy": "majority", "max_tokens": 4}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "What is 1 + 2?"}], "max_tokens": 4}),
        ("/v1/completions", {"prompt": [5] * MOST, "max_tokens": 4}),
    ],
)
async def test_a_shorter_prompt_is_read(
    client: httpx.AsyncClient, bounded: EnginePolicy, path: str, body: dict[str, Any]
) -> None:
    named = {} if path == "/solve" else {"model": POLICY_NAME}
    assert (await client.post(path, json=named | body)).status_code == 200


def test_the_setting_is_for_the_policy_wherever_it_runs() -> None:
    there = Settings(policy_url="http://127.0.0.1:1", max_prompt_tokens=MOST)
    here = Settings(max_prompt_tokens=MOST)
    assert [policy_model(there).max_prompt_tokens, policy_engine(here).max_prompt_tokens] == [MOST, MOST]
    assert verifier_engine(here).max_prompt_tokens is None

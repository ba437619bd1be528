"""What a client causes is a 4xx that names the field; a deadline ends what is asked of the policy itself."""

import asyncio
import json
import re
import time
from typing import Any

import httpx
import pytest

from models.policy.engine_policy import EnginePolicy
from models.prm.winnow import WinnowPRM
from models.vllm.handlers import OpenAIHandlers
from search.expander import Models
from server.settings import Settings
from tests.models.policy.test_engine_policy import generated
from tests.server.conftest import listening
from tests.server.openai.asking import CHAT, POLICY
from tests.waiting import until
from tests.worlds import BoxReader

CHATS, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
ENDLESS = {"ignore_eos": True, "max_tokens": 1000, "n": 64}


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"properties": {"a": value}}
    return value


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a grammar without an end": ({"structured_outputs": {"grammar": "root ::= root"}}, "structured_outputs.grammar"),
    "a schema that is itself": ({"structured_outputs": {"json": {"$ref": "#"}}}, "structured_outputs.json"),
    "a number of 300 digits": (
        {"structured_outputs": {"json": {"type": "integer", "maximum": 10**300}}}, "structured_outputs.json.maximum"),
    "a number of 309 digits in short": ({"top_k": 1e308}, "top_k"),
    "no character": ({"structured_outputs": {"regex": r"[^\s\S]"}}, "structured_outputs.regex"),
    "a reserved field by another": ({"vllm_xargs": {"kv_transfer_params": "x"}}, "vllm_xargs"),
    "a deep schema": ({"structured_outputs": {"json": nested(200)}}, "structured_outputs.json"),
    "deep parameters": (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": nested(200)}}]},
        "tools.0.function.parameters"),
    "a schema of 3,000 properties": (
        {"structured_outputs": {"json": {"properties": {f"p{i}": {} for i in range(3000)}}}},
        "structured_outputs.json"),
    "a format of the same": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"$ref": "#"}}}},
        "response_format"),
    "a tool that nobody parses": (
        {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"}, "tool_choice"),
    "more tokens at least than at most": ({"min_tokens": 9, "max_tokens": 8}, "max_tokens"),
}  # fmt: skip

KEPT: dict[str, tuple[dict[str, Any], str]] = {
    "a choice": ({"choice": ["yes", "no"]}, "yes|no"),
    "a regular expression": ({"regex": r"\d{3}-\d{2}"}, r"\d{3}-\d{2}"),
    "letters": ({"regex": r"\p{L}{3}"}, r"\w{3}"),
    "a grammar": ({"grammar": 'root ::= "a" | "b"'}, "a|b"),
    "a schema": ({"json": {"enum": [12, 34]}}, "12|34"),
}


@pytest.mark.parametrize(("fields", "param"), REFUSED.values(), ids=REFUSED)
async def test_what_a_client_causes_is_refused_by_name(
    client: httpx.AsyncClient, fields: dict[str, Any], param: str
) -> None:
    reply = await client.post(CHATS, json={"model": POLICY, "messages": CHAT} | fields)
    error = reply.json()["error"]
    assert reply.status_code in (400, 422)
    assert error["param"].startswith(param)
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(("constraint", "pattern"), KEPT.values(), ids=KEPT)
async def test_a_response_looks_as_was_asked(client: httpx.AsyncClient, constraint: Any, pattern: str) -> None:
    asked = {"model": POLICY, "prompt": "Say: ", "structured_outputs": constraint, "max_tokens": 32}
    reply = (await client.post(COMPLETIONS, json=asked)).json()
    assert re.fullmatch(pattern, reply["choices"][0]["text"])


async def test_a_constraint_left_at_once_does_not_hold_up_anothers(client: httpx.AsyncClient) -> None:
    heavy = {"enum": [f"{'a' * 50} {i}" for i in range(1000)]}
    asked = {"model": POLICY, "messages": CHAT, "structured_outputs": {"json": heavy}, "max_tokens": 4}
    for _ in range(8):
        leaving = asyncio.create_task(client.post(CHATS, json=asked))
        await asyncio.sleep(0.02)
        leaving.cancel()
    start = time.perf_counter()
    other = {"model": POLICY, "messages": CHAT, "structured_outputs": {"choice": ["yes", "no", "so"]}}
    assert (await client.post(CHATS, json=other)).status_code == 200
    assert time.perf_counter() - start < 20  # seconds; eight processes may have been started anew


async def test_a_deadline_ends_a_request_and_frees_the_engine(client: httpx.AsyncClient, policy: EnginePolicy) -> None:
    before = generated(policy)
    reply = await client.post(CHATS, json={"model": POLICY, "messages": CHAT, "deadline_s": 0.3} | ENDLESS)
    assert reply.status_code == 422
    assert (reply.json()["error"]["param"], reply.json()["error"]["code"]) == ("deadline_s", "deadline_exceeded")
    await until(lambda: not policy.engine.num_running_requests)
    assert generated(policy) - before < 64_000 / 2  # of what was asked for


async def test_a_deadline_ends_a_stream_with_our_own_error(client: httpx.AsyncClient, policy: EnginePolicy) -> None:
    asked = {"model": POLICY, "messages": CHAT, "deadline_s": 2, "stream": True} | ENDLESS
    reply = await client.post(CHATS, json=asked)
    *chunks, error, done, rest = reply.text.split("\n\n")
    assert chunks
    assert (done, rest) == ("data: [DONE]", "")
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "deadline_exceeded"
    await until(lambda: not policy.engine.num_running_requests, within_s=1)


async def test_what_a_chat_leaves_open_is_made_to_fit(policy: EnginePolicy, verifier: WinnowPRM) -> None:
    plain = OpenAIHandlers(policy.engine, policy.prompts.tokenizer, POLICY)
    models, settings = Models(policy, verifier, BoxReader()), Settings(max_tokens=5)
    async with listening(models, settings=settings, plain=plain) as client:
        for path, asked in ((CHATS, {"messages": CHAT}), (COMPLETIONS, {"prompt": "1"})):
            reply = (await client.post(path, json={"model": POLICY, "ignore_eos": True} | asked)).json()
            assert reply["usage"]["completion_tokens"] == 5
    await plain.stop()


async def test_no_text_of_vllms_about_itself_reaches_a_client(client: httpx.AsyncClient) -> None:
    asked = {"model": POLICY, "messages": CHAT, "structured_outputs": {"grammar": "%%%"}}
    text = (await client.post(CHATS, json=asked)).text
    assert not any(word in text for word in ("stack trace", "vllm", "xgrammar", ".cc:", "panic"))

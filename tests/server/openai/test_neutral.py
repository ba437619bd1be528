"""What asks for nothing is accepted, whether the policy itself answers or a search does; what is refused says why."""

from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.completion.protocol import CompletionRequest

from models.openai.requests import RESERVED
from tests.server.openai.asking import CHAT, POLICY, PROBLEM, chat

CHATS, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
BODIES: dict[str, dict[str, Any]] = {CHATS: {"messages": CHAT}, COMPLETIONS: {"prompt": PROBLEM}}
MODELS = {"plain": POLICY, "searched": f"{POLICY}@majority-2"}
each_mode = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)

NEUTRAL: dict[str, Any] = {
    "min_p": 0, "min_tokens": 0, "ignore_eos": False, "stop_token_ids": [], "functions": [], "top_k": -1,
    "repetition_penalty": 1, "audio": None, "prediction": None, "modalities": ["text"], "tools": [], "stop": "",
    "tool_choice": "auto", "parallel_tool_calls": True, "function_call": "none", "store": False, "service_tier": "auto",
    "web_search_options": None, "verbosity": "medium", "metadata": {"a": "b"}, "prompt_cache_key": "a",
    "prompt_cache_retention": "24h", "safety_identifier": "a", "logit_bias": {}, "logprobs": False, "top_logprobs": 0,
    "response_format": {"type": "text"}, "reasoning_effort": "medium", "bad_words": [], "length_penalty": 1.0,
    "skip_special_tokens": True, "use_beam_search": False, "n": 1, "frequency_penalty": 0, "presence_penalty": 0.0,
    "stream": False, "stream_options": {"include_usage": True, "include_obfuscation": False}, "user": "someone",
    "chat_template_kwargs": {}, "kv_transfer_params": None, "max_tokens": None, "seed": None, "unheard_of": None,
}  # fmt: skip
"""What clients of all kinds write out."""

TURNS: dict[str, list[dict[str, Any]]] = {
    "names": [{"role": "user", "content": "1 + 1?", "name": "bob"}, {"role": "assistant", "content": "2", "name": "a"}],
    "no name": [{"role": "user", "content": "1 + 1?", "name": None}, {"role": "assistant", "content": "2"}],
    "null for content": [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": None}],
    "no content": [{"role": "user", "content": "1 + 1?"}, {"role": "assistant"}],
    "empty content": [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": ""}],
    "no parts": [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": []}],
    "a reply sent back": [
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "2", "refusal": None, "annotations": [], "audio": None, "function_call": None,
         "tool_calls": [], "reasoning": None, "reasoning_content": None,
         "provider_specific_fields": {"reasoning": None}},  # LiteLLM's
    ],
    "parts": [
        {"role": "user", "content": [{"type": "text", "text": "1", "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "2", "annotations": []}]},
        {"role": "user", "content": [{"type": "input_text", "text": "1"}, {"type": "text", "text": "+ 1?"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ],
    "a developer's": [{"role": "developer", "content": "Be brief.", "name": None}],
}  # fmt: skip

REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    # name: (fields, the field named, what the message says)
    "storage": ({"store": True}, "store", "omit it or use false"),
    "a tier": ({"service_tier": "flex"}, "service_tier", 'omit it or use "auto" or "default"'),
    "sound": ({"modalities": ["text", "audio"]}, "modalities", 'use ["text"]'),
    "a voice": ({"audio": {"voice": "alloy", "format": "wav"}}, "audio", "omit it"),
    "a prediction": ({"prediction": {"type": "content", "content": "a"}}, "prediction", "omit it"),
    "old tools": ({"functions": [{"name": "f"}]}, "functions", "use []"),
    "the web": ({"web_search_options": {}}, "web_search_options", "omit it"),
    "brevity": ({"verbosity": "low"}, "verbosity", 'use "medium"'),
    "padding": ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation",
                "False"),
    "a call of no tool": ({"tool_choice": "required"}, "tool_choice", "tool"),
    "an image": ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}]},
                 "messages.0.content", "'image_url' parts are not supported; send text"),
    "a name that is none": ({"messages": [{"role": "user", "content": "1", "name": 7}]}, "messages.0.name", "string"),
    "no content": ({"messages": [{"role": "user", "content": None}]}, "messages.0", "the content of a user"),
    "no parts": ({"messages": [{"role": "user", "content": []}]}, "messages.0", "the content of a user"),
    "half a call": ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f"}}]}]},
                    "messages.0.tool_calls.0.function.arguments", "required"),
    "an old call": ({"messages": [{"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, *CHAT]},
                    "messages.0", "use tool_calls"),
    "17 texts to stop at": ({"stop": ["a"] * 17}, "stop", "17 texts; allowed: at most 16"),
    "a number to stop at": ({"stop": 7}, "stop", "must be text or a list of texts"),
}  # fmt: skip


@each_mode
@pytest.mark.parametrize("field", NEUTRAL)
async def test_a_field_that_asks_for_nothing_is_accepted(client: httpx.AsyncClient, model: str, field: str) -> None:
    reply = await client.post(CHATS, json={"model": model, "messages": CHAT, "max_tokens": 2, field: NEUTRAL[field]})
    assert (reply.status_code, reply.text[:300] if reply.is_error else "") == (200, "")


@each_mode
async def test_all_of_them_together_leave_the_reply_as_it_is(openai: AsyncOpenAI, model: str) -> None:
    common: dict[str, Any] = {"model": model, "messages": CHAT, "temperature": 0, "max_tokens": 200}
    bare = await chat(openai, **common)
    full = await openai.chat.completions.create(**common, extra_body=NEUTRAL | {"max_tokens": 200})
    assert full.choices[0].message.content == bare.choices[0].message.content


@pytest.mark.parametrize(("path", "kind"), [(CHATS, ChatCompletionRequest), (COMPLETIONS, CompletionRequest)])
async def test_vllms_own_defaults_ask_for_nothing_when_searching(
    client: httpx.AsyncClient, path: str, kind: type[BaseModel]
) -> None:
    fields = {name: field.default for name, field in kind.model_fields.items() if name not in RESERVED}
    defaults = {name: value for name, value in fields.items() if value is not PydanticUndefined}
    body = defaults | BODIES[path] | {"model": MODELS["searched"], "max_tokens": 2}
    reply = await client.post(path, json=body)
    assert (reply.status_code, reply.text[:300] if reply.is_error else "") == (200, "")


@pytest.mark.parametrize("model", [POLICY, f"{POLICY}@majority-1"], ids=MODELS)
@pytest.mark.parametrize("turns", TURNS.values(), ids=TURNS)
async def test_turns_as_clients_send_them_are_taken(openai: AsyncOpenAI, model: str, turns: Any) -> None:
    reply = await chat(openai, model=model, messages=[*turns, *CHAT], max_tokens=2)
    assert reply.usage is not None
    plainly = [{"role": turn["role"].replace("developer", "system"), "content": text_of(turn)} for turn in turns]
    same = await chat(openai, messages=[*plainly, *CHAT], max_tokens=2)
    assert same.usage is not None
    assert reply.usage.prompt_tokens == same.usage.prompt_tokens


def text_of(turn: dict[str, Any]) -> str:
    content = turn.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or part["refusal"] for part in content)


@each_mode
@pytest.mark.parametrize(("fields", "param", "words"), REFUSED.values(), ids=REFUSED)
async def test_what_asks_for_more_is_refused_by_name(
    client: httpx.AsyncClient, model: str, fields: dict[str, Any], param: str, words: str
) -> None:
    reply = await client.post(CHATS, json={"model": model, "messages": CHAT, "max_tokens": 2} | fields)
    error = reply.json()["error"]
    assert reply.status_code in (400, 422)
    assert error["param"].startswith(param)
    assert words in error["message"]


async def test_a_response_ends_at_any_of_sixteen_texts(openai: AsyncOpenAI) -> None:
    whole = (await chat(openai, temperature=0)).choices[0].message.content or ""
    reply = await chat(openai, temperature=0, stop=[f"<{i}>" for i in range(15)] + ["="])
    assert reply.choices[0].message.content == whole.partition("=")[0] != whole


async def test_false_and_0_are_two_things(client: httpx.AsyncClient) -> None:
    body = {"model": MODELS["searched"], "prompt": PROBLEM, "logprobs": 0}
    assert (await client.post(COMPLETIONS, json=body)).json()["error"]["param"] == "logprobs"

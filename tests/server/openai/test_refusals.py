"""What OpenAI's clients may ask and cannot have: refused by name, and raised by the official client as its types."""

from typing import Any

import httpx
import openai as client_library
import pytest
from openai import APIStatusError, AsyncOpenAI, BadRequestError, NotFoundError, UnprocessableEntityError

from search.answers.pool import AnswerPool
from search.expander import Models
from tests.natures import Tree, answer
from tests.server.conftest import listening, openai_client
from tests.server.openai.asking import CHAT, POLICY, SEARCH, chat
from tests.worlds import World

IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}}]}]
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
BLANK = [{"role": "user", "content": " "}]
LONG = [{"role": "user", "content": "7 " * 2000}]
TWICE = [*CHAT, {"role": "system", "content": "Be brief."}, *CHAT]
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "a", "arguments": "{}"}}],
}

PLAIN: dict[str, tuple[dict[str, Any], type[APIStatusError], str | None, str]] = {
    # name: (fields, what the client raises, the field named, what the message says)
    "another model": ({"model": "gpt-4"}, NotFoundError, "model", "allowed: winnow-demo, or winnow-demo@STRATEGY-N"),
    "another strategy": ({"model": f"{POLICY}@mcts-4"}, NotFoundError, "model", "majority, best_of_n"),
    "no budget": ({"model": f"{POLICY}@majority-0"}, NotFoundError, "model", "N 1 to 1,024"),
    "a huge budget": ({"model": f"{POLICY}@majority-1025"}, NotFoundError, "model", "N 1 to 1,024"),
    "a temperature too high": ({"temperature": 3}, UnprocessableEntityError, "temperature", "0 to 2"),
    "too many choices": ({"n": 1000}, UnprocessableEntityError, "n", "1 to 128"),
    "an image": ({"messages": IMAGE}, UnprocessableEntityError, None, "image_url' parts are not supported; send text"),
    "no messages": ({"messages": []}, UnprocessableEntityError, "messages", "at least 1"),
    "an unknown field": ({"extra_body": {"budget": 1}}, BadRequestError, "budget", "allowed fields: messages"),
    "a field of the operator's": ({"extra_body": {"request_id": "1"}}, BadRequestError, "request_id", "not served"),
    "too many logprobs": ({"logprobs": True, "top_logprobs": 99}, BadRequestError, "logprobs", "max allowed: 20"),
    "a wrong type": ({"extra_body": {"top_k": "many"}}, BadRequestError, "top_k", "valid integer"),
    "a type that vLLM chokes on": ({"extra_body": {"structured_outputs": "a"}}, BadRequestError, "structured_outputs",
                                   "cannot be read"),
    "a token that is none": ({"logit_bias": {"99999": 1}}, BadRequestError, "logit_bias", "out-of-vocab"),
    "the same in a stream": (
        {"logit_bias": {"99999": 1}, "stream": True},
        BadRequestError,
        "logit_bias",
        "out-of-vocab",
    ),
    "too long a chat": (
        {"messages": LONG},
        BadRequestError,
        "messages",
        "1024",
    ),
    "tools that nobody parses": ({"tools": TOOLS, "tool_choice": "auto"}, BadRequestError, "tool_choice",
                                 "tool-call-parser"),
    "storage": ({"store": True}, UnprocessableEntityError, "store", "use false"),
}  # fmt: skip

SEARCHED: dict[str, tuple[dict[str, Any], type[APIStatusError], str | None, str]] = {
    "stop": ({"stop": ["="]}, UnprocessableEntityError, "stop", "omit it"),
    "logprobs": ({"logprobs": True}, UnprocessableEntityError, "logprobs", "omit it or use false"),
    "tools that may be called": ({"tools": TOOLS}, UnprocessableEntityError, "tool_choice", 'use "required"'),
    "a grammar": ({"extra_body": {"structured_outputs": {"regex": "a"}}}, UnprocessableEntityError,
                  "structured_outputs", "omit it"),
    "a penalty": ({"presence_penalty": 1.0}, UnprocessableEntityError, "presence_penalty", "omit it or use 0"),
    "a bias": ({"logit_bias": {"5": 1}}, UnprocessableEntityError, "logit_bias", "omit it or use {}"),
    "a field of vLLM's": ({"extra_body": {"top_k": 3}}, UnprocessableEntityError, "top_k", "when searching"),
    "a negative seed": ({"seed": -1}, UnprocessableEntityError, "seed", "greater than or equal to 0"),
    "two lengths": ({"max_completion_tokens": 5}, UnprocessableEntityError, "max_tokens", "one of the two"),
    "an answer to go on with": ({"messages": [*CHAT, {"role": "assistant", "content": "9"}]}, UnprocessableEntityError,
                                "messages", "must be the user's"),
    "a late system prompt": ({"messages": TWICE}, UnprocessableEntityError, "messages.1.role", "before all others"),
    "a tool call": ({"messages": [CALL, *CHAT]}, UnprocessableEntityError, "messages.0.tool_calls", "role and content"),
    "a blank question": ({"messages": BLANK}, UnprocessableEntityError, "messages", "at least 1"),
    "too long a question": ({"messages": LONG}, BadRequestError, "messages", "at most"),
    "a stream's running bill": ({"stream": True, "stream_options": {"continuous_usage_stats": True}},
                                UnprocessableEntityError, "stream_options.continuous_usage_stats", "use false"),
}  # fmt: skip

OPTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    # name: (the search object, the field named, what the message says)
    "an unknown option": ({"budget": 4}, "search.budget", "allowed fields: n, strategy"),
    "an unknown strategy": ({"strategy": "mcts"}, "search.strategy", "majority, best_of_n"),
    "a budget that is not divisible": ({"strategy": "dvts", "n": 6}, "search.beam_width", "n = 6 is not divisible"),
    "a useless option": (
        {"strategy": "majority", "lookahead": 1},
        "search.lookahead",
        "not supported by strategy majority",
    ),
    "a verifier that cannot learn": ({"strategy": "ttt_best_of_n"}, "search.strategy", "cannot learn"),
}


@pytest.mark.parametrize("name", PLAIN)
async def test_a_plain_request_is_refused_by_name(openai: AsyncOpenAI, name: str) -> None:
    fields, kind, param, words = PLAIN[name]
    asked: dict[str, Any] = {"model": POLICY, "messages": CHAT, "max_tokens": 4} | fields
    with pytest.raises(kind) as raised:
        await openai.chat.completions.create(**asked)
    assert type(raised.value) is kind
    assert words in raised.value.message
    assert param in (raised.value.param, None)


@pytest.mark.parametrize("name", SEARCHED)
async def test_a_search_refuses_by_name_what_it_cannot_honour(openai: AsyncOpenAI, name: str) -> None:
    fields, kind, param, words = SEARCHED[name]
    asked: dict[str, Any] = {"model": f"{POLICY}@majority-4", "messages": CHAT, "max_tokens": 4} | fields
    with pytest.raises(kind) as raised:
        await openai.chat.completions.create(**asked)
    assert (type(raised.value), raised.value.param) == (kind, param)
    assert words in raised.value.message


@pytest.mark.parametrize("name", OPTIONS)
async def test_an_option_of_the_search_is_named_as_the_client_wrote_it(openai: AsyncOpenAI, name: str) -> None:
    search, param, words = OPTIONS[name]
    with pytest.raises(UnprocessableEntityError) as raised:
        await chat(openai, search)
    assert raised.value.param == param
    assert words in raised.value.message


async def test_a_name_and_an_object_that_say_the_same_are_refused(openai: AsyncOpenAI) -> None:
    with pytest.raises(UnprocessableEntityError, match=r"search\.n: already set by the name of the model; omit it"):
        await chat(openai, {"n": 4}, model=f"{POLICY}@majority-4")


async def test_an_unknown_model_has_openais_code(openai: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError) as raised:
        await openai.models.retrieve("gpt-4")
    assert raised.value.code == "model_not_found"


@pytest.mark.parametrize("prompt", [["one", "two"], [1, 2, 3], [[1], [2]]])
async def test_a_searched_completion_takes_one_text(openai: AsyncOpenAI, prompt: Any) -> None:
    with pytest.raises(UnprocessableEntityError, match="prompt: a search takes one problem"):
        await openai.completions.create(model=POLICY, prompt=prompt, extra_body={"search": SEARCH})


@pytest.mark.parametrize("body", [
    b'{"model": "winnow-demo", "messages": [{"role": "user", "content": "\\ud800"}]}',
    b'{"model": "winnow-demo", "messages": [{"role": "user", "content": "1"}], "\\ud800": 1}',
    b'{"model": "winnow-demo", "messages": [{"role": "user", "content": "1"}], "search": {}, "\\ud800": 1}',
    b'{"model": "winnow-demo", "messages": [{"role": "user", "content": "1", "\\ud800": 1}], "search": {}}',
    b'{"model": "\\ud800", "messages": [{"role": "user", "content": "1"}]}',
    b'{"model": "winnow-demo", "messages": [{"role": "user", "content": [{"type": "\\ud800"}]}]}',
    b'{"model": "winnow-demo", "messages": [{"role": "user", "content": "1"}], "search": {"\\ud800": 1}}',
    b'{"model": "winnow-demo", "messages": [{"role": "user", "content": "1"}], "response_format": {"type": "regex"}}',
    b'{"model": "winnow-demo", "messages": [{"role": "user", "content": "1"}], "bad_words": ["\\ud800"]}',
    b'{"model": "winnow-demo", "messages": 7}',
    b'{"model": "winnow-demo", "messages": [7]}',
    b'{"model": "winnow-demo", "messages": [{"role": "user", "content": {"type": "text"}}]}',
    b'[]',
])  # fmt: skip
async def test_odd_bodies_are_the_clients_mistake(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert 400 <= response.status_code < 500
    assert response.json()["error"]["type"] == "invalid_request_error"


async def test_nobody_to_answer_without_a_search_is_a_503() -> None:
    world = World(Tree(answer("1", 0.5)))
    async with AnswerPool(num_workers=1) as reader, listening(Models(world.policy, world.verifier, reader)) as client:
        with pytest.raises(client_library.InternalServerError) as raised:
            await chat(openai_client(client), model=POLICY)
    assert raised.value.status_code == 503

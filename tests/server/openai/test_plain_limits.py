"""The policy itself is asked within the limits of searches; what is too much is refused by name, before any engine."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.server.services import service, world_of

CHATS, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
CHAT = {"model": "winnow-demo", "messages": [{"role": "user", "content": "1 + 1?"}]}
COMPLETION = {"model": "winnow-demo", "prompt": "1 + 1 ="}
LIMITS = {"max_n": 8, "max_tokens": 100, "max_deadline_s": 5.0, "max_cost": 600}
TOKENS = [[1, 2]] * 3

TOO_MUCH: dict[str, tuple[str, dict[str, Any], str, str]] = {
    # name: (route, fields, the field named, what the message says)
    "choices": (CHATS, {"n": 9}, "n", "allowed: at most 8"),
    "choices of a completion": (COMPLETIONS, {"n": 9}, "n", "allowed: at most 8"),
    "choices of all prompts": (COMPLETIONS, {"prompt": ["a", "b", "c"], "n": 3}, "prompt", "9 choices"),
    "choices of all prompts in ids": (COMPLETIONS, {"prompt": TOKENS, "n": 3}, "prompt", "9 choices"),
    "tokens": (CHATS, {"max_tokens": 101}, "max_tokens", "allowed: at most 100"),
    "tokens by the newer name": (
        CHATS,
        {"max_completion_tokens": 101},
        "max_completion_tokens",
        "allowed: at most 100",
    ),
    "tokens of a completion": (COMPLETIONS, {"max_tokens": 101}, "max_tokens", "allowed: at most 100"),
    "two lengths": (CHATS, {"max_tokens": 1, "max_completion_tokens": 90}, "max_tokens", "one of the two"),
    "a cost": (CHATS, {"n": 7, "max_tokens": 100}, "n", "700 tokens; allowed: at most 600"),
    "a cost of all prompts": (COMPLETIONS, {"prompt": ["a"] * 7, "max_tokens": 100}, "prompt", "700 tokens"),
    "a cost of all prompts in ids": (COMPLETIONS, {"prompt": TOKENS, "n": 2, "max_tokens": 101}, "max_tokens", "100"),
    "a cost of what is left open": (CHATS, {"n": 7}, "n", "700 tokens"),
    "a deadline": (CHATS, {"deadline_s": 5.5}, "deadline_s", "allowed: at most 5"),
    "a deadline of a stream": (COMPLETIONS, {"deadline_s": 5.5, "stream": True}, "deadline_s", "at most 5"),
    "biases": (CHATS, {"logit_bias": {str(i): 1 for i in range(1_025)}}, "logit_bias", "at most 1,024"),
    "forbidden words": (CHATS, {"bad_words": ["a"] * 65}, "bad_words", "at most 64"),
    "a forbidden word": (CHATS, {"bad_words": ["a" * 257]}, "bad_words", "at most 256 each"),
    "a stop": (CHATS, {"stop": "a" * 1_025}, "stop", "at most 1,024 each"),
    "stops": (CHATS, {"stop": ["a", "a" * 1_025]}, "stop", "at most 1,024 each"),
    "ids that stop": (COMPLETIONS, {"stop_token_ids": [1] * 1_025}, "stop_token_ids", "at most 1,024"),
    "ids that are allowed": (COMPLETIONS, {"allowed_token_ids": [1] * 16_385}, "allowed_token_ids", "at most 16,384"),
    "a pattern": (
        CHATS,
        {"repetition_detection": {"max_pattern_size": "257", "min_count": 2}},
        "repetition_detection.max_pattern_size",
        "257 tokens; allowed: at most 256",
    ),
    "tools": (CHATS, {"tools": [{}] * 129}, "tools", "at most 128"),
    "a number that is none": (CHATS, {"min_p": float("nan")}, "min_p", "not a number that JSON has"),
    "a number without end": (CHATS, {"repetition_penalty": float("inf")}, "repetition_penalty", "not a number"),
    "a number in depth": (CHATS, {"logit_bias": {"1": float("-inf")}}, "logit_bias.1", "not a number"),
    "a number of many digits": (CHATS, {"top_k": 10**300}, "top_k", "64 bits"),
    "half a character": (CHATS, {"bad_words": ["\ud800"]}, "bad_words.0", "surrogate"),
}

TOO_MANY_LOGPROBS: dict[str, tuple[str, dict[str, Any], str]] = {
    "of a chat": (CHATS, {"logprobs": True, "top_logprobs": 20, "n": 8, "max_tokens": 1000}, "logprobs"),
    "of a completion": (COMPLETIONS, {"logprobs": 20, "n": 8, "max_tokens": 1000}, "logprobs"),
    "of a completion, in quotes": (COMPLETIONS, {"logprobs": "20", "n": 8, "max_tokens": 1000}, "logprobs"),
    "of a chat, in quotes": (CHATS, {"logprobs": True, "top_logprobs": "20", "n": 8, "max_tokens": 1000}, "logprobs"),
    "of a vocabulary": (COMPLETIONS, {"logprobs": -1, "max_tokens": 2}, "logprobs"),
    "of prompts": (COMPLETIONS, {"prompt_logprobs": 20, "prompt": ["a" * 900] * 8}, "prompt_logprobs"),
    "of prompts that are echoed": (COMPLETIONS, {"echo": True, "logprobs": 20, "prompt": ["a" * 900] * 8}, "logprobs"),
    "of a prompt of a chat": (CHATS, {"prompt_logprobs": -1}, "prompt_logprobs"),
}


@pytest.fixture(scope="module")
async def limited() -> AsyncIterator[httpx.AsyncClient]:
    async with service(world_of("1"), **LIMITS) as client:
        yield client


async def refusal(client: httpx.AsyncClient, path: str, fields: dict[str, Any]) -> tuple[int, str, str]:
    """Ask, and return the status, the field that is named, and the message."""
    content = json.dumps((CHAT if path == CHATS else COMPLETION) | fields)
    reply = await client.post(path, content=content, headers={"content-type": "application/json"})
    error = reply.json()["error"]
    return reply.status_code, error["param"], error["message"]


@pytest.mark.parametrize(("path", "fields", "param", "words"), TOO_MUCH.values(), ids=TOO_MUCH)
async def test_more_than_a_service_allows_is_refused_by_name(
    limited: httpx.AsyncClient, path: str, fields: dict[str, Any], param: str, words: str
) -> None:
    status, named, message = await refusal(limited, path, fields)
    assert (status, named) == (422, param)
    assert words in message


@pytest.mark.parametrize(("path", "fields", "param"), TOO_MANY_LOGPROBS.values(), ids=TOO_MANY_LOGPROBS)
async def test_log_probabilities_are_bounded_by_their_number_in_the_reply(
    path: str, fields: dict[str, Any], param: str
) -> None:
    async with service(world_of("1")) as client:
        status, named, message = await refusal(client, path, fields)
    assert (status, named) == (422, param)
    assert "131,072" in message


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (CHATS, {"n": 8, "max_tokens": 75}),
        (CHATS, {"max_tokens": 100, "max_completion_tokens": 100}),
        (COMPLETIONS, {"prompt": ["a", "b"], "n": 4}),
        (COMPLETIONS, {"prompt": [1] * 50}),
        (CHATS, {"deadline_s": 5.0, "logprobs": True, "top_logprobs": 20}),
    ],
)
async def test_what_a_service_allows_gets_as_far_as_the_policy(
    limited: httpx.AsyncClient, path: str, fields: dict[str, Any]
) -> None:
    status, _, _ = await refusal(limited, path, fields)
    assert status == 503  # this service has none that answers without a search


async def test_a_request_256_times_over_the_cost_is_refused_by_the_limits_that_hold_without_settings() -> None:
    async with service(world_of("1")) as client:
        status, named, _ = await refusal(client, COMPLETIONS, {"prompt": ["a"] * 256, "n": 128, "max_tokens": 1000})
    assert (status, named) == (422, "prompt")


@pytest.mark.parametrize("search", [{}, {"deadline_s": 4.0}])
async def test_a_deadline_beside_a_search_is_the_searchs(limited: httpx.AsyncClient, search: dict[str, Any]) -> None:
    reply = await limited.post(CHATS, json=CHAT | {"search": {"n": 1} | search, "deadline_s": 4.0})
    assert reply.status_code == 200
    status, named, message = await refusal(limited, CHATS, {"search": {"deadline_s": 2.0}, "deadline_s": 3.0})
    assert (status, named) == (422, "deadline_s")
    assert "one of the two" in message

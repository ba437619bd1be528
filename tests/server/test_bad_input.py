"""What the service refuses, how it says so, and that it goes on."""

from typing import Any

import httpx
import pytest

from models.policy.engine_policy import EnginePolicy
from tests.models.policy.test_engine_policy import metric

PROBLEM = {"problem": "Compute (17 + 28) * 3 - 45.", "strategy": "majority", "n": 1, "max_tokens": 4, "include": []}

REFUSED: dict[str, tuple[dict[str, Any], int, str, str]] = {
    # name: (fields, status, the field named, what the message allows)
    "an empty problem": ({"problem": ""}, 422, "problem", "1 to 65,536 characters"),
    "a blank problem": ({"problem": " \n\t"}, 422, "problem", "1 to 65,536 characters"),
    "a problem of 100 kB": ({"problem": "7" * 100_000}, 422, "problem", "1 to 65,536 characters"),
    "a problem longer than the context": ({"problem": "1 + 2 " * 8_000}, 422, "problem", "at most"),
    "no budget": ({"n": 0}, 422, "n", "1 to 1,024"),
    "a negative budget": ({"n": -1}, 422, "n", "1 to 1,024"),
    "a huge budget": ({"n": 10**9}, 422, "n", "1 to 1,024"),
    "a budget in words": ({"n": "ten"}, 422, "n", "1 to 1,024"),
    "half a candidate": ({"n": 2.5}, 422, "n", "1 to 1,024"),
    "a budget in quotes": ({"n": "10"}, 422, "n", "1 to 1,024"),
    "a budget that is not divisible": ({"n": 6, "strategy": "dvts"}, 422, "beam_width", "n = 6 is not divisible"),
    "an unknown field": ({"budget": 4}, 422, "budget", "allowed fields: problem, n"),
    "an unknown strategy": ({"strategy": "mcts"}, 422, "strategy", "majority, best_of_n"),
    "a target for another strategy": (
        {"target_confidence": 0.9},
        422,
        "target_confidence",
        "by strategy majority; omit it or use auto",
    ),
    "a target that is no probability": (
        {"strategy": "auto", "target_confidence": 1.5},
        422,
        "target_confidence",
        "0 to 1",
    ),
    "a limit of tokens that nothing keeps": (
        {"strategy": "auto", "n": 16, "max_total_tokens": 1},
        422,
        "max_total_tokens",
        "at least",
    ),
    "a field of other strategies": (
        {"lookahead": 2},
        422,
        "lookahead",
        "omit it or use beam_search or dvts",
    ),
    "a temperature too high": ({"temperature": 2.5}, 422, "temperature", "0 to 2"),
    "a top_p of zero": ({"top_p": 0}, 422, "top_p", "0 to 1"),
    "no tokens": ({"max_tokens": 0}, 422, "max_tokens", "1 to 131,072"),
    "a negative seed": ({"seed": -1}, 422, "seed", "0 to 9,223,372,036,854,775,807"),
    "a deadline in the past": ({"deadline_s": -1.0}, 422, "deadline_s", "0 to 3,600"),
    "too many gradient steps": ({"adapt_steps": 6}, 422, "adapt_steps", "1 to 5"),
    "too large a learning rate": ({"adapt_learning_rate": 1.0}, 422, "adapt_learning_rate", "0.001 to 0.1"),
    "a verifier that cannot learn": ({"strategy": "ttt_best_of_n"}, 422, "strategy", "WINNOW_VERIFIER_FORMAT=torch"),
    "steps by no rule": ({"steps": {}}, 422, "steps", "give one of delimiter, tokens and markers"),
    "steps by two rules": ({"steps": {"tokens": 8, "delimiter": "."}}, 422, "steps", "give one of"),
    "steps in words": ({"steps": "lines"}, 422, "steps", ""),
    "steps by an unknown rule": ({"steps": {"lines": 1}}, 422, "steps.lines", "allowed fields: delimiter, tokens"),
    "an empty delimiter": ({"steps": {"delimiter": ""}}, 422, "steps.delimiter", "1 to 100 characters"),
    "a delimiter of 10 kB": ({"steps": {"delimiter": "\n" * 10_000}}, 422, "steps.delimiter", "1 to 100 characters"),
    "steps of no tokens": ({"steps": {"tokens": 0}}, 422, "steps.tokens", "1 to 8,192"),
    "steps of half a token": ({"steps": {"tokens": 0.5}}, 422, "steps.tokens", "1 to 8,192"),
    "steps of a million tokens": ({"steps": {"tokens": 10**6}}, 422, "steps.tokens", "1 to 8,192"),
    "no markers": ({"steps": {"markers": []}}, 422, "steps.markers", "at least 1"),
    "a thousand markers": ({"steps": {"markers": ["So"] * 1000}}, 422, "steps.markers", "at most 32"),
    "a marker that shows nothing": (
        {"steps": {"markers": ["So", " \n"]}},
        422,
        "steps.markers.1",
        "1 to 100 characters",
    ),
    "a marker of 10 kB": ({"steps": {"markers": ["x" * 10_000]}}, 422, "steps.markers.0", "1 to 100 characters"),
    "unknown evidence": ({"include": ["everything"]}, 422, "include.0", "candidates, tree"),
    "a missing problem": ({"problem": None}, 422, "problem", "characters"),
}

MALFORMED: dict[str, tuple[bytes, str, int, str]] = {
    # name: (body, content type, status, the field named)
    "a temperature that is no number": (
        b'{"problem": "1", "temperature": NaN}',
        "application/json",
        422,
        "temperature",
    ),
    "invalid UTF-8": (b'{"problem": "\xff\xfe"}', "application/json", 400, "body"),
    "invalid JSON": (b'{"problem": ', "application/json", 400, "body"),
    "a lone surrogate": (b'{"problem": "\\ud800"}', "application/json", 422, "problem"),
    "a number for a body": (b"7", "application/json", 422, "body"),
    "no body": (b"", "application/json", 422, "body"),
    "deep nesting": (b"[" * 100_000, "application/json", 400, "body"),
    "the wrong content type": (b'{"problem": "1"}', "text/plain", 415, "content-type"),
    "a form": (b"problem=1", "application/x-www-form-urlencoded", 415, "content-type"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refusal_names_the_field_and_what_is_allowed(
    client: httpx.AsyncClient, policy: EnginePolicy, name: str
) -> None:
    fields, status, param, allowed = REFUSED[name]
    num_read = metric(policy.engine, "vllm:prompt_tokens_total")
    response = await client.post("/solve", json=PROBLEM | fields)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["type"]) == (status, param, "invalid_request_error")
    assert param.split(".")[0] in error["message"]
    assert allowed in error["message"]
    assert metric(policy.engine, "vllm:prompt_tokens_total") == num_read  # a refusal asks no model


@pytest.mark.parametrize("fields", [{"n": 1.0}, {"seed": 2.0}, {"include": ["tree", "tree"]}])
async def test_what_means_the_same_is_accepted(client: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    assert (await client.post("/solve", json=PROBLEM | fields)).status_code == 200


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_body_is_refused_by_name(client: httpx.AsyncClient, name: str) -> None:
    content, media_type, status, param = MALFORMED[name]
    response = await client.post("/solve", content=content, headers={"content-type": media_type})
    assert (response.status_code, response.json()["error"]["param"]) == (status, param)


async def test_the_service_answers_after_refusing(client: httpx.AsyncClient) -> None:
    await client.post("/solve", json=PROBLEM | {"n": 10**9})
    assert (await client.post("/solve", json=PROBLEM)).status_code == 200


async def test_an_error_carries_the_id_of_its_request(client: httpx.AsyncClient) -> None:
    response = await client.post("/solve", json={})
    assert response.json()["request_id"] == response.headers["x-request-id"] != ""


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/solve", 405)])
async def test_a_wrong_address_is_answered_in_the_same_shape(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.json()["error"]["type"]) == (status, "invalid_request_error")

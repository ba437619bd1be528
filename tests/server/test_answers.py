"""`POST /v1/answers/equivalent`: the grader over HTTP."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.search.answers.test_host import SLOW

PATH = "/v1/answers/equivalent"


async def compare(client: httpx.AsyncClient, *pairs: tuple[str | None, str | None]) -> list[dict[str, Any]]:
    response = await client.post(PATH, json={"pairs": [{"a": a, "b": b} for a, b in pairs]})
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


async def test_pairs_are_compared_by_mathematics_in_their_order(client: httpx.AsyncClient) -> None:
    pairs = [("0.5", r"\frac12"), ("0.5", "0.6"), ("x=5", "5"), ("(1,2)", "(2,1)")]
    results = await compare(client, *pairs * 8)
    assert [result["equivalent"] for result in results] == [True, False, True, False] * 8


async def test_a_result_says_what_each_compares_as_and_why(client: httpx.AsyncClient) -> None:
    (result,) = await compare(client, ("0.50", r"\frac12"))
    assert result == {"equivalent": True, "canonical": ["1/2", "1/2"], "reason": "same canonical value"}


@pytest.mark.parametrize("nothing", [None, "", " \n"])
async def test_no_answer_is_equivalent_to_nothing(client: httpx.AsyncClient, nothing: str | None) -> None:
    one, neither = await compare(client, ("7", nothing), (nothing, nothing))
    assert one == {"equivalent": False, "canonical": ["7", None], "reason": "one has no answer"}
    assert neither == {"equivalent": False, "canonical": [None, None], "reason": "neither has an answer"}


async def test_an_answer_over_its_time_compares_as_text_and_it_is_said(client: httpx.AsyncClient) -> None:
    (result,) = await compare(client, (SLOW, "7"))
    assert result["reason"].startswith("a took longer than its time limit and compares as text")
    assert result["canonical"][0].startswith("text:")


async def test_slow_answers_keep_nothing_else_waiting(client: httpx.AsyncClient) -> None:
    slow = asyncio.create_task(compare(client, *((f"{k} {SLOW}", "7") for k in range(3))))
    num_answered = 0
    while not slow.done():
        assert (await client.get("/healthz")).status_code == 200
        num_answered += 1
        await asyncio.sleep(0.02)
    assert num_answered > 5  # while one worker is at it for three times 0.5 s


@pytest.mark.parametrize(
    ("body", "param", "allowed"),
    [
        ({}, "pairs", "required"),
        ({"pairs": []}, "pairs", "at least 1"),
        ({"pairs": [{"a": "1", "b": "1"}] * 257}, "pairs", "at most 256"),
        ({"pairs": [{"a": "1", "b": "1"}, {"a": "1"}]}, "pairs.1.b", "required"),
        ({"pairs": [{"a": "1" * 4097, "b": "1"}]}, "pairs.0.a", "at most 4096 characters"),
        ({"pairs": [{"a": 1, "b": "1"}]}, "pairs.0.a", "string"),
        ({"pairs": [{"a": "1", "b": "1", "c": "1"}]}, "pairs.0.c", "not permitted"),
    ],
)
async def test_a_refusal_names_the_pair_and_what_is_allowed(
    client: httpx.AsyncClient, body: dict[str, Any], param: str, allowed: str
) -> None:
    response = await client.post(PATH, json=body)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["type"]) == (422, param, "invalid_request_error")
    assert allowed in error["message"]

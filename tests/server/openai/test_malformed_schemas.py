"""What responses cannot be held to is refused by name, soon, and leaves the service as it was."""

import json
import time
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from tests.malformed_schemas import OK, malformed
from tests.server.openai.asking import CHAT, POLICY, chat

TABLE = malformed()
SOON_S = 10.0
"""A trial has a second of CPU time, on a machine that others use, too."""


def body_of(fields: dict[str, Any]) -> dict[str, Any]:
    search = {"n": 2, "strategy": "majority"} | fields.get("search", {})
    return {"model": POLICY, "messages": CHAT, "max_tokens": 20} | fields | {"search": search}


def test_there_are_two_hundred_and_more() -> None:
    assert len(TABLE) >= 200


@pytest.mark.parametrize("name", TABLE)
async def test_a_form_that_cannot_be_served_is_refused_by_name(client: httpx.AsyncClient, name: str) -> None:
    began = time.perf_counter()
    reply = await client.post(
        "/v1/chat/completions",
        content=json.dumps(body_of(TABLE[name])).encode(),
        headers={"Content-Type": "application/json"},
    )
    took_s = time.perf_counter() - began
    error = reply.json()["error"]
    assert 400 <= reply.status_code < 500, reply.text
    assert (error["param"] or "").partition(".")[0] in TABLE[name], error
    assert error["message"].startswith(error["param"]), error
    assert len(error["message"]) < 1_000
    assert took_s < SOON_S


async def test_after_them_all_a_good_one_is_served(openai: AsyncOpenAI) -> None:
    reply = await chat(openai, {"n": 2, "strategy": "majority"}, **OK)
    assert json.loads(reply.choices[0].message.content or "").keys() <= {"a"}

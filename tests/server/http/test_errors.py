"""The table from exception to status, and where an error is said to be."""

from typing import Any

import pytest

import models.errors
import search.errors
from server.http.errors import STATUS
from tests.server.services import service, world_of


def test_every_error_that_a_request_can_meet_has_a_status() -> None:
    raised = {
        error
        for module in (models.errors, search.errors)
        for error in vars(module).values()
        if isinstance(error, type) and issubclass(error, Exception)
    }
    assert raised == set(STATUS)


SEVERAL_KINDS: dict[str, tuple[dict[str, Any], str, str]] = {
    # name: (a message, the field named, what the message says)
    "a long text": ({"content": "x" * 65_537}, "messages.0.content", "at most 65536 characters"),
    "a part without its text": ({"content": [{"type": "text"}]}, "messages.0.content.0.text", "valid string"),
    "a long part": (
        {"content": [{"type": "text", "text": "x" * 65_537}]}, "messages.0.content.0.text", "at most 65536 characters"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("message", "param", "words"), SEVERAL_KINDS.values(), ids=SEVERAL_KINDS)
async def test_of_a_value_that_may_be_of_several_kinds_the_nearest_is_spoken_of(
    message: dict[str, Any], param: str, words: str
) -> None:
    async with service(world_of("1")) as client:
        body = {"model": "winnow-demo", "messages": [{"role": "user", **message}]}
        error = (await client.post("/v1/chat/completions", json=body)).json()["error"]
    assert error["param"] == param
    assert error["message"].startswith(f"{param}: ")
    assert words in error["message"]

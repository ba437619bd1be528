"""What a server's release lacks is read from its own description."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from models.errors import EngineUnavailableError
from models.generation import Generation
from models.remote.releases import GAPS, Runner, read_gaps
from models.remote.replies import ReplyError
from tests.models.remote.stage import IMPATIENT, Actor, staged
from tests.models.remote.test_replicas import ask

ALL = {"/v1/completions": ["return_token_ids", "structured_outputs", "logprob_token_ids", "stream_interval"]}


def described(paths: Mapping[str, Sequence[str]]) -> bytes:
    """The description of a server whose requests at these paths have these fields, as FastAPI words it."""

    def post(name: str) -> dict[str, Any]:
        schema = {"$ref": f"#/components/schemas/{name}"}
        return {"post": {"requestBody": {"content": {"application/json": {"schema": {"anyOf": [schema]}}}}}}

    schemas: dict[str, Any]
    schemas = {path[1:]: {"properties": {field: {} for field in fields}} for path, fields in paths.items()}
    return json.dumps({"paths": {path: post(path[1:]) for path in paths}, "components": {"schemas": schemas}}).encode()


def without(field: str) -> bytes:
    return described({path: [each for each in fields if each != field] for path, fields in ALL.items()})


@pytest.mark.parametrize("gap", [gap for gap in GAPS if gap.runner == "generate"], ids=str)
def test_a_field_that_a_release_lacks_is_its_gap(gap: Any) -> None:
    assert read_gaps(without(gap.field), "generate") == (gap,)


def test_a_release_with_every_field_has_no_gap() -> None:
    assert read_gaps(described(ALL), "generate") == ()
    assert read_gaps(described(ALL)) == ()


@pytest.mark.parametrize(("runner", "fatal"), [("generate", "return_token_ids"), ("pooling", None)])
def test_a_server_that_can_do_nothing_lacks_what_is_needed(runner: Runner, fatal: str | None) -> None:
    first, *_ = read_gaps(described({}), runner)
    assert (first.field, first.is_fatal) == (fatal, True)


@pytest.mark.parametrize(
    "data", [b"<html>", b"[]", b'{"paths": []}', b'{"paths": {"/classify": {"post": {"$ref": 7}}}, "components": 1}']
)
def test_what_describes_nothing_is_no_description(data: bytes) -> None:
    with pytest.raises(ReplyError):
        read_gaps(data, "pooling")


async def test_a_gap_is_said_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with staged(Actor(described=without("stream_interval"), release="0.26.0")) as engine:
            assert await ask(engine) == [20, 0]
    (line,) = [record.message for record in caplog.records if "vLLM" in record.message]
    assert "runs vLLM 0.26.0, which has no stream_interval (each token is an event" in line


async def test_a_server_that_says_no_token_ids_is_left_out() -> None:
    with pytest.raises(EngineUnavailableError, match=r"its vLLM 0.8.5 has no return_token_ids"):
        async with staged(
            Actor(described=without("return_token_ids"), release="0.8.5"), patience=replace(IMPATIENT, start_s=0.2)
        ):
            pass


async def test_a_grammar_that_a_server_would_ignore_is_not_sent_to_it() -> None:
    actor = Actor(described=without("structured_outputs"))
    async with staged(actor) as engine:
        with pytest.raises(EngineUnavailableError, match="holds no response to a grammar"):
            await anext(engine.generate([20], Generation(max_tokens=9, grammar=("json_object", ""))))
    assert actor.asked == []

"""`early_stop: probable` over HTTP, on the demo pair and on worlds."""

import asyncio
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from tests.server.openai.asking import chat, evidence
from tests.server.processes import WINNOW
from tests.server.services import service, world_of
from tests.server.test_solve import solve
from tests.server.test_streaming import read_events

EASY = "Compute 8 + 6 * 4 - 12."
PROBABLE = {"problem": EASY, "n": 32, "early_stop": "probable"}
RULES = ("probable", "exact", "all")


@pytest.mark.parametrize("strategy", ["majority", "best_of_n", "weighted_best_of_n", "dvts"])
async def test_what_is_drawn_are_candidates_of_the_whole_search(client: httpx.AsyncClient, strategy: str) -> None:
    part = await solve(client, **PROBABLE, strategy=strategy)
    whole = await solve(client, **PROBABLE | {"early_stop": False}, strategy=strategy)
    stopping = part["diagnostics"]["stopping"]
    assert part["status"] == "complete"
    assert (stopping["rule"] in RULES, stopping["of"]) == (True, 32)
    assert stopping["num_candidates"] <= 32
    assert 0 <= stopping["change_probability_bound"] <= 0.05
    assert part["usage"]["completion_tokens"] <= whole["usage"]["completion_tokens"]
    texts = {candidate["id"]: candidate["response"] for candidate in whole["candidates"]}
    ended = [candidate for candidate in part["candidates"] if candidate["finish"] == "complete"]
    assert sum(texts.get(each["id"]) == each["response"] for each in ended) >= 0.9 * len(ended)  # rounding in a batch
    assert part["usage"]["candidates"] == len(ended)
    assert whole["diagnostics"]["stopping"] is None


async def test_a_clear_vote_leaves_candidates_out(client: httpx.AsyncClient) -> None:
    reply = await solve(client, **PROBABLE | {"n": 64}, strategy="weighted_best_of_n")
    stopping = reply["diagnostics"]["stopping"]
    assert (reply["answer"], stopping["rule"], stopping["of"]) == ("20", "probable", 64)
    assert sum(vote["count"] for vote in reply["votes"]) <= stopping["num_candidates"] < 64
    assert (reply["strategy"]["early_stop"], reply["strategy"]["stop_probability"]) == ("probable", 0.95)


async def test_auto_stops_in_its_probe_and_in_what_follows(client: httpx.AsyncClient) -> None:
    stopping = (await solve(client, **PROBABLE | {"n": 64}, strategy="auto"))["diagnostics"]["stopping"]
    assert stopping["num_candidates"] <= stopping["of"] <= 64
    assert stopping["change_probability_bound"] <= 0.05


async def test_a_stream_and_a_chat_say_how_the_search_ended(client: httpx.AsyncClient, openai: AsyncOpenAI) -> None:
    *_, (last, streamed) = await read_events(client, **PROBABLE, strategy="majority")
    assert (last, streamed["diagnostics"]["stopping"]["of"]) == ("result", 32)
    asked = {"strategy": "majority", "n": 32, "early_stop": "probable", "stop_probability": 0.9}
    found = evidence(await chat(openai, asked, messages=[{"role": "user", "content": EASY}]))
    assert (found["diagnostics"]["stopping"]["of"], found["strategy"]["stop_probability"]) == (32, 0.9)


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"strategy": "beam_search"}, "early_stop", "probable is not supported by strategy beam_search"),
        ({"strategy": "rebase"}, "early_stop", "probable is not supported by strategy rebase"),
        ({"early_stop": "exact", "stop_probability": 0.9}, "stop_probability", "not supported with this early_stop"),
        ({"early_stop": False, "stop_probability": 0.9}, "stop_probability", "not supported with this early_stop"),
        ({"stop_probability": 0.5}, "stop_probability", "greater than 0.5"),
        ({"stop_probability": 1}, "stop_probability", "less than 1"),
        ({"early_stop": "perhaps"}, "early_stop", "allowed: exact, probable, true, false"),
        ({"early_stop": 0}, "early_stop", "'exact', 'probable' or False"),
        ({"early_stop": None}, "early_stop", "'exact', 'probable' or False"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(fields: dict[str, Any], param: str, words: str) -> None:
    async with service(world_of()) as client:
        asked = PROBABLE | {"strategy": "majority"} | fields
        response = await client.post("/solve", json=asked)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (422, param)
    assert words in error["message"]


@pytest.mark.parametrize(("early_stop", "is_shown"), [("probable", True), ("exact", False), ("false", False)])
async def test_the_command_asks_for_it_and_shows_how_it_ended(early_stop: str, is_shown: bool) -> None:
    async with service(world_of()) as client:
        fields = ("--n", "32", "--strategy", "majority", "--early-stop", early_stop)
        command = [WINNOW, "solve", EASY, *fields, "--url", str(client.base_url)]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        printed, _ = await process.communicate()
    assert process.returncode == 0
    assert (b" of 32 candidates drawn" in printed) is is_shown


@pytest.mark.parametrize(("early_stop", "shown"), [(True, "exact"), ("exact", "exact"), (False, False)])
async def test_true_is_exact_as_it_was(early_stop: object, shown: object) -> None:
    async with service(world_of()) as client:
        reply = await solve(client, strategy="majority", early_stop=early_stop)
    assert reply["strategy"]["early_stop"] == shown
    assert "stop_probability" not in reply["strategy"]
    assert reply["diagnostics"]["stopping"] is None

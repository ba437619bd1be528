"""What a service says of problems that its policy was not made for: over HTTP, on the demo pair and on worlds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from models.training.demo.tasks.stream import held_out_problems
from search.calibration.table import Calibrated, Calibration, Familiarity
from server.settings import Settings
from tests.search.calibration.test_table import table
from tests.server.conftest import POLICY_NAME, listening
from tests.server.services import service, world_of
from tests.unfamiliar import NAMED

FAMILIAR = "Compute 8 + 6 * 4 - 12."
SAMPLE = [record.problem for record in held_out_problems(0, 25)]
"""One of each family and level."""


async def post(client: httpx.AsyncClient, route: str = "/solve", **fields: Any) -> dict[str, Any]:
    response = await client.post(route, json=fields)
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


async def solve(client: httpx.AsyncClient, problem: str, **fields: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"problem": problem, "n": 4, "seed": 0, "include": []}
    return await post(client, **asked | fields)


def says_so(reply: dict[str, Any]) -> bool:
    """Whether a reply says that its problem is unfamiliar, in each of its fields."""
    diagnostics = reply["diagnostics"]
    told = [warning for warning in diagnostics["warnings"] if warning.startswith("unfamiliar problem: this policy was")]
    share, limit = diagnostics["novelty"]["share"], diagnostics["novelty"]["limit"]
    signs = {diagnostics["familiar"] is False, share > limit, reply["confidence"] is None, bool(told)}
    assert len(signs) == 1, diagnostics
    return True in signs


@asynccontextmanager
async def calibrated(**fields: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a world whose table was made from sums."""
    sums = [f"Compute {a} + {b}." for a in range(1, 10) for b in range(1, 10)]
    made = Calibration.model_validate(table()).model_copy(update={"familiarity": Familiarity.of(sums, None, {})})
    settings = Settings(**fields)
    async with listening(world_of("1").models, settings=settings, calibrated=Calibrated(made)) as client:
        yield client


class TestTheDemo:
    """On the real engines and the committed table."""

    @pytest.mark.parametrize("problem", NAMED)
    async def test_it_says_that_it_was_not_made_for_a_problem(self, client: httpx.AsyncClient, problem: str) -> None:
        reply = await solve(client, problem)
        assert says_so(reply)
        (warning,) = (warning for warning in reply["diagnostics"]["warnings"] if "unfamiliar" in warning)
        assert "this policy was trained on chains of whole numbers" in warning
        assert warning.endswith("; confidence does not hold here")

    @pytest.mark.parametrize("strategy", ["auto", "majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts"])
    async def test_every_strategy_says_so(self, client: httpx.AsyncClient, strategy: str) -> None:
        assert says_so(await solve(client, "Compute 17 * 24.", strategy=strategy))
        assert not says_so(await solve(client, FAMILIAR, strategy=strategy))

    async def test_it_knows_its_own_problems(self, client: httpx.AsyncClient) -> None:
        replies = await asyncio.gather(*(solve(client, problem) for problem in SAMPLE))
        assert [problem for problem, reply in zip(SAMPLE, replies, strict=True) if says_so(reply)] == []

    async def test_the_last_event_of_a_stream_says_so(self, client: httpx.AsyncClient) -> None:
        streamed = await client.post("/solve", json={"problem": "1+1", "n": 4, "seed": 0, "stream": True})
        assert '"familiar":false' in streamed.text.replace(" ", "")

    async def test_a_searched_chat_says_so(self, openai: AsyncOpenAI) -> None:
        for problem, expected in ((NAMED[2], True), (FAMILIAR, False)):
            chat = await openai.chat.completions.create(
                model=f"{POLICY_NAME}@weighted_best_of_n-4", messages=[{"role": "user", "content": problem}], seed=0
            )
            assert says_so((chat.model_extra or {})["search"]) is expected

    async def test_turns_before_a_problem_were_never_calibrated(self, openai: AsyncOpenAI) -> None:
        turns: list[Any] = [
            {"role": "user", "content": "Talk like a pirate."},
            {"role": "assistant", "content": "Arr."},
            {"role": "user", "content": FAMILIAR},
        ]
        chat = await openai.chat.completions.create(model=f"{POLICY_NAME}@weighted_best_of_n-4", messages=turns, seed=0)
        assert says_so((chat.model_extra or {})["search"])

    async def test_a_choice_among_responses_says_so(self, client: httpx.AsyncClient) -> None:
        responses = ["## Step 1: Add\n$\\boxed{20}$"] * 4
        for problem, expected in ((NAMED[1], True), (FAMILIAR, False)):
            reply = await post(client, "/v1/answers/choose", problem=problem, responses=responses, from_policy=True)
            assert says_so(reply) is expected

    async def test_the_metrics_count_them(self, client: httpx.AsyncClient) -> None:
        def count(text: str) -> float:
            lines = [
                line for line in text.splitlines() if line.startswith('winnow_warnings_total{warning="unfamiliar"}')
            ]
            return float(lines[0].split()[-1]) if lines else 0.0

        before = count((await client.get("/metrics")).text)
        await solve(client, NAMED[0])
        await solve(client, FAMILIAR)
        assert count((await client.get("/metrics")).text) == before + 1


async def test_a_service_without_a_table_says_nothing() -> None:
    async with service(world_of("1")) as client:
        diagnostics = (await solve(client, NAMED[0]))["diagnostics"]
    assert (diagnostics["familiar"], diagnostics["novelty"]) == (None, None)
    assert not any("unfamiliar" in warning for warning in diagnostics["warnings"])


async def test_a_table_that_does_not_measure_it_says_nothing_and_keeps_its_confidence() -> None:
    whole = Calibrated(Calibration.model_validate(table()))
    async with listening(world_of("1").models, calibrated=whole) as client:
        reply = await solve(client, NAMED[0], strategy="majority")
    assert reply["diagnostics"]["familiar"] is None
    assert reply["confidence"] is not None


async def test_without_words_of_what_it_was_made_for_it_names_the_calibration() -> None:
    async with calibrated() as client:
        known, unknown = [
            await solve(client, text, strategy="majority") for text in ("Compute 3 + 4.", "Compute 3 * 4.")
        ]
    assert known["diagnostics"]["familiar"] is True
    assert known["confidence"] is not None
    assert unknown["confidence"] is None
    first = unknown["diagnostics"]["warnings"][0]
    assert (
        first
        == "unfamiliar problem: it is unlike the 81 problems of the calibration table; confidence does not hold here"
    )


async def test_the_recipe_says_what_the_policy_was_made_for() -> None:
    async with calibrated(made_for="sums of two digits") as client:
        reply = await solve(client, "Compute 3 * 4.", strategy="majority")
    first = reply["diagnostics"]["warnings"][0]
    assert first == "unfamiliar problem: this policy was trained on sums of two digits; confidence does not hold here"


async def test_the_longest_problem_is_compared_as_well() -> None:
    async with calibrated() as client:
        known, unknown = [
            (await solve(client, text, strategy="majority"))["diagnostics"]["familiar"]
            for text in ("Compute 3 + 4.", "Compute 3 + 4. " * 4_000)
        ]
    assert (known, unknown) == (True, False)

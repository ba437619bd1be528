"""`checker: "unit_tests"`: programs in responses are run against the tests of the request, and one that passes wins."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from models.interfaces import Meter, Problem, Sampling, Step
from search.code.sandbox import Sandbox
from server.cli.showing import show
from server.composition import open_tester
from server.doctor.finding import Verdict
from server.doctor.sandbox import check_sandbox
from server.settings import Settings, SettingsError
from tests.natures import Branch, Tree, end, step
from tests.sandboxes import LIMITS, opened, running
from tests.server.conftest import openai_client
from tests.server.services import service
from tests.waiting import until
from tests.worlds import World, WorldPolicy

TESTS = "assert add(1, 2) == 3\n\ndef test_negative():\n    assert add(-1, 1) == 0\n"
RIGHT, SLOW_RIGHT = "def add(a, b):\n    return a + b", "def add(a, b):\n    return b + a"
WRONG, ENDLESS = "def add(a, b):\n    return a - b", "while True:\n    pass"


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with opened() as sandbox:
        yield sandbox


def program(text: str, score: float) -> Branch:
    return end(f"Here it is:\n```python\n{text}\n```", score)


def world_with(sandbox: Sandbox | None, *branches: Branch) -> World:
    world = World(Tree(*(branches or (program(RIGHT, 0.5),))))
    world.models = replace(world.models, tester=sandbox)
    return world


async def solved(world: World, **fields: Any) -> dict[str, Any]:
    async with service(world) as client:
        response = await client.post("/solve", json=asked(**fields))
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


def asked(**fields: Any) -> dict[str, Any]:
    return {
        "problem": "Write add(a, b).",
        "n": 4,
        "strategy": "best_of_n",
        "checker": "unit_tests",
        "tests": TESTS,
    } | fields


async def test_the_best_program_that_passes_is_the_answer(sandbox: Sandbox) -> None:
    world = world_with(sandbox, program(WRONG, 0.9), program(RIGHT, 0.6), end("no idea", 1.0), program("x = (", 0.7))
    reply = await solved(world, early_stop=False)
    assert (reply["answer"].strip(), reply["score"]) == (RIGHT, 0.6)
    assert (reply["trial"]["outcome"], reply["trial"]["detail"]) == ("passed", None)
    assert reply["diagnostics"]["tests"] == {"passed": 1, "failed": 2, "timeout": 0, "untested": 0}
    assert reply["usage"]["test_runs"] == 3
    assert reply["usage"]["test_s"] >= sum(c["trial"]["seconds"] for c in reply["candidates"] if c["trial"]) - 1e-3
    assert [candidate["verified"] for candidate in reply["candidates"]] == [False, True, None, False]
    assert [(vote["answer"] is None, vote["count"]) for vote in reply["votes"]] == [(False, 1), (True, 3)]
    assert (reply["strategy"]["checker"], reply["confidence"]) == ("unit_tests", None)


async def test_where_none_passes_there_is_no_answer_and_it_says_why(sandbox: Sandbox) -> None:
    reply = await solved(world_with(sandbox, program(WRONG, 0.9), program("", 0.1)), n=2)
    assert (reply["answer"], reply["status"]) == (None, "complete")
    assert "```python" in reply["response"]
    assert reply["trial"]["detail"] == "AssertionError at line 1 of the tests: assert add(1, 2) == 3"
    assert "1 of 1 programs fail the tests: no vote" in reply["diagnostics"]["warnings"]


@pytest.mark.parametrize(
    "strategy", ["majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts", "rebase", "auto"]
)
async def test_every_strategy_takes_it(sandbox: Sandbox, strategy: str) -> None:
    reply = await solved(
        world_with(sandbox, step("First.", 0.5, program(WRONG, 0.9), program(RIGHT, 0.6))), strategy=strategy
    )
    assert reply["answer"].strip() == RIGHT
    if strategy == "auto":
        assert reply["strategy"]["name"] == "weighted_best_of_n"


async def test_a_service_without_a_verifier_stops_at_the_first_that_passes(sandbox: Sandbox) -> None:
    world = world_with(sandbox, program(WRONG, 0.9), program(RIGHT, 0.1), program(SLOW_RIGHT, 0.9))
    world.models = replace(world.models, verifier=None)
    world.policy.gates[f"Here it is:\n```python\n{SLOW_RIGHT}\n```"] = asyncio.Event()  # which is never opened
    reply = await solved(world, strategy="majority", n=3)
    assert (reply["answer"].strip(), world.policy.num_cancelled) == (RIGHT, 1)


async def test_a_program_that_never_ends_holds_up_nobody_and_ends_at_the_deadline(sandbox: Sandbox) -> None:
    async with service(world_with(sandbox, program(ENDLESS, 0.9))) as client:
        slow = asyncio.create_task(client.post("/solve", json=asked(n=1, deadline_s=2)))
        await until(running)
        start = time.perf_counter()
        assert (await client.get("/healthz")).status_code == 200
        assert time.perf_counter() - start < 1
        reply = (await slow).json()
    assert (reply["status"], reply["answer"], reply["trial"]["outcome"]) == ("deadline", None, "untested")
    assert "while True" in reply["response"]
    await until(lambda: not running())


async def test_what_takes_too_long_is_refuted() -> None:
    async with opened(replace(LIMITS, timeout_s=5)) as hasty:
        reply = await solved(world_with(hasty, program(ENDLESS, 0.9), program(RIGHT, 0.5)), n=2)
    assert reply["answer"].strip() == RIGHT
    assert reply["diagnostics"]["tests"] == {"passed": 1, "failed": 0, "timeout": 1, "untested": 0}


async def test_a_client_that_leaves_takes_its_programs_with_it(sandbox: Sandbox) -> None:
    async with service(world_with(sandbox, program(ENDLESS, 0.9))) as client:
        asking = asyncio.create_task(client.post("/solve", json=asked(n=1)))
        await until(running)
        asking.cancel()
        await until(lambda: not running())


class Confidant(WorldPolicy):
    """A policy that remembers what it was told."""

    heard = ""

    async def respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        type(self).heard += repr(problem)
        async for each in super().respond(problem, prefix, sampling, meter):
            yield each


async def test_the_policy_does_not_see_the_tests(sandbox: Sandbox) -> None:
    world = world_with(sandbox)
    world.models = replace(world.models, policy=Confidant(Tree(program(RIGHT, 0.5))))
    reply = await solved(world, strategy="majority", tests=TESTS + "# needle")
    assert reply["answer"]
    assert "Write add" in Confidant.heard
    assert "needle" not in Confidant.heard
    assert "needle" not in str(reply)


async def test_the_official_client_gets_the_program_that_passes(sandbox: Sandbox) -> None:
    world = world_with(sandbox, program(WRONG, 0.9), program(RIGHT, 0.5))
    async with service(world) as client, openai_client(client) as openai:
        chat = await openai.chat.completions.create(
            model="winnow-demo@best_of_n-4",
            messages=[{"role": "user", "content": "Write add(a, b)."}],
            extra_body={"search": {"checker": "unit_tests", "tests": TESTS}},
        )
    assert "return a + b" in (chat.choices[0].message.content or "")
    search: Any = chat.model_extra and chat.model_extra["search"]
    assert search["trial"]["outcome"] == "passed"


async def test_a_stream_tells_what_passed(sandbox: Sandbox) -> None:
    async with service(world_with(sandbox, program(RIGHT, 0.5))) as client:
        events = (await client.post("/solve", json=asked(n=1, stream=True))).text
    assert '"verified":true' in events
    assert '"outcome":"passed"' in events


async def test_the_command_shows_a_program_as_it_is(sandbox: Sandbox) -> None:
    odd = 'def add(a, b):\n    """[/a] [bold]"""\n    return a + b'
    reply = await solved(world_with(sandbox, program(odd, 0.5)), n=1)
    show(reply, Console(file=(shown := StringIO()), width=200))
    assert shown.getvalue().count('"""[/a] [bold]"""') == 4  # the solution, the candidate's, the vote's, the answer
    assert re.search(r"tests +passed", shown.getvalue())


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"checker": None}, "tests", "nothing runs them; set checker to unit_tests"),
        ({"tests": None}, "tests", "checker unit_tests needs them, Python with assert statements"),
        ({"tests": ""}, "tests", "at least 1 character"),
        ({"tests": "x" * 65_537}, "tests", "at most 65,536 characters"),
        ({"tests": 1}, "tests", "string"),
        ({"checker": "pytest"}, "checker", "'unit_tests'"),
        ({"verify": "sympy"}, "verify", "not supported with checker unit_tests; omit it"),
        ({"tests": "assert add(1,"}, "tests", "SyntaxError"),
        ({"tests": "assert True\n\0"}, "tests", "null byte"),
        ({"tests": "(" * 300}, "tests", "SyntaxError"),
    ],
)
async def test_what_cannot_be_tested_is_refused(
    sandbox: Sandbox, fields: dict[str, Any], param: str, message: str
) -> None:
    async with service(world_with(sandbox)) as client:
        plain = await client.post("/solve", json=asked(**fields))
        body = {k: v for k, v in asked(**fields).items() if k != "problem"}
        chat = {"model": "winnow-demo", "messages": [{"role": "user", "content": "1"}], "search": body}
        searched = await client.post("/v1/chat/completions", json=chat)
        streamed = await client.post("/solve", json=asked(**fields, stream=True))
    assert [each.status_code for each in (plain, searched, streamed)] == [422, 422, 422]
    error = plain.json()["error"]
    assert (error["param"], searched.json()["error"]["param"]) == (param, f"search.{param}")
    assert message.replace(",", "") in error["message"].replace(",", "")


async def test_a_service_that_runs_no_programs_says_so() -> None:
    async with service(world_with(None)) as client:
        response = await client.post("/solve", json=asked())
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (422, "checker")
    assert "this service runs no programs" in error["message"]


async def test_without_a_checker_nothing_is_tested(sandbox: Sandbox) -> None:
    reply = await solved(world_with(sandbox), checker=None, tests=None)
    assert (reply["trial"], reply["diagnostics"]["tests"], reply["usage"]["test_runs"]) == (None, None, 0)
    assert "checker" not in reply["strategy"]


async def test_a_service_does_not_start_where_it_cannot_have_its_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SettingsError, match=r"^sandbox: bwrap is missing; install bubblewrap"):
        async with open_tester(Settings(sandbox="bwrap")):
            pass
    async with open_tester(Settings()) as tester:
        assert tester is None


def test_the_doctor_tells_it(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    settings = Settings(sandbox="bwrap")
    (fine,) = check_sandbox(settings)
    monkeypatch.setenv("PATH", "")
    (missing,) = check_sandbox(settings)
    assert [fine.verdict, missing.verdict] == [Verdict.FINE, Verdict.STOPS]
    assert (missing.seen, missing.remedy) == (
        "bwrap is missing",
        "install bubblewrap (Debian, Ubuntu: apt-get install bubblewrap)",
    )
    assert list(check_sandbox(Settings())) == []

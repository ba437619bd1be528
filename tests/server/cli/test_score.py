"""`winnow score`: responses in, the scores of their steps out, of one problem or of a file."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from server.cli.main import app
from server.cli.score import show
from tests.natures import Tree, answer, step
from tests.server.services import service
from tests.worlds import World

LINES: list[Any] = [
    {"problem": "?", "id": "first", "responses": ["a\n\n\\boxed{1}", ["a", "\\boxed{2}"]], "source": "kept out"},
    {"problem": "?"},
    {"problem": "?", "responses": ["a\n\n\\boxed{1}", ""]},
    {"problem": "?", "responses": ["\\boxed{[/red]}"], "aggregation": "min"},
]


@pytest.fixture
def world() -> World:
    return World(Tree(step("a", 0.5, answer("1", 0.7), answer("2", 0.9)), answer("[/red]", 0.2)))


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with service(world) as client:
        yield client


async def run(client: httpx.AsyncClient, *arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["score", "--url", str(client.base_url), *arguments])


async def test_a_file_is_scored_line_by_line_and_bad_lines_are_named(
    client: httpx.AsyncClient, tmp_path: Path, world: World
) -> None:
    file, out = tmp_path / "responses.jsonl", tmp_path / "scores.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    result = await run(client, "--file", str(file), "--out", str(out))
    assert result.exit_code == 1, result.output
    assert "line 2: no field responses" in result.output
    assert "line 3: responses.1: it is blank" in result.output
    assert "2 answered, 2 failed" in result.output
    found = [json.loads(line) for line in out.read_text().splitlines()]
    scores = [[step["score"] for step in response["steps"]] for response in found[0]["responses"]]
    assert (found[0]["id"], scores) == ("first", [[0.5, 0.7], [0.5, 0.9]])
    num_calls = world.verifier.num_calls
    assert (await run(client, "--file", str(file), "--out", str(out))).exit_code == 1
    assert world.verifier.num_calls == num_calls


async def test_one_problem_is_shown_as_a_table_without_markup(client: httpx.AsyncClient) -> None:
    result = await run(client, "?", "a\n\n\\boxed{1}", "\\boxed{[/red]}")
    assert result.exit_code == 0, result.output
    assert all(shown in result.output for shown in ("response 0: 0.700", "0.500", "[/red]", "0.200"))


def test_a_step_that_would_move_the_cursor_is_spelt_out() -> None:
    console = Console(record=True, width=80, file=io.StringIO())
    steps = [{"text": "\x1b[2J\u202e1", "score": 0.5}]
    responses = [{"index": 0, "score": 0.5, "steps": steps, "error": "\x1b[2J"}]
    show({"responses": responses, "usage": {"verifier_tokens": 1, "verifier_cached_tokens": 0}}, console)
    text = console.export_text()
    assert (text.count("\\x1b[2J"), "\x1b" in text, "\u202e" in text) == (2, False, False)


async def test_or_as_json(client: httpx.AsyncClient) -> None:
    result = await run(client, "?", "a\n\n\\boxed{1}", "--json", "--aggregation", "min")
    assert json.loads(result.stdout)["responses"][0]["score"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("?",), "give PROBLEM and at least one response, or --file"),
        ((), "give PROBLEM and at least one response, or --file"),
        (("?", "a", "--concurrency", "2"), "--file needs --out"),
        (("--file", "a.jsonl"), "--file needs --out"),
    ],
)
async def test_a_command_that_says_too_little_is_refused(
    client: httpx.AsyncClient, arguments: tuple[str, ...], message: str
) -> None:
    result = await run(client, *arguments)
    assert (result.exit_code, message in result.output) == (2, True), result.output

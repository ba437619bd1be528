"""`winnow solve PROBLEM` against a service: on a terminal, in a pipe, as JSON."""

import asyncio
import fcntl
import json
import os
import pty
import re
import struct
import termios
from collections.abc import AsyncIterator

import httpx
import pytest
from click.testing import CliRunner, Result

from server.cli.main import app
from tests.natures import Tree, answer, step
from tests.server.processes import WINNOW
from tests.server.services import service
from tests.worlds import World

BEAM = ("--strategy", "beam_search", "--n", "4", "--beam-width", "2", "--seed", "1")
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    good, bad = step("8 + 24 = 32", 0.9, answer("20", 0.95)), step("Let me guess: " + "x" * 90, 0.2, answer("44", 0.1))
    async with service(World(Tree(good, bad))) as client:
        yield client


async def invoke(client: httpx.AsyncClient, *arguments: str) -> Result:
    """The command, in a thread of its own, asks the service of this loop."""
    words = ["solve", "?", "--url", str(client.base_url), *arguments]
    return await asyncio.to_thread(CliRunner().invoke, app, words)


async def on_a_terminal(client: httpx.AsyncClient, columns: int, *arguments: str, **environment: str) -> str:
    """What the command writes to a terminal of its own."""
    terminal, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    words = ["solve", "?", "--url", str(client.base_url), *arguments]
    environment = {"TERM": "xterm-256color", "PATH": os.defpath} | environment
    process = await asyncio.create_subprocess_exec(
        WINNOW, *words, stdin=slave, stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    written = await asyncio.to_thread(_read, terminal)
    assert await process.wait() == 0, written
    return written


def _read(terminal: int) -> str:
    pieces = []
    try:
        while piece := os.read(terminal, 65_536):
            pieces.append(piece)
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    return b"".join(pieces).decode()


@pytest.mark.parametrize("columns", [60, 120])
async def test_a_terminal_shows_the_search_as_it_runs_and_then_the_solution(
    client: httpx.AsyncClient, columns: int
) -> None:
    written = await on_a_terminal(client, columns, *BEAM, "--tree")
    before, _, after = written.rpartition("\x1b[?25h")
    assert "searching" in before
    lines = ANSI.sub("", after).replace("\r", "").splitlines()
    assert max(map(len, lines)) <= columns
    text = "\n".join(lines)
    assert re.search(r"solution\n0\.90  8 \+ 24 = 32", text)
    assert re.search(r"> (\d x )?0\.90 8 \+ 24 = 32", text)
    assert re.search(r"dropped\] Let me guess", text)
    assert re.search(r"answer +20", text)


async def test_without_colour_there_is_none(client: httpx.AsyncClient) -> None:
    written = await on_a_terminal(client, 80, *BEAM, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", written)
    assert re.search(r"answer +.*20", written)


async def test_a_terminal_that_lacks_characters_gets_their_escapes(client: httpx.AsyncClient) -> None:
    written = await on_a_terminal(client, 40, *BEAM, "--tree", PYTHONIOENCODING="latin-1")
    assert r"\u2026" in written
    assert re.search(r"answer +.*20", written)


async def test_a_pipe_gets_plain_lines(client: httpx.AsyncClient) -> None:
    result = await invoke(client, *BEAM, "--tree")
    assert (result.exit_code, "\x1b" in result.output) == (0, False)
    assert re.search(r"dropped\] Let me guess: x{90}", result.output)
    assert re.search(r"^answer +20$", result.output, re.MULTILINE)


async def test_json_is_the_reply_itself(client: httpx.AsyncClient) -> None:
    result = await invoke(client, *BEAM, "--json")
    fields = {"problem": "?", "strategy": "beam_search", "n": 4, "beam_width": 2, "seed": 1}
    reply = (await client.post("/solve", json=fields)).json()
    printed = json.loads(result.stdout)
    assert printed.keys() == reply.keys()
    assert [printed[name] for name in ("answer", "votes", "tree")] == [
        reply[name] for name in ("answer", "votes", "tree")
    ]


@pytest.mark.parametrize("others", [("--json",), ("--file", "problems", "--out", "results")])
def test_a_tree_is_drawn_of_one_problem_for_people(others: tuple[str, ...]) -> None:
    problem = () if "--file" in others else ("?",)
    result = CliRunner().invoke(app, ["solve", *problem, "--tree", *others])
    assert (result.exit_code, "--tree draws the tree of PROBLEM" in result.output) == (2, True)

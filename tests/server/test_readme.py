"""What the Markdown shows of running models is what they do: calls, replies, and programs in Python."""

import asyncio
import json
import re
import shlex
import sys
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.markdown import ROOT, Block, blocks, commands

ADDRESS = "http://127.0.0.1:8000"
CALLS = [
    (block, reply if reply is not None and reply.language == "json" else None)
    for block, reply in pairwise([*blocks(), None])
    if block is not None and any(command.startswith("curl ") for command in commands(block))
]
ROUTES = {"requests": "/solve/batch", "pairs": "/v1/answers/equivalent"}
"""By the field that a body is known by."""


@pytest.mark.parametrize(("call", "shown"), CALLS, ids=[str(call) for call, _ in CALLS])
async def test_a_call_gets_the_reply_that_is_shown(call: Block, shown: Block | None, client: httpx.AsyncClient) -> None:
    for command in commands(call):
        words = shlex.split(command)
        request = json.loads(words[words.index("-d") + 1])
        response = await client.post(words[1].removeprefix(ADDRESS), json=request)
        assert response.status_code == 200
        if shown is not None:
            reply, expected = response.json(), json.loads(shown.code)
            assert reply.keys() == expected.keys()
            assert (reply["answer"], reply["status"]) == (expected["answer"], expected["status"])


BODIES = [
    (block, route, shown)
    for block, shown in pairwise([*blocks("json"), None])
    if block is not None
    for field, route in ROUTES.items()
    if field in json.loads(block.code)
]


@pytest.mark.parametrize(("body", "route", "shown"), BODIES, ids=[str(body) for body, _, _ in BODIES])
async def test_a_body_gets_the_reply_that_is_shown(
    body: Block, route: str, shown: Block | None, client: httpx.AsyncClient
) -> None:
    response = await client.post(route, json=json.loads(body.code))
    assert response.status_code == 200
    if shown is not None and "results" in json.loads(shown.code):
        assert response.json() == json.loads(shown.code)


PROGRAMS = [block for block in blocks("python") if "search/answers" not in str(block)]
"""Those of the library have a test of their own."""


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
async def test_a_program_prints_what_it_says(block: Block, client: httpx.AsyncClient, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(block.code.replace(ADDRESS, str(client.base_url).rstrip("/")))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode == 0
    assert printed.decode().split() == re.findall(r"print\(.*\)  # (.+)", block.code)

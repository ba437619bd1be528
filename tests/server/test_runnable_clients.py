"""The clients beside server/README.md, run as their first lines say, against the demo pair; with a key and without."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import httpx
import pytest

from server.clients import winnow_client
from tests.server.services import service, world_of

FOLDER = Path(winnow_client.__file__).parent
KEY = "sk-0123456789abcdef"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node is not installed")
CLIENTS = {
    "openai_client.py": [sys.executable],
    "curl.sh": ["sh"],
    "javascript.mjs": [str(NODE)],
}


async def run(name: str, url: str, **environment: str) -> tuple[int | None, str, str]:
    """Run a client, and return how it ended and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *CLIENTS[name],
        FOLDER / name,
        url,
        env={"PATH": os.defpath, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    written, complained = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, written.decode(), complained.decode()


async def test_openais_client_chats_plainly_as_a_stream_and_by_searches(client: httpx.AsyncClient) -> None:
    code, written, complained = await run("openai_client.py", str(client.base_url))
    assert code == 0, complained
    for words in ("plain: ", "streamed: ", "searched: ", "votes: [(", "searched by name: "):
        assert words in written
    assert written.count("\\boxed{") >= 3


@pytest.mark.parametrize("suffix", ["", "/", "/v1"])
async def test_curl_solves_streams_and_chats(client: httpx.AsyncClient, suffix: str) -> None:
    code, written, complained = await run("curl.sh", str(client.base_url).rstrip("/") + suffix)
    assert code == 0, complained
    assert '"winnow-demo@majority-4"' in written
    assert written.count('"votes":') >= 3
    assert "event: candidate" in written
    assert '"object":"chat.completion"' in written


@needs_node
async def test_javascript_solves_and_follows_a_stream(client: httpx.AsyncClient) -> None:
    code, written, complained = await run("javascript.mjs", f"{client.base_url}/v1")
    assert code == 0, complained
    assert "answer: " in written
    assert '"result":1' in written


@pytest.mark.parametrize("name", ["curl.sh", pytest.param("javascript.mjs", marks=needs_node)])
async def test_a_key_is_taken_from_the_environment_and_its_lack_is_told(name: str) -> None:
    async with service(world_of("20"), api_keys=KEY) as guarded:
        url = str(guarded.base_url)
        code, written, complained = await run(name, url)
        assert code != 0
        assert "no API key was sent" in written + complained
        _, written, complained = await run(name, url, WINNOW_API_KEY=KEY)
    assert "API key" not in written + complained

"""The commands' client: what it says where a service wants a key, is another one, or is not there; and its stages."""

import asyncio
import io
from collections.abc import AsyncIterator

import httpx
import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr
from rich.console import Console

from server.cli.client import KEYLESS, UNKNOWN_KEY, RefusedError, UnreachableError, events_of
from server.cli.main import app
from server.cli.stages import stages
from server.settings import Settings
from tests.server.services import service, world_of

KEY = "sk-0123456789abcdef"
ASKED = {"problem": "?", "n": 2, "strategy": "best_of_n"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with service(world_of("7"), api_keys=KEY) as client:
        yield client


async def names_of(url: str, key: str | None) -> list[str]:
    settings = Settings(api_key=SecretStr(key) if key else None)
    return [event.name async for event in events_of(url, settings, ASKED)]


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_the_events_of_a_search_end_with_its_reply(client: httpx.AsyncClient, suffix: str) -> None:
    names = await names_of(str(client.base_url).rstrip("/") + suffix, KEY)
    assert {"round", "candidate", "step"} <= set(names)
    assert (names[-1], names.count("result")) == ("result", 1)


@pytest.mark.parametrize(("key", "hint"), [(None, KEYLESS), ("sk-another-key-than-theirs", UNKNOWN_KEY)])
async def test_a_key_that_is_missing_or_refused_is_named_by_its_setting(
    client: httpx.AsyncClient, key: str | None, hint: str
) -> None:
    assert "WINNOW_API_KEY" in hint
    with pytest.raises(RefusedError, match=hint):
        await names_of(str(client.base_url), key)
    for command in (["solve", "?"], ["score", "?", "1"], ["eval", "--held-out", "1"]):
        result = await invoke(*command, "--url", str(client.base_url), key=key)
        assert (result.exit_code, hint in result.output) == (1, True), result.output


async def invoke(*arguments: str, key: str | None = None) -> Result:
    """The command, in a thread of its own, asks a service of this loop."""
    environment = {"WINNOW_API_KEY": key} if key else {}
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment)


async def test_a_refused_request_is_said_in_the_words_of_the_service(client: httpx.AsyncClient) -> None:
    settings = Settings(api_key=SecretStr(KEY))
    with pytest.raises(RefusedError, match=r"n: .*allowed: 1 to 1,024"):
        await anext(events_of(str(client.base_url), settings, ASKED | {"n": 0}))
    with pytest.raises(RefusedError, match="cannot be sent as JSON"):
        await anext(events_of(str(client.base_url), settings, ASKED | {"temperature": float("nan")}))


@pytest.mark.parametrize("body", [b"event: result\ndata: <html>\n\n", b"<html>"])
async def test_a_stream_of_another_service_is_one_sentence(body: bytes) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(other, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises((UnreachableError, RefusedError), match=r"is not a winnow service|the stream broke"):
            await names_of(url, None)
    with pytest.raises(RefusedError, match="cannot be reached"):
        await names_of("http://127.0.0.1:9", None)


def test_stages_are_shown_on_a_terminal_and_leave_it_clean() -> None:
    terminal, pipe = io.StringIO(), io.StringIO()
    for output, is_terminal in ((terminal, True), (pipe, False)):
        with stages(Console(file=output, force_terminal=is_terminal, width=60)) as begin:
            begin("loading the policy [demo]")
            begin("loading the verifier")
    assert "loading the policy [demo]" in terminal.getvalue()
    assert "loading the verifier" in terminal.getvalue()
    assert terminal.getvalue().endswith(("\x1b[?25h", "\x1b[2K"))
    assert pipe.getvalue().strip() == ""

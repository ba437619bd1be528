"""The examples of proxies, as their programs read them and in front of the real service, where they are installed."""

import asyncio
import os
import re
import shutil
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.app import create_app
from server.keys import Keyring
from server.settings import Settings
from tests.server.conftest import POLICY_NAME, serving
from tests.server.services import world_of
from tests.server.test_readers import Talker
from tests.waiting import until

PROXIES = Path(__file__).parents[2] / "deploy" / "proxies"
SYSTEM = f"{os.defpath}:/usr/sbin:/usr/local/sbin"
CHAT = {"model": POLICY_NAME, "messages": [{"role": "user", "content": "Talk."}], "stream": True}
CLIENT = "127.0.0.2"
LONGEST_S = Settings().max_deadline_s


def found(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path=SYSTEM)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def nginx(folder: Path, port: int, service: str) -> list[str]:
    """The example without TLS, in the frame that Debian's nginx.conf is, and the command that runs it."""
    site = (PROXIES / "nginx.conf").read_text().replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    site = re.sub(r"ssl_certificate.*", "", site).replace("http://127.0.0.1:8000", service)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    owner = "user root;" if os.geteuid() == 0 else ""
    frame = "{owner} daemon off; pid {folder}/pid; error_log stderr; events {{}} http {{ access_log off; {rest} }}"
    (folder / "nginx.conf").write_text(frame.format(owner=owner, folder=folder, rest=f"{temporary}\n{site}"))
    return [found("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, port: int, service: str) -> list[str]:
    """The example without TLS, and the command that runs it."""
    site = (PROXIES / "Caddyfile").read_text().replace("\n{\n", "\n{\n\tadmin off\n\tauto_https off\n", 1)
    site = site.replace("winnow.example.com", f"http://127.0.0.1:{port}")
    (folder / "Caddyfile").write_text(site.replace("127.0.0.1:8000", service.removeprefix("http://")))
    return [found("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


class Listener(Talker):
    """A talker that remembers who asked."""

    client = ""

    async def chat(self, body: Mapping[str, Any], client: str = "") -> dict[str, Any] | AsyncGenerator[str, None]:
        self.client = client
        return await super().chat(body, client)


@asynccontextmanager
async def proxied(proxy: str, folder: Path, talker: Listener) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a proxy in front of the service."""
    settings = Settings.model_validate({"trusted_proxies": "127.0.0.1"})
    app = create_app(world_of("1").models, (), settings, Keyring(), plain=talker)
    port, command = free_port(), {"nginx": nginx, "caddy": caddy}[proxy]
    async with serving(app, settings) as direct:
        arguments = command(folder, port, str(direct.base_url).rstrip("/"))
        home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(*arguments, env=home, stdout=log, stderr=log)
        try:
            await until(lambda: is_open(port) or process.returncode is not None, within_s=30)
            assert process.returncode is None, (folder / "log").read_text()
            transport = httpx.AsyncHTTPTransport(local_address=CLIENT)
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, transport=transport, timeout=60) as client:
                yield client
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.wait(), 30)


def is_open(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(params=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest) -> str:
    found(request.param)
    return str(request.param)


async def test_a_stream_comes_through_as_it_is_said(proxy: str, tmp_path: Path) -> None:
    talker = Listener(5, pause_s=0.3)
    async with (
        proxied(proxy, tmp_path, talker) as client,
        client.stream("POST", "/v1/chat/completions", json=CHAT) as reply,
    ):
        assert reply.status_code == 200
        pieces = reply.aiter_bytes()
        first = await anext(pieces)
        said_by_then = talker.num_said
        rest = b"".join([piece async for piece in pieces])

    assert said_by_then < 5
    assert (first + rest).count(b"data: ") == 5


async def test_the_client_is_the_one_that_the_proxy_sees_whatever_the_client_says(proxy: str, tmp_path: Path) -> None:
    talker = Listener(1)
    async with proxied(proxy, tmp_path, talker) as client:
        await client.post("/v1/chat/completions", json=CHAT, headers={"X-Forwarded-For": "203.0.113.9"})

    assert talker.client == CLIENT


async def test_a_client_that_leaves_stops_its_work_behind_the_proxy(proxy: str, tmp_path: Path) -> None:
    talker = Listener(10**6, pause_s=0.01)
    async with proxied(proxy, tmp_path, talker) as client:
        async with client.stream("POST", "/v1/chat/completions", json=CHAT) as reply:
            await anext(reply.aiter_bytes())
        await until(lambda: talker.is_closed)


async def test_a_body_that_winnow_takes_passes_and_a_larger_one_does_not(proxy: str, tmp_path: Path) -> None:
    largest = Settings().max_body_bytes
    async with proxied(proxy, tmp_path, Listener(1)) as client:
        passes = await client.post("/v1/chat/completions", json=CHAT | {"user": "x" * (largest - 1000)})
        refused = await client.post("/v1/chat/completions", json=CHAT | {"user": "x" * (largest * 2)})

    assert passes.status_code == 422  # by winnow, which has read it
    assert "user" in passes.text
    assert refused.status_code == 413


async def test_a_pause_as_long_as_a_keep_alive_breaks_no_request(proxy: str, tmp_path: Path) -> None:
    async with proxied(proxy, tmp_path, Listener(1)) as client:
        first = await client.post("/v1/chat/completions", json=CHAT)
        await asyncio.sleep(Settings().keep_alive_s)
        second = await client.post("/v1/chat/completions", json=CHAT)

    assert (first.status_code, second.status_code) == (200, 200)


def test_the_limits_of_the_examples_are_those_of_winnow() -> None:
    nginx_says, caddy_says = (PROXIES / "nginx.conf").read_text(), (PROXIES / "Caddyfile").read_text()
    settings = Settings()

    assert f"header_timeout {settings.header_timeout_s:.0f}s" in nginx_says
    assert f"body_timeout {settings.body_idle_s:.0f}s" in nginx_says
    assert f"read_header {settings.header_timeout_s:.0f}s" in caddy_says
    assert f"read_body {settings.body_timeout_s:.0f}s" in caddy_says
    for text, pattern in ((nginx_says, r"proxy_read_timeout (\d+)s"), (caddy_says, r"response_header_timeout (\d+)s")):
        patience = re.search(pattern, text)
        assert patience
        assert int(patience[1]) > LONGEST_S
    keep_alive = re.search(r"keepalive (\d+)s", caddy_says)
    assert keep_alive
    assert int(keep_alive[1]) < settings.keep_alive_s

"""vllm-router in front of servers on loopback, with the flags of deploy/compose.routers.yaml."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.server.processes import free_port
from tests.servers import await_server

COMPOSE = Path(__file__).parents[1] / "deploy" / "compose.routers.yaml"
ROUTER = Path(sys.executable).with_name("vllm-router")
OF_A_CONTAINER = ("--host", "--port", "--prometheus-host")
START_WITHIN_S = 20.0

needs_router = pytest.mark.skipif(
    not ROUTER.exists(), reason="vllm-router is not installed: pip install -r deploy/requirements/router.txt"
)


def documented_flags() -> list[str]:
    """Those of the policy's router, without its addresses."""
    command: list[str] = yaml.safe_load(COMPOSE.read_text().replace("!override", ""))["services"]["policy-router"][
        "command"
    ]
    return [flag for flag in command[: command.index("--worker-urls")] if flag.split("=")[0] not in OF_A_CONTAINER]


def start_router(urls: Sequence[str], *flags: str, port: int) -> subprocess.Popen[bytes]:
    """Start a router; `flags` come after the documented ones."""
    own = ["--host=127.0.0.1", f"--port={port}", f"--prometheus-port={free_port()}", "--log-level=critical"]
    command = [str(ROUTER), *documented_flags(), *own, *flags, "--worker-urls", *urls]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def await_router(process: subprocess.Popen[bytes], port: int) -> str:
    """Return the router's URL when it has found a server that answers."""
    return await_server(process, port, path="/readiness", within_s=START_WITHIN_S)


@contextmanager
def routed(urls: Sequence[str], *flags: str) -> Iterator[str]:
    """The URL of a router in front of servers that answer."""
    port = free_port()
    process = start_router(urls, *flags, port=port)
    try:
        yield await_router(process, port)
    finally:
        process.kill()
        process.wait()

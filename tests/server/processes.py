"""`winnow serve` as a process, and which of its children are engines."""

import secrets
import socket
import sys
from contextlib import suppress
from pathlib import Path

import psutil

WINNOW = str(Path(sys.executable).with_name("winnow"))


def free_port() -> int:
    """A port of loopback that nobody listens on, below those that the system gives to connections."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def engines_of(service: psutil.Process) -> list[psutil.Process]:
    """The engines' processes in the order of their start: forks of the service, the policy's and the verifier's."""
    forks = [child for child in service.children() if child.cmdline() == service.cmdline() or "VLLM" in child.name()]
    return sorted(forks, key=lambda process: process.create_time())

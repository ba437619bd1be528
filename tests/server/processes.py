"""`winnow serve` as a process, and which of its children are engines."""

import socket
import sys
from pathlib import Path

import psutil

WINNOW = str(Path(sys.executable).with_name("winnow"))


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def engines_of(service: psutil.Process) -> list[psutil.Process]:
    """The engines' processes in the order of their start: forks of the service, the policy's and the verifier's."""
    forks = [child for child in service.children() if child.cmdline() == service.cmdline() or "VLLM" in child.name()]
    return sorted(forks, key=lambda process: process.create_time())

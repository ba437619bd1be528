"""A Redis of the tests' own, as a process on loopback, and what stands for a store in the tests of its contract."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.server.processes import free_port

START_WITHIN_S = 10.0


class OwnRedis:
    """A Redis that can be stopped and started again, empty.

    Args:
        folder: Of its socket's neighbours: it writes nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen([*command, "--dir", str(self._folder)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline:
            try:
                with redis.Redis.from_url(self.url) as client:
                    client.ping()
                    return
            except redis.ConnectionError:
                time.sleep(0.02)
        raise AssertionError(f"no Redis within {START_WITHIN_S} s; exit code {self.process.poll()}")

    def clear(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def require_redis() -> None:
    """Skip a test where there is no Redis."""
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server: tests/server/redis.sh installs Debian's")


def each_store(test: Callable[..., Any]) -> Callable[..., Any]:
    """Run a test with each store."""
    stores = pytest.mark.parametrize("store", ["memory", "redis"], indirect=True)
    decorated: Callable[..., Any] = pytest.mark.usefixtures("store")(stores(test))
    return decorated

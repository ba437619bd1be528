"""What connections that ask for nothing, or never end asking, cost a service that may have 1,024 descriptors.

    python -m tests.bench.sockets [--sockets 5000] [--dribbled 400] [--seconds 30]

Starts a service of its own with the demo pair. Sockets are opened and left idle; then headers and bodies dribble, the
bodies 1.8 MB of theirs without the last byte. /healthz and searches are asked meanwhile, on connections of their own,
by a process of its own. Memory and descriptors are those when all of them are gone and memory was given back; lines
of the log are all that the service has written meanwhile at level info, those of the searches included. Linux only.
"""

import argparse
import asyncio
import resource
import socket
import tempfile
import time
from collections.abc import Coroutine
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from rich.console import Console
from rich.table import Table

from server.memory import TRIM_EVERY_S
from tests.bench.load_tables import milliseconds
from tests.bench.running import Service, running
from tests.bench.traffic import problems

DESCRIPTORS = 1024
BODY_BYTES = 1_800_000
HEAD = b"POST /solve HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
ASK_EVERY_S = 0.2
SEARCH_EVERY = 10
"""Questions, of which one is a search: each has a line in the log."""
WITHIN_S = 10.0


class Crowd:
    """Connections that are a burden to a service.

    Args:
        url: Of the service.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._address = (address.hostname, address.port)
        self._sockets: list[socket.socket] = []
        self._work: set[asyncio.Task[None]] = set()

    async def open(self, number: int, sent: bytes = b"") -> None:
        """Open so many connections, and send something over each, as far as it is taken."""
        loop = asyncio.get_running_loop()
        for _ in range(number):
            connection = socket.socket()
            connection.setblocking(False)
            self._sockets.append(connection)
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(loop.sock_connect(connection, self._address), WITHIN_S)
                self._start(self._send(connection, sent))

    def dribble(self, piece: bytes, pause_s: float) -> None:
        """Go on sending a little over all of them."""
        for connection in self._sockets:
            self._start(self._dribble(connection, piece, pause_s))

    async def close(self) -> None:
        """Leave."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        for connection in self._sockets:
            connection.close()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _send(self, connection: socket.socket, sent: bytes) -> None:
        with suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(connection, sent)

    async def _dribble(self, connection: socket.socket, piece: bytes, pause_s: float) -> None:
        with suppress(OSError):
            while True:
                await asyncio.sleep(pause_s)
                await asyncio.get_running_loop().sock_sendall(connection, piece)


async def ask(url: str, seconds: float) -> tuple[list[float], list[float], int]:
    """Ask for /healthz and for searches, each over a new connection; return their seconds, and how many failed."""
    health: list[float] = []
    searches: list[float] = []
    num_failed, end = 0, time.perf_counter() + seconds
    for number in count(1):
        if time.perf_counter() > end:
            break
        for path in ("/healthz", "/solve") if number % SEARCH_EVERY == 0 else ("/healthz",):
            start = time.perf_counter()
            try:
                async with httpx.AsyncClient(base_url=url, timeout=WITHIN_S) as client:
                    if path == "/healthz":
                        reply = await client.get(path)
                    else:
                        reply = await client.post(path, json={"problem": problems()[0], "n": 4})
                reply.raise_for_status()
                (health if path == "/healthz" else searches).append(time.perf_counter() - start)
            except httpx.HTTPError:
                num_failed += 1
        await asyncio.sleep(ASK_EVERY_S)
    return health, searches, num_failed


def ask_apart(url: str, seconds: float) -> tuple[list[float], list[float], int]:
    """Ask in a process of its own, so that no work here is measured."""
    return asyncio.run(ask(url, seconds))


async def measure(service: Service, name: str, number: int, sent: bytes, piece: bytes, seconds: float) -> list[str]:
    """Burden the service with connections of one kind; return a row."""
    crowd = Crowd(service.url)
    loop, pool = asyncio.get_running_loop(), ProcessPoolExecutor(1, get_context("spawn"))
    asking = loop.run_in_executor(pool, ask_apart, service.url, seconds)
    start = time.perf_counter()
    await crowd.open(number, sent)
    opened = time.perf_counter() - start
    if piece:
        crowd.dribble(piece, 1.0)
    health, searches, num_failed = await asking
    peak = service.process.num_fds()
    await crowd.close()
    return [
        f"{name}, opened in {opened:.1f} s",
        milliseconds(health),
        milliseconds(searches),
        str(num_failed),
        str(peak),
    ]


async def main(num_sockets: int, num_dribbled: int, seconds: float) -> None:
    """Measure and print."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    body = HEAD + f"content-length: {BODY_BYTES + 1000}\r\n\r\n".encode() + b" " * BODY_BYTES
    kinds = {
        f"{num_sockets:,} idle sockets": (num_sockets, b"", b""),
        f"{num_dribbled} dribbled headers": (num_dribbled, b"GET /healthz HTTP/1.1\r\n", b"a"),
        f"{num_dribbled} bodies of 1.8 MB, dribbled": (num_dribbled, body, b" "),
    }
    table = Table("connections", "/healthz", "a search, N = 4", "failed", "descriptors")
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder) / "log"
        async with running(logs=logs, descriptors=DESCRIPTORS) as service:
            await service.warm_up()
            _, before = await service.at_rest()
            num_lines = len(logs.read_text().splitlines())
            for name, (number, sent, piece) in kinds.items():
                table.add_row(*await measure(service, name, number, sent, piece, seconds))
            await asyncio.sleep(TRIM_EVERY_S + 1)
            _, after = await service.at_rest()
            lines = logs.read_text().splitlines()[num_lines:]
    growth = after.service_mib / before.service_mib - 1
    table.caption = (
        f"service {before.service_mib:.0f} MiB before, {after.service_mib:.0f} after ({growth:+.1%}; bar: 10 %); "
        f"descriptors {before.descriptors}, {after.descriptors}; "
        f"lines of the log: {len(lines)} (bar: 100)"
    )
    Console(width=160).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=5000, help="Idle ones.")
    parser.add_argument("--dribbled", type=int, default=400, help="Requests that do not end, of each kind.")
    parser.add_argument("--seconds", type=float, default=30.0, help="For how long each kind lasts.")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.sockets, arguments.dribbled, arguments.seconds))

"""A service of a benchmark's own, on the demo pair: started, watched from outside, stopped. Linux only."""

import asyncio
import random
import resource
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.bench.traffic import ask, draw
from tests.server.processes import WINNOW, free_port
from tests.server.scraping import Samples, scrape, total

READY_WITHIN_S = 120.0
SETTLE_WITHIN_S = 15.0
"""uvicorn keeps an idle connection for five seconds."""
NUM_WARM_UP = 20
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a service takes of the machine.

    Attributes:
        processes: The service and all below it.
        descriptors: Open files and sockets of them all.
        tasks: Of the service's event loop, the one that is asked included.
        service_mib, engines_mib: Resident memory of the service's own process and of all others together. Pages that
            they have in common count for each: shared out, they would move with other services on the machine.
    """

    processes: int
    descriptors: int
    tasks: int
    service_mib: float
    engines_mib: float


@dataclass(frozen=True, slots=True)
class Service:
    """A running service.

    Attributes:
        process: Its own; the engines are its children.
        url: Where it listens.
    """

    process: psutil.Process
    url: str

    @asynccontextmanager
    async def client(self, key: str = "") -> AsyncIterator[httpx.AsyncClient]:
        """A client with as many connections as it has requests, that waits for as long as it takes."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=self.url, timeout=None, limits=limits, headers=headers) as client:
            yield client

    async def warm_up(self, key: str = "") -> None:
        """Ask a few requests, so that everything that starts late has started."""
        rng = random.Random(0)
        async with self.client(key) as client:
            await asyncio.gather(*(ask(client, draw(rng) | {"deadline_s": None}) for _ in range(NUM_WARM_UP)))

    async def ready(self, client: httpx.AsyncClient) -> float:
        """Return the seconds until the service says that it is ready.

        Raises:
            TimeoutError: It does not.
        """
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < READY_WITHIN_S:
            with suppress(httpx.TransportError):
                if (await client.get("/readyz", timeout=15)).status_code == 200:
                    return elapsed
            await asyncio.sleep(0.5)
        raise TimeoutError(f"not ready within {READY_WITHIN_S:g} s")

    def processes(self) -> list[psutil.Process]:
        """The service's process and all below it."""
        return [self.process, *self.process.children(recursive=True)]

    async def footprint(self, client: httpx.AsyncClient) -> Footprint:
        """Look at the service as it is now."""
        processes = self.processes()
        memory, descriptors = [], 0
        for process in processes:
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                memory.append(process.memory_info().rss / MIB)
                descriptors += process.num_fds()
        tasks = int(total(await scrape(client), "winnow_event_loop_tasks"))
        return Footprint(len(processes), descriptors, tasks, memory[0], sum(memory[1:]))

    async def at_rest(self, key: str = "") -> tuple[Samples, Footprint]:
        """Return its metrics and what it takes when nothing is asked of it and all connections are closed."""
        await asyncio.sleep(0.5)
        async with self.client(key) as client:
            until = time.perf_counter() + SETTLE_WITHIN_S
            while time.perf_counter() < until and (still_busy(await scrape(client)) or self._connections() > 1):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.5)
            return await scrape(client), await self.footprint(client)

    def _connections(self) -> int:
        port = int(self.url.rpartition(":")[2])
        return sum(
            connection.laddr.port == port and connection.status == psutil.CONN_ESTABLISHED
            for connection in self.process.net_connections("tcp")
        )


def still_busy(samples: Samples) -> dict[str, float]:
    """The gauges of work that are not 0."""
    gauges = {
        "winnow_http_requests_in_flight": total(samples, "winnow_http_requests_in_flight") - 1,  # which asks for this
        **{
            name: total(samples, name)
            for name in (
                "winnow_searches_in_flight",
                "winnow_queued_searches",
                "winnow_tokens_in_flight",
                "vllm:num_requests_running",
                "vllm:num_requests_waiting",
            )
        },
    }
    return {name: value for name, value in gauges.items() if value}


@asynccontextmanager
async def running(
    *options: str, key: str = "", logs: Path | None = None, descriptors: int | None = None
) -> AsyncIterator[Service]:
    """Run `winnow serve` while the context lasts.

    Args:
        options: Of the command.
        key: That the service asks for.
        logs: File that takes its logs; None leaves them with those of the benchmark, errors alone.
        descriptors: That it may have, as by `ulimit -n`; None leaves it those of the benchmark.
    """
    port = free_port()
    command = [WINNOW, "serve", "--port", str(port), "--log-level", "info" if logs else "error", *options]
    with ExitStack() as stack:
        file = stack.enter_context(logs.open("w")) if logs else None
        process = subprocess.Popen(command, stderr=file)  # noqa: ASYNC220 - it returns at once
        if descriptors is not None:
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        service = Service(psutil.Process(process.pid), f"http://127.0.0.1:{port}")
        try:
            async with service.client(key) as client:
                await service.ready(client)
            yield service
        finally:
            process.terminate()
            process.wait(60)

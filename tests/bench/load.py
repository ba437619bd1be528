"""What many clients at once get from a service of two cores, for how long, and what they leave behind.

    python -m tests.bench.load [--clients 200] [--seconds 300] [--pause 0] [--kv-cache-mib 512]

Starts a service of its own with the demo pair and three keys. "crowd" has most of the clients, which ask for mixed
strategies and N = 4 to 32, some with deadlines, one in twenty leaving before the reply; "single" asks for N = 4, one
search after another; in the second half one client in 25 gets the key "heavy" and asks for N = 256 alone. /healthz
is asked by a process of its own, and every request is looked for in /metrics at the end. Linux only.
"""

import argparse
import asyncio
import random
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import httpx
from rich.console import Console

from tests.bench.load_tables import bars_table, fairness_table, memory_table, outcomes_table
from tests.bench.running import Footprint, Service, running
from tests.bench.traffic import Traffic, ask, draw, keep_asking

KEYS = {name: f"sk-benchmark-{name}" for name in ("crowd", "single", "heavy")}
HEAVY_SHARE, HEAVY_N = 25, 256
LEAVING = 0.05
MAX_QUEUED = 128
"""Fewer than there are clients: the queue fills up."""
PROBE_EVERY_S = 0.05
NUM_LOOKS = 10
"""At the memory, while the load lasts."""


@dataclass(frozen=True, slots=True)
class Load:
    """Clients, and for how long they ask.

    Attributes:
        num_clients: Of all three keys.
        seconds: Of load, halved by the coming of the heavy clients.
        pause_s: At most, of a client between two requests.
    """

    num_clients: int
    seconds: float
    pause_s: float

    async def drive(self, service: Service, traffic: Traffic) -> list[Footprint]:
        """Send all requests; return what the service took at even distances of time."""
        start = time.perf_counter()
        half, end = start + self.seconds / 2, start + self.seconds
        async with AsyncExitStack() as stack:
            crowd, single, heavy = [await stack.enter_async_context(service.client(key)) for key in KEYS.values()]
            async with asyncio.TaskGroup() as group:
                for number in range(self.num_clients - 1):
                    changes = half if number < self.num_clients // HEAVY_SHARE else end
                    group.create_task(self._two_halves(crowd, heavy, traffic, number, changes, end))
                group.create_task(self._same_again(single, traffic, "single", 4, end))
                looking = group.create_task(_look(service, single, start, self.seconds))
            return looking.result()

    async def _two_halves(
        self,
        crowd: httpx.AsyncClient,
        heavy: httpx.AsyncClient,
        traffic: Traffic,
        number: int,
        changes: float,
        end: float,
    ) -> None:
        """One of the crowd, that becomes one of the heavy clients when its time comes."""
        rng = random.Random(number)
        await keep_asking(crowd, traffic, "crowd", rng, changes, leaves=LEAVING, pause_s=self.pause_s)
        await self._same_again(heavy, traffic, "heavy", HEAVY_N, end)

    async def _same_again(self, client: httpx.AsyncClient, traffic: Traffic, name: str, n: int, end: float) -> None:
        """One search of N = `n` after another, without deadlines."""
        rng = random.Random(n)
        while time.perf_counter() < end:
            answer = await ask(client, draw(rng, (n,)) | {"deadline_s": None})
            traffic.answers[name].append(answer)
            pause_s = rng.uniform(0, self.pause_s) if answer.http_status == 200 else 1.0
            await asyncio.sleep(min(pause_s, max(end - time.perf_counter(), 0)))


async def _look(service: Service, client: httpx.AsyncClient, start: float, seconds: float) -> list[Footprint]:
    looks = []
    for number in range(1, NUM_LOOKS + 1):
        await asyncio.sleep(start + seconds * number / NUM_LOOKS - time.perf_counter())
        looks.append(await service.footprint(client))
    return looks


def probe(url: str, seconds: float) -> list[float]:
    """Return the latencies of /healthz, asked on a connection of its own again and again."""
    latencies, until = [], time.perf_counter() + seconds
    with httpx.Client(base_url=url, timeout=60) as client:
        while time.perf_counter() < until:
            start = time.perf_counter()
            client.get("/healthz").raise_for_status()
            latencies.append(time.perf_counter() - start)
            time.sleep(PROBE_EVERY_S)
    return latencies


async def main(load: Load, kv_cache_mib: int) -> None:
    """Measure and print."""
    traffic, half = Traffic(), load.seconds / 2
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as apart:
        options = ["--api-keys-file", write_keys(folder), "--max-queued", str(MAX_QUEUED)]
        options += [f"--{model}-kv-cache-mib={kv_cache_mib}" for model in ("policy", "verifier")]
        async with running(*options, key=KEYS["single"]) as service:
            await service.warm_up(KEYS["single"])
            _, before = await service.at_rest(KEYS["single"])
            health = asyncio.get_running_loop().run_in_executor(apart, probe, service.url, load.seconds)
            start, looks = time.perf_counter(), await load.drive(service, traffic)
            samples, after = await service.at_rest(KEYS["single"])
            latencies = await health
    console = Console(width=140)
    console.print(f"{load.num_clients} clients, {load.seconds:g} s, {len(traffic.all)} requests")
    console.print(outcomes_table(traffic), bars_table(traffic, latencies, samples, (before, after), looks))
    console.print(fairness_table(traffic, start + half), memory_table(looks, load.seconds))


def write_keys(folder: str) -> str:
    """Write the file of keys; return its path."""
    path = Path(folder, "keys.yaml")
    path.write_text("".join(f"- {{name: {name}, key: {key}}}\n" for name, key in KEYS.items()))
    return str(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200, help="That ask at a time.")
    parser.add_argument("--seconds", type=float, default=300.0, help="How long they ask.")
    parser.add_argument("--pause", type=float, default=0.0, help="Longest pause of a client between requests, in s.")
    parser.add_argument("--kv-cache-mib", type=int, default=512, help="Of each engine; memory grows until it is full.")
    arguments = parser.parse_args()
    asyncio.run(main(Load(arguments.clients, arguments.seconds, arguments.pause), arguments.kv_cache_mib))

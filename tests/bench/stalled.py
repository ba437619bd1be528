"""What clients that read nothing cost those that do: stalled readers of plain and of searched streams.

    python -m tests.bench.stalled [--readers 64] [--repeats 8]

Starts a service of its own with the demo pair, once without keys and once with. Half of the readers ask for a plain
chat as a stream (n = 4, 400 tokens each, to the last of them), half for a search (N = 16); none reads a byte. Measured
are how long the capacity is taken after the engine's last token, how long an honest search (N = 4) takes beside them
and alone, and /healthz, asked by a process of its own, while all of them are closed at once. Linux only.
"""

import argparse
import asyncio
import json
import socket
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from tests.bench.hostile import Watch
from tests.bench.running import Service, running
from tests.bench.traffic import problems
from tests.server.scraping import scrape, total
from tests.server.sockets import connected, post

KEYS = {"stalled": "sk-benchmark-stalled", "honest": "sk-benchmark-honest"}
MODEL = "winnow-demo"
GENERATED_WITHIN_S = 60.0
HONEST_N = 4


def stalled_request(number: int, key: str) -> bytes:
    """A request for a stream: plain where the number is even."""
    problem = problems()[number]
    if number % 2 == 0:
        body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": problem}], "stream": True}
        sent = post("/v1/chat/completions", json.dumps(body | {"n": 4, "max_tokens": 400, "ignore_eos": True}).encode())
    else:
        body = {"problem": problem, "n": 16, "strategy": "weighted_best_of_n", "early_stop": False, "stream": True}
        sent = post("/solve", json.dumps(body).encode())
    return sent.replace(b"host: a", b"host: a\r\nauthorization: Bearer " + key.encode()) if key else sent


async def honest(client: httpx.AsyncClient, repeats: int) -> list[float]:
    """Seconds that searches of N = 4 take, one after another."""
    seconds = []
    for number in range(repeats):
        body = {"problem": problems()[number], "n": HONEST_N, "seed": number, "early_stop": False}
        start = time.perf_counter()
        (await client.post("/solve", json=body)).raise_for_status()
        seconds.append(time.perf_counter() - start)
    return seconds


async def until_generated(client: httpx.AsyncClient) -> tuple[float, float]:
    """Return when the engine had generated the last token, and when the capacity was free, by `time.perf_counter`."""
    generated = free = 0.0
    start = time.perf_counter()
    while not (generated and free):
        samples = await scrape(client)
        now = time.perf_counter()
        if now - start > GENERATED_WITHIN_S:
            raise TimeoutError(f"{total(samples, 'winnow_tokens_in_flight'):,.0f} tokens are in flight")
        is_generated = not total(samples, "vllm:num_requests_running") + total(samples, "vllm:num_requests_waiting")
        generated = (generated or now) if is_generated else 0.0
        free = now if not total(samples, "winnow_tokens_in_flight") else 0.0
        await asyncio.sleep(0.02)
    return generated, free


async def measure(service: Service, num_readers: int, repeats: int, keys: Mapping[str, str]) -> list[str]:
    """Let them stall and leave; return a row."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(service.client(keys.get("honest", "")))
        await honest(client, repeats)
        alone = await honest(client, repeats)
        readers: list[socket.socket] = []
        for number in range(num_readers):
            readers.append(await connected(client, stalled_request(number, keys.get("stalled", ""))))
        await asyncio.sleep(0.5)
        generated, free = await until_generated(client)
        beside = await honest(client, repeats)
        watch = Watch(service.process, service.url)
        await asyncio.to_thread(watch.__enter__)
        await asyncio.sleep(1)
        for reader in readers:
            reader.close()
        await asyncio.sleep(3)
        await asyncio.to_thread(watch.__exit__)
        ratio = statistics.median(beside) / statistics.median(alone)
        return [
            "with" if keys else "without",
            f"{1000 * statistics.median(alone):.0f} ms ({spread(alone)})",
            f"{1000 * statistics.median(beside):.0f} ms ({spread(beside)})",
            f"{ratio:.2f}",
            f"{max(0.0, free - generated):.2f} s",
            f"{1000 * max(watch.latencies):.0f} ms of {len(watch.latencies)}",
        ]


def spread(seconds: list[float]) -> str:
    """The least and the most."""
    return f"{1000 * min(seconds):.0f} to {1000 * max(seconds):.0f}"


async def main(num_readers: int, repeats: int) -> None:
    """Measure and print."""
    table = Table(
        "keys",
        f"N = {HONEST_N} alone",
        f"beside {num_readers} stalled",
        "ratio (bar: 1.5)",
        "capacity free after the last token (bar: 1 s)",
        "/healthz at worst as all leave (bar: 100 ms)",
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.yaml"
        path.write_text("".join(f"- {{name: {name}, key: {key}}}\n" for name, key in KEYS.items()))
        for keys, options in (({}, ()), (KEYS, ("--api-keys-file", str(path)))):
            async with running(*options, key=keys.get("honest", "")) as service:
                await service.warm_up(keys.get("honest", ""))
                table.add_row(*await measure(service, num_readers, repeats, keys))
    Console(width=160).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=64, help="Clients that read nothing.")
    parser.add_argument("--repeats", type=int, default=8, help="Honest searches, alone and beside them.")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.readers, arguments.repeats))

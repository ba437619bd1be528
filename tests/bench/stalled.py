"""What clients that read nothing cost those that do: stalled readers of plain and of searched streams.

    python -m tests.bench.stalled [--readers 64] [--n 4] [--max-tokens 400] [--repeats 16]

Starts a service of its own with the demo pair, once without keys and once with. Half of the readers ask for a plain
chat as a stream (n = 4, 400 tokens each, to the last of them), half for a search (N = 16); none reads a byte. Measured
are how long an honest search (N = 4) takes alone, while the engine works for them, and when it has; how long the
capacity is taken after the engine's last token; and /healthz, asked by a process of its own, while all of them are
closed at once. Linux only.
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
from dataclasses import dataclass
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
GENERATED_WITHIN_S = 120.0
HONEST_N = 4


@dataclass(frozen=True, slots=True)
class Plain:
    """What the plain half of the readers asks for: so many responses, of so many tokens each."""

    n: int
    max_tokens: int


def stalled_request(number: int, plain: Plain, key: str) -> bytes:
    """A request for a stream: plain where the number is even."""
    problem = problems()[number]
    if number % 2 == 0:
        body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": problem}], "stream": True}
        body |= {"n": plain.n, "max_tokens": plain.max_tokens, "ignore_eos": True}
        sent = post("/v1/chat/completions", json.dumps(body).encode())
    else:
        body = {"problem": problem, "n": 16, "strategy": "weighted_best_of_n", "early_stop": False, "stream": True}
        sent = post("/solve", json.dumps(body).encode())
    return sent.replace(b"host: a", b"host: a\r\nauthorization: Bearer " + key.encode()) if key else sent


async def honest(client: httpx.AsyncClient, repeats: int, *, while_busy: bool = False) -> list[float]:
    """Seconds that searches of N = 4 take, one after another; where asked for, only while others take capacity."""
    seconds: list[float] = []
    for number in range(repeats):
        if while_busy and not total(await scrape(client), "winnow_tokens_in_flight"):
            break
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


async def stalling(
    client: httpx.AsyncClient, num_readers: int, plain: Plain, keys: Mapping[str, str]
) -> list[socket.socket]:
    """Let readers ask and stall."""
    requests = [stalled_request(number, plain, keys.get("stalled", "")) for number in range(num_readers)]
    return [await connected(client, request) for request in requests]


async def measure(service: Service, num_readers: int, plain: Plain, repeats: int, keys: Mapping[str, str]) -> list[str]:
    """Let them stall and leave, twice; return a row."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(service.client(keys.get("honest", "")))
        await honest(client, repeats)
        alone = await honest(client, repeats)
        readers = await stalling(client, num_readers, plain, keys)
        await asyncio.sleep(0.5)
        during = await honest(client, repeats, while_busy=True)
        for reader in readers:
            reader.close()
        await until_generated(client)
        readers = await stalling(client, num_readers, plain, keys)
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
            spread(alone),
            spread(during),
            spread(beside),
            f"{ratio:.2f}",
            f"{max(0.0, free - generated):.2f} s",
            f"{1000 * max(watch.latencies):.0f} ms of {len(watch.latencies)}",
        ]


def spread(seconds: list[float]) -> str:
    """Median, least, most and number."""
    if not seconds:
        return "none"
    median, least, most = (1000 * value for value in (statistics.median(seconds), min(seconds), max(seconds)))
    return f"{median:.0f} ms ({least:.0f} to {most:.0f}, {len(seconds)})"


async def main(num_readers: int, plain: Plain, repeats: int) -> None:
    """Measure and print."""
    table = Table(
        "keys",
        f"N = {HONEST_N} alone",
        f"while {num_readers} stalled are generated",
        "when they are",
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
                table.add_row(*await measure(service, num_readers, plain, repeats, keys))
    Console(width=160).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=64, help="Clients that read nothing.")
    parser.add_argument("--n", type=int, default=4, help="Responses that a plain one of them asks for.")
    parser.add_argument("--max-tokens", type=int, default=400, help="Of each of these responses.")
    parser.add_argument("--repeats", type=int, default=16, help="Honest searches, alone and beside them.")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.readers, Plain(arguments.n, arguments.max_tokens), arguments.repeats))

"""What becomes of requests when the network cuts off the policy's host, or the verifier's, and joins it again.

    python -m tests.bench.partition [--cut-s 10] [--host policy verifier] [--way silent unplugged] [--rate 3]
                                      [--again]

Three network hosts on this machine: a vLLM server of the demo policy on one, one of the verifier on another, and on
the third `winnow serve` and its clients, which ask at set times whatever became of the requests before. First the same
requests without a cut, which the others are compared with; `--again` shows how often the same seed repeats itself.
Linux only; needs no root where the kernel lets its users make namespaces.
"""

import argparse
import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path

import httpx
from rich.console import Console

from tests.bench.hosts import ISOLATED, WAYS, Host, Way, isolate, join
from tests.bench.partition_table import REFERENCE, Run, tabulate
from tests.bench.remote import kill
from tests.bench.running import Service, running, still_busy
from tests.bench.schedule import Request, play, schedule
from tests.conftest import DEMO
from tests.server.scraping import Samples, scrape, total
from tests.servers import POOLING, await_server, start_server

MODELS: Mapping[str, tuple[str, tuple[str, ...]]] = {"policy": ("policy", ()), "verifier": ("prm", POOLING)}
PLUGIN = {"VLLM_PLUGINS": "winnow"}
PORT = 8000
CUT_AT_S = 6.0
TAIL_S = 12.0
"""Seconds in which requests begin after the cut."""
SETTLE_WITHIN_S = 60.0
LOOK_EVERY_S = 0.2


@contextmanager
def servers(hosts: Mapping[str, Host]) -> Iterator[dict[str, str]]:
    """Run a server of each model on the host of its name; their URLs."""
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, (model, flags) in MODELS.items():
            prefix = hosts[name].prefix
            started[name] = start_server(
                DEMO / model, "--host=0.0.0.0", *flags, port=PORT, variables=PLUGIN, prefix=prefix
            )
        yield {name: await_server(process, PORT, hosts[name].address) for name, process in started.items()}
    finally:
        for process in started.values():
            kill(process)


@asynccontextmanager
async def watched(service: Service, start: float) -> AsyncIterator[list[tuple[float, bool]]]:
    """Ask `/readyz` again and again while the context lasts."""
    seen: list[tuple[float, bool]] = []

    async def watch(client: httpx.AsyncClient) -> None:
        while True:
            status = (await client.get("/readyz", timeout=15)).status_code
            seen.append((time.perf_counter() - start, status == 200))
            await asyncio.sleep(LOOK_EVERY_S)

    async with service.client() as client:
        watching = asyncio.create_task(watch(client))
        try:
            yield seen
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


async def run(
    service: Service, urls: dict[str, str], requests: Sequence[Request], host: Host | None, way: Way, cut_s: float
) -> Run:
    """Send the requests, and cut a host off meanwhile."""
    async with service.client() as client:
        before = count(await scrape(client))
        start = time.perf_counter()
        async with watched(service, start) as ready:
            playing = asyncio.create_task(play(client, requests, start))
            await asyncio.sleep(CUT_AT_S)
            with host.cut(way) if host else nullcontext():
                await asyncio.sleep(cut_s)
            healed_s = time.perf_counter() - start
            replies = await playing
        until = time.perf_counter() + SETTLE_WITHIN_S
        while (left := await work(client, urls)) and time.perf_counter() < until:  # noqa: ASYNC110 - no event
            await asyncio.sleep(LOOK_EVERY_S)
        settled_s = time.perf_counter() - start
        return Run(replies, CUT_AT_S, healed_s, ready, count(await scrape(client)) - before, left, settled_s)


def count(samples: Samples) -> int:
    """Requests that the service has answered."""
    routes = ("/solve", "/v1/chat/completions")
    return int(sum(total(samples, "winnow_http_requests_total", route=route) for route in routes))


async def work(client: httpx.AsyncClient, urls: dict[str, str]) -> dict[str, float]:
    """Everything that is not at rest, here and on the hosts."""
    samples = await scrape(client)
    busy = still_busy(samples) | {"winnow_replica_requests": total(samples, "winnow_replica_requests")}
    for name, url in urls.items():
        async with httpx.AsyncClient(base_url=url, timeout=15) as server:
            there = await scrape(server)
        for gauge in ("running", "waiting"):
            busy[f"{name}: {gauge}"] = total(there, f"vllm:num_requests_{gauge}")
    return {name: value for name, value in busy.items() if value}


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cut-s", type=float, default=10.0)
    parser.add_argument("--host", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--way", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--rate", type=float, default=3.0, help="Requests a second.")
    parser.add_argument("--again", action="store_true", help="Twice without a cut.")
    parser.add_argument(ISOLATED, action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.isolated:
        isolate("tests.bench.partition")
    hosts = {host.name: host for host in join(*MODELS)}
    requests = schedule(CUT_AT_S + arguments.cut_s + TAIL_S, arguments.rate)
    runs: dict[str, Run] = {}
    with servers(hosts) as urls:
        options = [text for name, url in urls.items() for text in (f"--{name}-url", url)]
        async with running(*options, logs=Path(os.devnull)) as service:  # it says of every request what is cut off
            await service.warm_up()
            for name in (REFERENCE, f"{REFERENCE}, again")[: 1 + arguments.again]:
                runs[name] = await run(service, urls, requests, None, "silent", arguments.cut_s)
            for host in arguments.host:
                for way in arguments.way:
                    runs[f"{host}, {way}"] = await run(service, urls, requests, hosts[host], way, arguments.cut_s)
    title = f"a host is cut off for {arguments.cut_s:g} s; {len(requests)} requests"
    Console(width=150).print(tabulate(runs, title))


if __name__ == "__main__":
    asyncio.run(main())

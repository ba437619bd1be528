"""How fast a full queue says so while searches run, and what a client with N = 256 takes from clients with N = 4.

    python -m tests.bench.admission [--seconds 10] [--clients 200]

Needs no model: searches take their time without computing, so what is measured is the service. Refusals go over HTTP on
loopback, the load and the service in one process. Fairness is counted in a simulation, in the time that the work takes
at a fixed number of tokens a second, with the queue of the service and with one in the order of arrival.
"""

import argparse
import asyncio
import heapq
import itertools
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import httpx
from rich.console import Console
from rich.table import Table

from models.interfaces import Finish, Sampling, Step
from server.app import create_app
from server.keys import Client, Keyring
from server.settings import Settings
from server.solving.admission import Admission, Place
from tests.server.conftest import serving
from tests.worlds import World

CONTEXT = 1024
CAPACITY = 524_288
PAUSE_S = 2.0
"""Between the requests of a client: without it the load itself, in the process of the service, would be measured."""

RATE = 20_000
"""Tokens a second of the simulated engines."""

LIGHT, HEAVY = Client("light"), Client("heavy")
NUM_LIGHT, NUM_HEAVY = 8, 32
"""Clients with one search of N = 4 at a time each, and searches of N = 256 that one client has at a time."""


class Slow:
    """A world in which every response is one step that takes a while."""

    def draw(self, prefix: Sequence[Step], sampling: Sampling) -> tuple[str, Finish]:
        """Answer 1."""
        return r"\boxed{1}", Finish.END

    def judge(self, steps: Sequence[Step]) -> float:
        """Think the same of everything."""
        return 0.5


async def refusals(num_clients: int, seconds: float) -> tuple[Counter[int], list[float], list[float]]:
    """Return statuses, latencies of refusals, and latencies of /healthz meanwhile, in seconds."""
    world = World(Slow())
    world.policy.gates[r"\boxed{1}"] = asyncio.Event()
    settings = Settings(max_cost_in_flight=16 * CONTEXT * 8, max_queued=64)
    statuses: Counter[int] = Counter()
    refused: list[float] = []
    health: list[float] = []
    until = 0.0

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        await asyncio.sleep(PAUSE_S * number / num_clients)
        while time.perf_counter() < until:
            start = time.perf_counter()
            response = await client.post("/solve", json={"problem": "1 + 1", "n": 16, "deadline_s": 1.0, "include": []})
            statuses[response.status_code] += 1
            if response.status_code == 429 and response.json()["error"]["code"] == "queue_full":
                refused.append(time.perf_counter() - start)
            await asyncio.sleep(PAUSE_S)

    async def watch(client: httpx.AsyncClient) -> None:
        while time.perf_counter() < until:
            start = time.perf_counter()
            await client.get("/healthz")
            health.append(time.perf_counter() - start)
            await asyncio.sleep(0.05)

    limits = httpx.Limits(max_connections=None)
    async with (
        serving(create_app(world.models, (), settings, Keyring()), settings) as served,
        httpx.AsyncClient(base_url=served.base_url, limits=limits, timeout=60) as client,
    ):
        until = time.perf_counter() + seconds
        await asyncio.gather(watch(served), *(ask(client, number) for number in range(num_clients)))
    return statuses, refused, health


def simulate(horizon_s: float, tokens_per_s: float, name: Callable[[Client], Client]) -> dict[int, list[float]]:
    """Return how long searches waited, in seconds, by N; the work of all that run is shared evenly by token.

    Args:
        horizon_s: Length.
        tokens_per_s: Throughput of the engines.
        name: Whom a search is counted to.
    """
    now, places = 0.0, dict[Place, tuple[ExitStack, Client, int, float]]()
    admission = Admission(CAPACITY, 10_000, lambda: now)
    waits: defaultdict[int, list[float]] = defaultdict(list)
    ends: list[tuple[float, int, Place]] = []  # in tokens of work done by each running response
    order, work = itertools.count(), 0.0

    def come(client: Client, n: int) -> None:
        stack = ExitStack()
        place = stack.enter_context(admission.join(name(client), n * CONTEXT))
        places[place] = stack, client, n, now

    def see() -> None:
        known = {place for _, _, place in ends}
        for place, (_, _, n, came) in places.items():
            if place.started is not None and place not in known:
                waits[n].append(now - came)
                heapq.heappush(ends, (work + CONTEXT, next(order), place))

    for _ in range(NUM_HEAVY):
        come(HEAVY, 256)
    for number in range(NUM_LIGHT):
        come(Client(f"light-{number}"), 4)
    see()
    while now < horizon_s:
        end, _, place = heapq.heappop(ends)
        responses = sum(places[other][2] for _, _, other in ends) + places[place][2]
        now += (end - work) * responses / tokens_per_s
        work = end
        stack, client, n, _ = places.pop(place)
        stack.close()
        come(client, n)
        see()
    return waits


async def main(num_clients: int, seconds: float) -> None:
    """Measure and print."""
    statuses, refused, health = await refusals(num_clients, seconds)
    table = Table(
        "what", "p50", "p99", "worst", title=f"{num_clients} clients, {seconds:g} s, statuses {dict(statuses)}"
    )
    for title, latencies in (("429 of a full queue", refused), ("/healthz", health)):
        table.add_row(title, *(f"{1000 * value:.1f} ms" for value in summary(latencies)))
    Console().print(table)
    table = Table(
        "order", "N", "searches", "p50", "p99", "worst", title="seconds in the queue, at 20,000 tokens a second"
    )
    one = Client("everybody")
    for title, name in (("fair between clients", lambda client: client), ("of arrival", lambda _: one)):
        for n, waits in sorted(simulate(600, RATE, name).items()):
            table.add_row(title, str(n), str(len(waits)), *(f"{value:.1f}" for value in summary(waits)))
    Console().print(table)


def summary(values: list[float]) -> tuple[float, float, float]:
    """Median, 99th percentile, largest."""
    return statistics.median(values), statistics.quantiles(values, n=100)[98], max(values)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200, help="Clients that ask at a time.")
    parser.add_argument("--seconds", type=float, default=10, help="How long they ask.")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.clients, arguments.seconds))

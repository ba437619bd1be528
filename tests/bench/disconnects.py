"""How soon the engines are rid of a client that left, and what a thousand of them leave behind.

    python -m tests.bench.disconnects [--each 100] [--many 1000]

Starts a service of its own with the demo pair. A search of N = 64 is left as soon as the policy's engine works on it;
what the engines say of themselves then tells when they have dropped all of its responses. Linux only.
"""

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Sequence
from itertools import cycle

import httpx
from rich.console import Console
from rich.table import Table

from tests.bench.running import Footprint, running, still_busy
from tests.bench.traffic import STRATEGIES, ask, problems
from tests.server.scraping import scrape, total

N = 64
WITHIN_S = 1.0
MANY_AT_ONCE = 40


async def leave(client: httpx.AsyncClient, strategy: str, problem: str, *, stream: bool) -> float:
    """Leave a search that the engine works on; return the seconds until the engines are idle."""
    request = {"problem": problem, "strategy": strategy, "n": N, "early_stop": False, "include": [], "stream": stream}
    asking = asyncio.create_task(ask(client, request))
    while not asking.done() and not total(await scrape(client), "vllm:num_requests_running"):  # noqa: ASYNC110 - no event
        await asyncio.sleep(0)
    if asking.done():
        raise RuntimeError(f"a search of N = {N} ended before it was seen in the engine: {asking.result().outcome}")
    asking.cancel()
    start = time.perf_counter()
    await asyncio.gather(asking, return_exceptions=True)
    while still_busy(samples := await scrape(client)):  # noqa: ASYNC110 - no event
        await asyncio.sleep(0)
    seconds, generated = time.perf_counter() - start, total(samples, "vllm:generation_tokens_total")
    await asyncio.sleep(0.1)
    if total(await scrape(client), "vllm:generation_tokens_total") != generated:
        raise RuntimeError("the policy's engine says that it is idle, and goes on generating")
    return seconds


async def leave_many(client: httpx.AsyncClient, count: int) -> int:
    """Send many requests that are given up after up to a second; return how many were answered before that."""
    rng, places = random.Random(0), asyncio.Semaphore(MANY_AT_ONCE)

    async def leave_soon(number: int) -> bool:
        request = {
            "problem": rng.choice(problems()),
            "strategy": STRATEGIES[number % len(STRATEGIES)],
            "n": N,
            "stream": number % 2 == 0,
        }
        async with places:
            return (await ask(client, request, rng.uniform(0.05, 1.0))).outcome != "left"

    return sum(await asyncio.gather(*(leave_soon(number) for number in range(count))))


async def main(each: int, many: int) -> None:
    """Measure and print."""
    table = Table("what", "measured", "bar")
    async with running() as service:
        async with service.client() as client:
            await leave_many(client, 2 * MANY_AT_ONCE)
        _, before = await service.at_rest()
        async with service.client() as client:
            for stream in (False, True):
                strategies = cycle(STRATEGIES)
                seconds = [
                    await leave(client, next(strategies), problems()[number], stream=stream) for number in range(each)
                ]
                table.add_row(f"engines idle after {'a stream' if stream else 'a request'} is left", *summary(seconds))
            num_answered = await leave_many(client, many)
        samples, after = await service.at_rest()
    table.add_row(f"left of {many} more", f"{many - num_answered}", "")
    table.add_row("searches cancelled, as the service counts", f"{total(samples, *CANCELLED):.0f}", "")
    table.add_row("gauges that are not 0 at the end", str(still_busy(samples) or "none"), "none")
    for name in Footprint.__dataclass_fields__:
        table.add_row(
            f"{name} before and after", ", ".join(f"{getattr(f, name):.0f}" for f in (before, after)), "equal"
        )
    Console(width=120).print(table)


CANCELLED = ("winnow_searches_total",)


def summary(seconds: Sequence[float]) -> tuple[str, str]:
    """How long it took, and how long it may take."""
    within = sum(each <= WITHIN_S for each in seconds)
    told = f"{within} of {len(seconds)} within {WITHIN_S:g} s; p50 {statistics.median(seconds):.2f} s"
    return f"{told}, worst {max(seconds):.2f} s", "all"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=100, help="Requests and streams left one by one.")
    parser.add_argument("--many", type=int, default=1000, help="Requests left after that, many at once.")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.each, arguments.many))

"""What an engine still does for requests that were left, behind vllm-router and without one.

    python -m tests.bench.leaving [--repeats 3]

Starts a vLLM server of the demo policy as vLLM does, and one as `winnow engine` does, with comments in silent streams.
Each runs eight requests at a time. It is asked directly, through a router with the flags of
deploy/compose.routers.yaml, and through one with the router's default policy. Eight streams are left while they are
generated; then sixteen requests that wait in the engine are left while eight others go on.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import aiohttp
from rich.console import Console
from rich.table import Table

from models.remote.replica import session
from models.remote.wire import STREAM_INTERVAL
from models.vllm.server import KEEP_ALIVE
from tests.bench.remote import servers
from tests.models.remote.test_remote_engine import RUNNING, metric
from tests.routers import routed

AT_A_TIME, WAITING = 8, 16
WAITS = "vllm:num_requests_waiting"
GENERATED = "vllm:generation_tokens_total"
BODY = {"model": "theirs", "stream": True, "stream_interval": STREAM_INTERVAL, "max_tokens": 950, "ignore_eos": True}
FLAGS: dict[str, tuple[str, ...]] = {"as vLLM starts it": (), "as winnow engine does": (f"--middleware={KEEP_ALIVE}",)}
ROUTERS: dict[str, tuple[str, ...] | None] = {
    "none": None,
    "consistent_hash, as deployed": (),
    "cache_aware, its default": ("--policy=cache_aware",),
}

console = Console(width=150)


@contextmanager
def behind(url: str, flags: tuple[str, ...] | None) -> Iterator[str]:
    """The URL by which the server is asked."""
    if flags is None:
        yield url
    else:
        with routed([url], *flags) as router:
            yield router


class Crowd:
    """Requests for long responses to one server.

    Args:
        client: Of the server, or of a router in front of it.
        url: Of the server itself, whose metrics are read.
    """

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = url
        self._tasks: list[asyncio.Task[None]] = []
        self.num_begun = 0

    def ask(self, number: int) -> None:
        """Begin so many more."""
        self._tasks += [asyncio.create_task(self._draw(len(self._tasks) + each)) for each in range(number)]

    async def _draw(self, number: int) -> None:
        body = BODY | {"prompt": [*range(20, 40), 20 + number]}
        async with self._client.post("/v1/completions", json=body, headers=session(str(number))) as response:
            response.raise_for_status()
            await response.content.readline()
            self.num_begun += 1
            async for _ in response.content:
                pass

    async def leave(self, number: int) -> None:
        """Leave the last so many."""
        left, self._tasks = self._tasks[-number:], self._tasks[:-number]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def until(self, is_so: Callable[[float], bool], name: str) -> float:
        """Wait for a metric of the server; the seconds that it took."""
        start = time.perf_counter()
        async with asyncio.timeout(60):
            while not is_so(await metric([self._url], name)):  # noqa: ASYNC110 - a server has no event for it
                await asyncio.sleep(0.005)
        return time.perf_counter() - start


async def measure(url: str, way: tuple[str, ...] | None) -> tuple[float, float, float]:
    """Tokens a stream that come after it was left, the seconds until the engine is idle, and until nothing waits."""
    with behind(url, way) as reached:
        async with aiohttp.ClientSession(reached, raise_for_status=True) as client:
            crowd = Crowd(client, url)
            crowd.ask(AT_A_TIME)
            while crowd.num_begun < AT_A_TIME:  # noqa: ASYNC110 - the engine has no event for it
                await asyncio.sleep(0.005)
            before = await metric([url], GENERATED)
            await crowd.leave(AT_A_TIME)
            idle_s = await crowd.until(lambda running: not running, RUNNING)
            tokens = (await metric([url], GENERATED) - before) / AT_A_TIME
            crowd.ask(AT_A_TIME)
            await crowd.until(lambda running: running == AT_A_TIME, RUNNING)
            crowd.ask(WAITING)
            await crowd.until(lambda waiting: waiting == WAITING, WAITS)
            await crowd.leave(WAITING)
            rid_s = await crowd.until(lambda waiting: not waiting, WAITS)
            await crowd.leave(AT_A_TIME)
            await crowd.until(lambda running: not running, RUNNING)
    return tokens, idle_s, rid_s


async def main(repeats: int) -> None:
    """Measure and print."""
    titles = "server", "router", "tokens a stream after it was left", "engine idle after, s", "queue empty after, s"
    table = Table(*titles, title=f"median and range of {repeats}")
    for name, flags in FLAGS.items():
        with servers("policy", 1, f"--max-num-seqs={AT_A_TIME}", *flags) as started:
            for router, way in ROUTERS.items():
                figures = zip(*[await measure(started[0][1], way) for _ in range(repeats)], strict=True)
                cells = [f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})" for each in figures]
                table.add_row(name, router, *cells)
                console.print(f"  {name}, {router}: {cells}")
    console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    asyncio.run(main(parser.parse_args().repeats))

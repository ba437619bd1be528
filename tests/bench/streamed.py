"""What a stream costs the service: CPU time of a search in a toy world, streamed and not.

    python -m tests.bench.streamed [--searches 20] [--repeats 5] [--n 64]

Policy and verifier are a world that answers at once, so that all CPU time is the service's (and the world's, which is
the same both ways). The client is in the same process and reads bytes. To compare two commits, run it in both trees, in
turn.
"""

import argparse
import asyncio
import statistics
import time
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from server.memory import collect_rarely
from tests.natures import Branch, Tree, answer, step
from tests.server.services import service
from tests.worlds import World

STRATEGIES = ("majority", "weighted_best_of_n", "beam_search", "dvts")
TEXT = "So the sum of the first two terms is what was to be shown, and we go on with the next of them. "


def world(depth: int = 8, answers: int = 5) -> World:
    """A world of responses of some steps; each step has two ways to go on."""

    def grow(level: int, path: str) -> tuple[Branch, ...]:
        if level == depth:
            return tuple(answer(str((len(path) * number) % answers), 0.1 + number / 10) for number in range(5))
        later = grow(level + 1, path + "x")
        return tuple(step(f"{TEXT}{level}{way}", 0.3 + way / 5, *later) for way in range(3))

    return World(Tree(*grow(0, "")))


async def search(client: httpx.AsyncClient, strategy: str, n: int, seed: int, *, stream: bool) -> int:
    """Search; return the bytes of the reply."""
    body: dict[str, Any] = {"problem": "?", "n": n, "strategy": strategy, "seed": seed, "early_stop": False}
    size = 0
    async with client.stream("POST", "/solve", json=body | {"stream": stream, "max_tokens": 100_000}) as reply:
        reply.raise_for_status()
        async for chunk in reply.aiter_raw():
            size += len(chunk)
    return size


async def main(options: argparse.Namespace) -> None:
    """Measure and print."""
    table = Table("strategy", "stream", "CPU ms", "range", "kB", title=f"a search of {options.n} candidates")
    async with service(world()) as client:
        collect_rarely()
        for strategy in STRATEGIES:
            for stream in (False, True):
                await search(client, strategy, options.n, 0, stream=stream)
                spent = []
                for _ in range(options.repeats):
                    start = time.process_time()
                    for seed in range(options.searches):
                        size = await search(client, strategy, options.n, seed, stream=stream)
                    spent.append(1000 * (time.process_time() - start) / options.searches)
                span = f"{min(spent):.1f} to {max(spent):.1f}"
                table.add_row(strategy, str(stream), f"{statistics.median(spent):.1f}", span, f"{size / 1000:.0f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--n", type=int, default=64)
    asyncio.run(main(parser.parse_args()))

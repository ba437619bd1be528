"""How the service does under load: batching across requests, `/healthz` meanwhile, and how often a seed repeats itself.

    winnow serve &
    python -m tests.bench.service [--url http://127.0.0.1:8000] [--repeats 8]

Ratios are of wall times within one run, sequential and concurrent in turn; each repeat has eight problems of its own,
since one long response sets the pace of the eight that it is among.
"""

import argparse
import asyncio
import statistics
import time
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from models.training.demo.tasks.stream import held_out_problems

NUM_PROBLEMS = 8
NUM_PAIRS = 40
HEALTH_EVERY_S = 0.05
ROUNDING = 1e-6
"""A score in another batch differs by a float32's last bit or two."""


async def solve(client: httpx.AsyncClient, problem: str, **fields: Any) -> dict[str, Any]:
    """Ask for weighted best-of-N with N = 16."""
    request = {
        "problem": problem,
        "strategy": "weighted_best_of_n",
        "n": 16,
        "seed": 1,
        "include": ["candidates"],
    } | fields
    response = await client.post("/solve", json=request)
    response.raise_for_status()
    reply: dict[str, Any] = response.json()
    return reply


async def batching(client: httpx.AsyncClient, problems: list[str], repeats: int) -> tuple[list[float], list[float]]:
    """Return ratios of concurrent to sequential wall time, and latencies of /healthz under the concurrent load."""
    ratios, latencies = [], []
    for first in range(0, NUM_PROBLEMS * repeats, NUM_PROBLEMS):
        batch = problems[first : first + NUM_PROBLEMS]
        start = time.perf_counter()
        for problem in batch:
            await solve(client, problem)
        sequential = time.perf_counter() - start
        start = time.perf_counter()
        load = asyncio.gather(*(solve(client, problem) for problem in batch))
        while not load.done():
            latencies.append(await latency(client))
            await asyncio.sleep(HEALTH_EVERY_S)
        await load
        ratios.append((time.perf_counter() - start) / sequential)
    return ratios, latencies


async def latency(client: httpx.AsyncClient) -> float:
    """Return the seconds that /healthz takes."""
    start = time.perf_counter()
    (await client.get("/healthz")).raise_for_status()
    return time.perf_counter() - start


async def repeated(client: httpx.AsyncClient, problems: list[str], *, is_busy: bool) -> float:
    """Return the share of requests that get the same reply twice, on an idle service or beside other requests."""
    same = 0
    for number, problem in enumerate(problems):
        others = [solve(client, other, seed=number) for other in problems[:3] if is_busy]
        load = asyncio.gather(*others)
        pair = [essence(await solve(client, problem, early_stop=False)) for _ in range(2)]
        await load
        same += pair[0][0] == pair[1][0] and all(
            abs(first - second) <= ROUNDING for first, second in zip(pair[0][1], pair[1][1], strict=True)
        )
    return same / len(problems)


def essence(reply: dict[str, Any]) -> tuple[list[Any], list[float]]:
    """Return what must be equal, and the scores, which may be rounded otherwise."""
    candidates = reply["candidates"]
    return [reply["answer"], *(c["response"] for c in candidates)], [c["score"] or 0.0 for c in candidates]


async def main(url: str, repeats: int) -> None:
    """Measure and print."""
    problems = [record.problem for record in held_out_problems(1, max(NUM_PAIRS, NUM_PROBLEMS * repeats))]
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        await batching(client, problems, 1)
        ratios, latencies = await batching(client, problems, repeats)
        idle = await repeated(client, problems[:NUM_PAIRS], is_busy=False)
        busy = await repeated(client, problems[:NUM_PAIRS], is_busy=True)
    table = Table("what", "measured", title=f"weighted_best_of_n, N = 16, at {url}")
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    table.add_row("8 at once / one after another", f"{statistics.median(ratios):.2f} ({spread})")
    table.add_row("/healthz meanwhile, worst of " + str(len(latencies)), f"{1000 * max(latencies):.0f} ms")
    table.add_row("same seed, same reply, idle", f"{idle:.0%} of {NUM_PAIRS}")
    table.add_row("same seed, same reply, beside other requests", f"{busy:.0%} of {NUM_PAIRS}")
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="Where the service runs.")
    parser.add_argument("--repeats", type=int, default=8, help="Batches of eight problems.")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.url, arguments.repeats))

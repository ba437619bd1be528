"""What the same seed keeps: requests asked alone, again, and beside other clients, compared bit for bit.

    python -m tests.bench.seeds [--requests 120] [--clients 10]

Starts a service of its own with the demo pair. All strategies, N = 4 and 8, half of them with early stopping.
"""

import argparse
import asyncio
import random
import time
from itertools import count
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from tests.bench.running import running
from tests.bench.traffic import STRATEGIES, Traffic, keep_asking, problems

AT_ONCE = 6
FOR_EVER_S = 3600.0


def requests(number: int) -> list[dict[str, Any]]:
    """What is asked."""
    rng = random.Random(7)
    return [
        {
            "problem": rng.choice(problems()),
            "strategy": STRATEGIES[seed % len(STRATEGIES)],
            "n": (4, 8)[seed % 2],
            "early_stop": seed % 4 < 2,
            "seed": seed,
            "include": ["candidates"],
        }
        for seed in range(number)
    ]


async def ask_all(client: httpx.AsyncClient, asked: list[dict[str, Any]], at_once: int) -> list[dict[str, Any]]:
    """Return the replies."""
    places = asyncio.Semaphore(at_once)

    async def one(request: dict[str, Any]) -> dict[str, Any]:
        async with places:
            response = await client.post("/solve", json=request)
        response.raise_for_status()
        reply: dict[str, Any] = response.json()
        return reply

    return await asyncio.gather(*map(one, asked))


def differences(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, str]:
    """How many replies differ in what, and by how much scores do."""
    found = dict.fromkeys(("answer", "response", "votes", "candidates", "scores"), 0)
    most = 0.0
    for first, second in pairs:
        for name in ("answer", "response"):
            found[name] += first[name] != second[name]
        votes, candidates, scores = zip(*map(essence, (first, second)), strict=True)
        found["votes"] += votes[0] != votes[1]
        found["candidates"] += candidates[0] != candidates[1]
        found["scores"] += scores[0] != scores[1]
        most = max([most, *(abs(a - b) for a, b in zip(*scores, strict=False))])
    return {name: str(number) for name, number in found.items()} | {"by at most": f"{most:.1e}"}


def essence(reply: dict[str, Any]) -> tuple[list[Any], list[Any], list[float]]:
    """Return the votes, the candidates without their scores, and those."""
    votes = [(vote["answer"], vote["count"]) for vote in reply["votes"]]
    candidates = [(each["id"], each["response"], each["finish"]) for each in reply["candidates"]]
    return votes, candidates, [each["score"] or 0.0 for each in reply["candidates"]]


async def main(num_requests: int, num_clients: int) -> None:
    """Measure and print."""
    asked, traffic = requests(num_requests), Traffic()
    async with running("--max-queued", "256") as service, service.client() as client:
        await service.warm_up()
        alone, again = [await ask_all(client, asked, 1) for _ in range(2)]
        until = time.perf_counter() + FOR_EVER_S
        seeds = map(random.Random, count(100))
        others = [
            asyncio.create_task(keep_asking(client, traffic, "others", next(seeds), until)) for _ in range(num_clients)
        ]
        beside = await ask_all(client, asked, AT_ONCE)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
    table = Table("asked", "early stopping", "requests", title="replies that differ from those alone, in")
    for name in differences([]):
        table.add_column(name)
    for when, replies in (("again, alone", again), (f"beside {num_clients} clients", beside)):
        for stops in (True, False):
            pairs = [(a, b) for r, a, b in zip(asked, alone, replies, strict=True) if r["early_stop"] == stops]
            table.add_row(when, "yes" if stops else "no", str(len(pairs)), *differences(pairs).values())
    Console(width=140).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=120, help="That are compared.")
    parser.add_argument("--clients", type=int, default=10, help="That ask beside them.")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.requests, arguments.clients))

"""Whether a service that is asked at a low, steady rate grows: memory of every process of it, every 30 s for an hour.

    python -m tests.bench.soak [--minutes 60] [--rate 2] [--out soak.jsonl]

Starts a service of its own with the demo pair. Requests come at random times: half are searches with every strategy,
half plain chats; some of both are streamed, one in ten is left within a second. The bar is 5 % between minute 10 and
the end, of the service and of each engine. `--show FILE` prints the table of a run that is over, or still runs. Linux
only.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from models.training.demo.tasks.stream import held_out_problems
from tests.bench.running import MIB, Service, running
from tests.bench.traffic import ask, draw
from tests.server.processes import engines_of

KV_CACHE_MIB = 64
"""Of each engine: small, so that it is full before minute 10."""
LOOK_EVERY_S = 30.0
FROM_MINUTE = 10.0
LEAVING = 0.1
AT_ONCE = 32
"""Requests in flight; more are not sent, so that a machine that is busy otherwise does not gather a crowd."""
SMOOTHED = 5
"""Looks whose median counts: a look may fall into a large request."""
MODEL = "winnow-demo"


@cache
def problems() -> tuple[str, ...]:
    """More than any cache holds."""
    return tuple(record.problem for record in held_out_problems(5, 4_000))


async def ask_plain(client: httpx.AsyncClient, rng: random.Random, patience_s: float) -> str:
    """Ask for a chat without a search, and leave when patience is at its end; return what came of it."""
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": rng.choice(problems())}],
        "n": rng.choice((1, 1, 2, 4)),
        "max_tokens": rng.choice((16, 64, 256)),
        "stream": rng.random() < 0.5,
        "temperature": rng.choice((0.0, 0.8)),
        "logprobs": rng.random() < 0.25,
    }
    try:
        async with asyncio.timeout(patience_s):
            async with client.stream("POST", "/v1/chat/completions", json=body) as response:
                async for _ in response.aiter_bytes():
                    pass
    except TimeoutError:
        return "left"
    except httpx.TransportError:
        return "connection lost"
    return f"chat {response.status_code}"


async def ask_search(client: httpx.AsyncClient, rng: random.Random, patience_s: float) -> str:
    """Ask for a search of N = 4 or 8."""
    answer = await ask(client, draw(rng, (4, 8)) | {"problem": rng.choice(problems())}, patience_s)
    return answer.outcome


async def keep_asking(client: httpx.AsyncClient, rate: float, until: float, outcomes: Counter[str]) -> None:
    """Send requests at random times, `rate` of them a second."""
    rng, in_flight = random.Random(0), set[asyncio.Task[str]]()
    while time.perf_counter() < until:
        await asyncio.sleep(rng.expovariate(rate))
        if len(in_flight) >= AT_ONCE:
            outcomes["not sent"] += 1
            continue
        patience_s = rng.uniform(0.05, 1.0) if rng.random() < LEAVING else 180.0
        asking = asyncio.create_task(rng.choice((ask_plain, ask_search))(client, rng, patience_s))
        in_flight.add(asking)
        asking.add_done_callback(in_flight.discard)
        asking.add_done_callback(lambda task: outcomes.update((task.result(),)))
    await asyncio.gather(*in_flight)


def look(service: Service) -> dict[str, dict[str, float]]:
    """Return the memory of the service, its engines and all its other processes, in MiB.

    Resident memory (rss) is what is judged. Shared out (pss), pages of libraries move with other services on the
    machine that come and go.
    """
    policy, verifier = engines_of(service.process)
    named = {service.process: "service", policy: "policy's engine", verifier: "verifier's engine"}
    memory: dict[str, dict[str, float]] = {}
    for process in service.processes():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            info, found = process.memory_full_info(), memory.setdefault(named.get(process, "others"), {})
            for name, size in (("pss", info.pss), ("rss", info.rss)):
                found[name] = found.get(name, 0.0) + round(size / MIB, 1)
    return memory


async def soak(service: Service, minutes: float, rate: float, out: Path) -> None:
    """Ask and look, a line of the file for each look."""
    problems()
    start, outcomes = time.perf_counter(), Counter[str]()
    until = start + 60 * minutes
    async with service.client() as client, asyncio.TaskGroup() as group:
        group.create_task(keep_asking(client, rate, until, outcomes))
        with out.open("w") as file:
            for number in range(int(60 * minutes / LOOK_EVERY_S) + 1):
                await asyncio.sleep(max(0.0, start + number * LOOK_EVERY_S - time.perf_counter()))
                memory = await asyncio.to_thread(look, service)
                minute = round((time.perf_counter() - start) / 60, 2)
                load = round(psutil.getloadavg()[0], 1)
                file.write(json.dumps({"minute": minute, "memory": memory, "load": load, "outcomes": outcomes}) + "\n")
                file.flush()


def show(path: Path) -> None:
    """Print what a file of looks tells."""
    looks = [json.loads(line) for line in path.read_text().splitlines()]
    last = looks[-1]["minute"]
    minutes = [minute for minute in (1.0, 5.0, FROM_MINUTE, 20.0, 30.0, 40.0, 50.0) if minute < last] + [last]
    table = Table("MiB resident", *(f"{minute:g} min" for minute in minutes), "since minute 10, most")
    for name in looks[0]["memory"]:
        then = _at(looks, name, min(FROM_MINUTE, last))
        most = max((_at(looks, name, each["minute"]) for each in looks if each["minute"] >= FROM_MINUTE), default=then)
        values = [_at(looks, name, minute) for minute in minutes]
        growth = f"{values[-1] / then - 1:+.1%}, {most / then - 1:+.1%}"
        table.add_row(name, *(f"{value:.0f}" for value in values), growth)
    outcomes = Counter(looks[-1]["outcomes"])
    told = ", ".join(f"{number:,} {outcome}" for outcome, number in outcomes.most_common())
    loads = [each["load"] for each in looks]
    table.caption = f"{outcomes.total():,} requests: {told}; load average {min(loads)} to {max(loads)}"
    Console(width=160).print(table)


def _at(looks: Sequence[dict[str, Any]], name: str, minute: float) -> float:
    """Return the median of the looks around a minute."""
    near = sorted(looks, key=lambda each: abs(each["minute"] - minute))[:SMOOTHED]
    return float(statistics.median(each["memory"][name]["rss"] for each in near))


async def main(minutes: float, rate: float, out: Path) -> None:
    """Measure and print."""
    async with running(*(f"--{model}-kv-cache-mib={KV_CACHE_MIB}" for model in ("policy", "verifier"))) as service:
        await service.warm_up()
        await soak(service, minutes, rate, out)
    show(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="How long it lasts.")
    parser.add_argument("--rate", type=float, default=2.0, help="Requests a second.")
    parser.add_argument("--out", type=Path, default=Path("soak.jsonl"), help="File of the looks.")
    parser.add_argument("--show", type=Path, help="File of looks to print, and nothing else.")
    arguments = parser.parse_args()
    if arguments.show:
        show(arguments.show)
    else:
        asyncio.run(main(arguments.minutes, arguments.rate, arguments.out))

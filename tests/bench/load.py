"""What many clients at once get from a service of two cores, for how long, and what they leave behind.

    python -m tests.bench.load [--clients 200] [--seconds 300] [--pause 0] [--kv-cache-mib 512]

Starts a service of its own with the demo pair and three keys. "crowd" has most of the clients, which ask for mixed
strategies and N = 4 to 32, some with deadlines, one in twenty leaving before the reply; "single" asks for N = 4, one
search after another; in the second half one client in 25 gets the key "heavy" and asks for N = 256 alone. /healthz
is asked by a process of its own, and every request is looked for in /metrics at the end. Linux only.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from tests.bench.running import NUM_WARM_UP, Footprint, Service, running, still_busy
from tests.bench.traffic import Answer, Traffic, ask, draw, keep_asking
from tests.server.scraping import Samples, total

KEYS = {name: f"sk-benchmark-{name}" for name in ("crowd", "single", "heavy")}
HEAVY_SHARE, HEAVY_N = 25, 256
LEAVING = 0.05
MAX_QUEUED = 128
"""Fewer than there are clients: the queue fills up."""
LOST = ("hung", "connection lost", "cut off")
PROBE_EVERY_S = 0.05
NUM_LOOKS = 10
"""At the memory, while the load lasts; the first two are the warm-up."""


@dataclass(frozen=True, slots=True)
class Load:
    """Clients, and for how long they ask.

    Attributes:
        num_clients: Of all three keys.
        seconds: Of load, halved by the coming of the heavy clients.
        pause_s: At most, of a client between two requests.
    """

    num_clients: int
    seconds: float
    pause_s: float

    async def drive(self, service: Service, traffic: Traffic) -> list[Footprint]:
        """Send all requests; return what the service took at even distances of time."""
        start = time.perf_counter()
        half, end = start + self.seconds / 2, start + self.seconds
        async with AsyncExitStack() as stack:
            crowd, single, heavy = [await stack.enter_async_context(service.client(key)) for key in KEYS.values()]
            async with asyncio.TaskGroup() as group:
                for number in range(self.num_clients - 1):
                    changes = half if number < self.num_clients // HEAVY_SHARE else end
                    group.create_task(self._two_halves(crowd, heavy, traffic, number, changes, end))
                group.create_task(self._same_again(single, traffic, "single", 4, end))
                looking = group.create_task(_look(service, single, start, self.seconds))
            return looking.result()

    async def _two_halves(
        self,
        crowd: httpx.AsyncClient,
        heavy: httpx.AsyncClient,
        traffic: Traffic,
        number: int,
        changes: float,
        end: float,
    ) -> None:
        """One of the crowd, that becomes one of the heavy clients when its time comes."""
        rng = random.Random(number)
        await keep_asking(crowd, traffic, "crowd", rng, changes, leaves=LEAVING, pause_s=self.pause_s)
        await self._same_again(heavy, traffic, "heavy", HEAVY_N, end)

    async def _same_again(self, client: httpx.AsyncClient, traffic: Traffic, name: str, n: int, end: float) -> None:
        """One search of N = `n` after another, without deadlines."""
        rng = random.Random(n)
        while time.perf_counter() < end:
            answer = await ask(client, draw(rng, (n,)) | {"deadline_s": None})
            traffic.answers[name].append(answer)
            pause_s = rng.uniform(0, self.pause_s) if answer.http_status == 200 else 1.0
            await asyncio.sleep(min(pause_s, max(end - time.perf_counter(), 0)))


async def _look(service: Service, client: httpx.AsyncClient, start: float, seconds: float) -> list[Footprint]:
    looks = []
    for number in range(1, NUM_LOOKS + 1):
        await asyncio.sleep(start + seconds * number / NUM_LOOKS - time.perf_counter())
        looks.append(await service.footprint(client))
    return looks


def probe(url: str, seconds: float) -> list[float]:
    """Return the latencies of /healthz, asked on a connection of its own again and again."""
    latencies, until = [], time.perf_counter() + seconds
    with httpx.Client(base_url=url, timeout=60) as client:
        while time.perf_counter() < until:
            start = time.perf_counter()
            client.get("/healthz").raise_for_status()
            latencies.append(time.perf_counter() - start)
            time.sleep(PROBE_EVERY_S)
    return latencies


async def main(load: Load, kv_cache_mib: int) -> None:
    """Measure and print."""
    traffic, half = Traffic(), load.seconds / 2
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as apart:
        options = ["--api-keys-file", write_keys(folder), "--max-queued", str(MAX_QUEUED)]
        options += [f"--{model}-kv-cache-mib={kv_cache_mib}" for model in ("policy", "verifier")]
        async with running(*options, key=KEYS["single"]) as service:
            await service.warm_up(KEYS["single"])
            _, before = await service.at_rest(KEYS["single"])
            health = asyncio.get_running_loop().run_in_executor(apart, probe, service.url, load.seconds)
            start, looks = time.perf_counter(), await load.drive(service, traffic)
            samples, after = await service.at_rest(KEYS["single"])
            latencies = await health
    console = Console(width=140)
    console.print(f"{load.num_clients} clients, {load.seconds:g} s, {len(traffic.all)} requests")
    console.print(outcomes_table(traffic), bars_table(traffic, latencies, samples, (before, after), looks))
    console.print(fairness_table(traffic, start + half), memory_table(looks, load.seconds))


def write_keys(folder: str) -> str:
    """Write the file of keys; return its path."""
    path = Path(folder, "keys.yaml")
    path.write_text("".join(f"- {{name: {name}, key: {key}}}\n" for name, key in KEYS.items()))
    return str(path)


def outcomes_table(traffic: Traffic) -> Table:
    """How many of whose requests had which outcome."""
    names = sorted(traffic.outcomes, key=lambda name: -traffic.outcomes[name])
    table = Table("whose", *names, title="what they got")
    for whose, answers in traffic.answers.items():
        table.add_row(whose, *(str(sum(answer.outcome == name for answer in answers)) for name in names))
    return table


def bars_table(
    traffic: Traffic,
    latencies: Sequence[float],
    samples: Samples,
    at_rest: tuple[Footprint, Footprint],
    looks: Sequence[Footprint],
) -> Table:
    """What has a bar."""
    table = Table("what", "measured", "bar")
    statuses = traffic.statuses
    table.add_row("5xx", str(sum(n for status, n in statuses.items() if status >= "5")), "0")
    table.add_row("hung, lost or cut off", str(sum(traffic.outcomes[name] for name in LOST)), "0")
    late = sorted(answer.late_s for answer in traffic.all if answer.late_s is not None)
    table.add_row(f"reply after its deadline, worst of {len(late)}", f"{late[-1]:+.2f} s" if late else "", "+0.5 s")
    table.add_row(f"/healthz of {len(latencies)}", milliseconds(latencies), "p99 under 200 ms")
    counted = total(samples, "winnow_http_requests_total", route="/solve") - NUM_WARM_UP
    table.add_row("requests sent, counted", f"{len(traffic.all)}, {counted:.0f}", "equal")
    table.add_row("by status, sent", told(statuses), "")
    table.add_row("by status, counted, with warm-up", told(by_status(samples)), "")
    table.add_row("gauges that are not 0 at the end", str(still_busy(samples) or "none"), "none")
    growth = looks[-1].service_mib / looks[1].service_mib - 1
    table.add_row("growth of the service's memory after warm-up", f"{growth:+.1%}", "under 5 %")
    growth = looks[-1].engines_mib / looks[1].engines_mib - 1
    table.add_row("growth of the engines' and workers' memory", f"{growth:+.1%}", "under 5 %")
    for name in ("processes", "descriptors", "tasks"):
        table.add_row(f"{name} at rest, before and after", ", ".join(str(getattr(f, name)) for f in at_rest), "equal")
    return table


def fairness_table(traffic: Traffic, half: float) -> Table:
    """What small requests take without and beside somebody's N = 256."""
    table = Table("whose", "N = 256 beside", "requests", "refused", "p50", "p99", title="seconds to a result")
    for name in ("crowd", "single", "heavy"):
        for is_beside in (False, True):
            asked = [a for a in traffic.answers[name] if (a.start >= half) == is_beside and a.outcome != "left"]
            if asked:
                table.add_row(name, "yes" if is_beside else "no", str(len(asked)), *seconds_of(asked))
    return table


def seconds_of(answers: Sequence[Answer]) -> tuple[str, str, str]:
    """Share refused; median and 99th percentile of the seconds to a result."""
    got = [answer.seconds for answer in answers if answer.http_status == 200]
    refused = f"{1 - len(got) / len(answers):.0%}"
    return (refused, f"{statistics.median(got):.1f}", f"{percentile(got, 99):.1f}") if got else (refused, "", "")


def memory_table(looks: Sequence[Footprint], seconds: float) -> Table:
    """What the service took while the load lasted."""
    table = Table("at", "service, MiB", "engines and workers, MiB", "descriptors", "processes", title="under load")
    for number, look in enumerate(looks, start=1):
        at = f"{seconds * number / len(looks):.0f} s"
        memory = f"{look.service_mib:.0f}", f"{look.engines_mib:.0f}"
        table.add_row(at, *memory, str(look.descriptors), str(look.processes))
    return table


def by_status(samples: Samples) -> dict[str, int]:
    """Requests to /solve that the service has counted."""
    return {
        dict(labels)["status"]: int(value)
        for (name, labels), value in sorted(samples.items(), key=lambda item: sorted(item[0][1]))
        if name == "winnow_http_requests_total" and dict(labels)["route"] == "/solve"
    }


def told(counts: dict[str, int]) -> str:
    """Counts in a line."""
    return ", ".join(f"{number} x {status}" for status, number in sorted(counts.items()))


def milliseconds(latencies: Sequence[float]) -> str:
    """Median, 99th percentile and worst."""
    values = statistics.median(latencies), percentile(latencies, 99), max(latencies)
    return ", ".join(
        f"{name} {1000 * value:.0f} ms" for name, value in zip(("p50", "p99", "worst"), values, strict=True)
    )


def percentile(values: Iterable[float], percent: int) -> float:
    """The value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200, help="That ask at a time.")
    parser.add_argument("--seconds", type=float, default=300.0, help="How long they ask.")
    parser.add_argument("--pause", type=float, default=0.0, help="Longest pause of a client between requests, in s.")
    parser.add_argument("--kv-cache-mib", type=int, default=512, help="Of each engine; memory grows until it is full.")
    arguments = parser.parse_args()
    asyncio.run(main(Load(arguments.clients, arguments.seconds, arguments.pause), arguments.kv_cache_mib))

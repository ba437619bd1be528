"""Engines on servers: what becomes of requests when servers die, what prefix affinity saves, and what HTTP costs.

    python -m tests.bench.remote [--part faults affinity overhead] [--clients 8] [--seconds 40] [--repeats 3]

Starts two vLLM servers of the demo policy, two of the verifier, and `winnow serve` in front, all on loopback. Linux
only. The parts: kill -9 of a policy server and of a verifier server under mixed load; beam searches with the routing
"affinity" and "spread", in turn; the same searches on one pair of servers and on the engines of `winnow serve`.
"""

import argparse
import asyncio
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from models.training.demo.tasks.stream import held_out_problems
from tests.bench.running import running
from tests.bench.traffic import HANG_S, STRATEGIES
from tests.conftest import DEMO
from tests.server.processes import free_port
from tests.servers import POOLING, await_server, start_server

PARTS = ("faults", "affinity", "overhead")
N = 16
NUM_PROBLEMS = 24
CONCURRENCY = 4

Server = tuple[subprocess.Popen[bytes], str]


@contextmanager
def servers(model: str, number: int, *flags: str) -> Iterator[list[Server]]:
    """Servers of a demo model, which start together, and their URLs."""
    ports = [free_port() for _ in range(number)]
    variables = {"VLLM_PLUGINS": "winnow"}
    started = [start_server(DEMO / model, *flags, port=port, kv_cache_mib=256, variables=variables) for port in ports]
    try:
        yield [(process, await_server(process, port)) for process, port in zip(started, ports, strict=True)]
    finally:
        for process in started:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a server and its engine, as a machine that loses power does."""
    if process.poll() is None:
        for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            each.kill()
    process.wait()


@asynccontextmanager
async def service(*flags: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a `winnow serve` of its own."""
    async with running(*flags) as service, service.client() as client:
        yield client


def flags_for(policies: Sequence[Server], verifiers: Sequence[Server], routing: str = "affinity") -> list[str]:
    """Say where the models run."""
    urls = [",".join(url for _, url in each) for each in (policies, verifiers)]
    return ["--policy-url", urls[0], "--verifier-url", urls[1], "--routing", routing]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request.

    Attributes:
        request: Its body.
        begun, ended: Seconds since the load began.
        status: Of the reply; of an error its HTTP status, or what the client was told.
        answer: Of the reply.
        is_right: The answer is the record's.
    """

    request: Mapping[str, Any]
    begun: float
    ended: float
    status: str
    answer: str | None
    is_right: bool


async def faults(policies: list[Server], verifiers: list[Server], num_clients: int, seconds: float) -> Table:
    """Kill one server of each model under load; count what became of the requests before and after.

    Afterwards the same requests are sent once more, to the servers that are left: the same seed gives the same answer,
    but for a response that went on elsewhere, which goes on with fresh random numbers.
    """
    titles = "requests begun", "status", "right answers", "same answer again", "slowest"
    table = Table(*titles, title="kill -9 of a policy and a verifier server")
    async with service(*flags_for(policies, verifiers)) as client:
        start = time.perf_counter()
        outcomes: list[Outcome] = []

        async def ask_on(number: int) -> None:
            for turn, record in enumerate(held_out_problems(1000 + number, 200)):
                begun = time.perf_counter() - start
                if begun > seconds:
                    return
                strategy = STRATEGIES[(number + turn) % len(STRATEGIES)]
                request = {"problem": record.problem, "n": 8, "strategy": strategy, "seed": turn, "include": []}
                status, answer = await ask(client, request)
                ended = time.perf_counter() - start
                outcomes.append(Outcome(request, begun, ended, status, answer, answer == record.answer))

        clients = [asyncio.create_task(ask_on(number)) for number in range(num_clients)]
        await asyncio.sleep(seconds / 3)
        killed_at = time.perf_counter() - start
        kill(policies[0][0])
        kill(verifiers[0][0])
        await asyncio.gather(*clients)
        for name, chosen in (
            ("ended before the kill", [each for each in outcomes if each.ended <= killed_at]),
            ("in flight", [each for each in outcomes if each.begun <= killed_at < each.ended]),
            ("after it", [each for each in outcomes if each.begun > killed_at]),
        ):
            table.add_row(name, *await told(client, chosen, num_clients))
    return table


async def ask(client: httpx.AsyncClient, request: Mapping[str, Any]) -> tuple[str, str | None]:
    """What the service says: a status and an answer."""
    try:
        reply = await client.post("/solve", json=request, timeout=HANG_S)
    except httpx.HTTPError as error:
        return type(error).__name__, None
    body = reply.json()
    return (body["status"], body["answer"]) if reply.status_code == 200 else (str(reply.status_code), None)


async def told(client: httpx.AsyncClient, outcomes: Sequence[Outcome], at_once: int) -> list[str]:
    """Sum up, and ask again."""
    free = asyncio.Semaphore(at_once)

    async def is_same(outcome: Outcome) -> bool:
        async with free:
            return await ask(client, outcome.request) == (outcome.status, outcome.answer)

    same = sum(await asyncio.gather(*map(is_same, outcomes)))
    statuses = Counter(each.status for each in outcomes).most_common()
    right = sum(each.is_right for each in outcomes) / max(len(outcomes), 1)
    slowest = max((each.ended - each.begun for each in outcomes), default=0.0)
    counts = ", ".join(f"{count} {status}" for status, count in statuses)
    return [counts, f"{right:.0%} of {len(outcomes)}", f"{same} of {len(outcomes)}", f"{slowest:.1f} s"]


async def search_all(client: httpx.AsyncClient, strategy: str, first: int, number: int) -> float:
    """Seconds that searches on some problems take, a few at a time."""
    free = asyncio.Semaphore(CONCURRENCY)

    async def search(problem: str, seed: int) -> None:
        async with free:
            request: dict[str, Any] = {"problem": problem, "n": N, "strategy": strategy, "seed": seed, "include": []}
            reply = await client.post("/solve", json=request, timeout=HANG_S)
            assert reply.json()["status"] == "complete", reply.text

    problems = [record.problem for record in held_out_problems(7, first + number)][first:]
    start = time.perf_counter()
    await asyncio.gather(*(search(problem, seed) for seed, problem in enumerate(problems)))
    return time.perf_counter() - start


async def cached(running: Sequence[Server]) -> tuple[float, float]:
    """Prompt tokens that servers found in their caches so far, and all that they looked for."""
    sums = dict.fromkeys(("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total"), 0.0)
    async with httpx.AsyncClient() as client:
        for _, url in running:
            for line in (await client.get(f"{url}/metrics")).text.splitlines():
                name = line.partition("{")[0]
                if name in sums:
                    sums[name] += float(line.split()[-1])
    hits, queries = sums.values()
    return hits, queries


async def affinity(policies: list[Server], verifiers: list[Server], repeats: int) -> Table:
    """Compare the two routings, in turn, on problems that neither has seen."""
    table = Table("routing", "policy: cached", "verifier: cached", "problems/s", title=f"beam_search, N = {N}, M = 4")
    figures: dict[str, list[list[float]]] = {"affinity": [], "spread": []}
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(service(*flags_for(policies, verifiers, name))) for name in figures
        }
        for turn in range(repeats):
            for place, name in enumerate(sorted(figures, reverse=turn % 2 == 1)):
                before = [await cached(each) for each in (policies, verifiers)]
                taken = await search_all(clients[name], "beam_search", (2 * turn + place) * NUM_PROBLEMS, NUM_PROBLEMS)
                after = [await cached(each) for each in (policies, verifiers)]
                shares = [(a[0] - b[0]) / (a[1] - b[1]) for a, b in zip(after, before, strict=True)]
                figures[name].append([*shares, NUM_PROBLEMS / taken])
    for name, rows in figures.items():
        policy, verifier, speeds = zip(*rows, strict=True)
        spread = f"{statistics.median(speeds):.2f} ({min(speeds):.2f} to {max(speeds):.2f})"
        table.add_row(name, *(f"{statistics.median(shares):.1%}" for shares in (policy, verifier)), spread)
    return table


async def overhead(policies: list[Server], verifiers: list[Server], repeats: int) -> Table:
    """Compare one pair of servers with the engines of a service, in turn, on the same problems."""
    table = Table("strategy", "servers, s", "engines here, s", "ratio", title=f"{NUM_PROBLEMS} problems, N = {N}")
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(service(*flags)) for flags in (flags_for(policies, verifiers), [])]
        for strategy in ("weighted_best_of_n", "beam_search"):
            seconds: list[list[float]] = [[], []]
            for turn in range(repeats + 1):
                for place in sorted((0, 1), reverse=turn % 2 == 1):
                    taken = await search_all(clients[place], strategy, turn * NUM_PROBLEMS, NUM_PROBLEMS)
                    seconds[place] += [taken] if turn else []  # the first warms up
            ratios = [there / here for there, here in zip(*seconds, strict=True)]
            medians = map(statistics.median, seconds)
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            table.add_row(strategy, *(f"{median:.1f}" for median in medians), spread)
    return table


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    console = Console(width=110)
    with servers("policy", 2) as policies, servers("prm", 2, *POOLING) as verifiers:
        if "overhead" in arguments.part:
            console.print(await overhead(policies[1:], verifiers[1:], arguments.repeats))
        if "affinity" in arguments.part:
            console.print(await affinity(policies, verifiers, arguments.repeats))
        if "faults" in arguments.part:
            console.print(await faults(policies, verifiers, arguments.clients, arguments.seconds))


if __name__ == "__main__":
    asyncio.run(main())

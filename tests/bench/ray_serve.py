"""Ray Serve: the same answers, replicas that come and go with the load, a killed replica, an update, and what it costs.

    make ray
    python -m tests.bench.ray_serve [--part same overhead scale kill update] [--clients 8] [--seconds 30] [--repeats 3]

Starts a cluster of one node with `deploy/ray/demo.yaml` on loopback, and for the first two parts `winnow serve` beside
it. Linux only. The parts: the same requests with the same seeds to both; the same searches on both, in turn; load until
there are two replicas of the policy, and none until there is one again; kill -9 of one of two policy replicas and its
engine under load; `serve deploy` of another setting under load, which replaces every replica.
"""

import argparse
import asyncio
import math
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx
from rich.console import Console
from rich.table import Table

from models.training.demo.tasks.stream import held_out_problems
from tests.bench.remote import NUM_PROBLEMS, N, Outcome, ask, search_all, told
from tests.bench.running import running
from tests.bench.traffic import HANG_S, STRATEGIES
from tests.ray_cluster import READY_WITHIN_S, Cluster, demo_config, ray_cluster

PARTS = ("same", "overhead", "scale", "kill", "update")
CACHES = ("--policy-kv-cache-mib=256", "--verifier-kv-cache-mib=256")
EVIDENCE = ("answer", "response", "score", "status", "votes", "candidates", "tree")
NUM_SEEDS = 4
SCORE_TOLERANCE = 1e-6
"""A search that `winnow serve` repeats moves its scores by up to 2e-8."""
ONE = {"num_replicas": 1}
QUICK = {
    "autoscaling_config": {
        "min_replicas": 1,
        "max_replicas": 2,
        "look_back_period_s": 11,  # Ray wants more than it takes between two reports, 10 s
        "upscale_delay_s": 5,
        "downscale_delay_s": 10,
        "policy": {"policy_function": "models.ray.scaling:TokensInFlight", "policy_kwargs": {"target_tokens": 400}},
    }
}
OTHER_NAME = "second"


@asynccontextmanager
async def gateway(cluster: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway on Ray, with as many connections as it has requests."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=cluster.url, timeout=HANG_S, limits=limits) as client:
        yield client


async def deployed(cluster: Cluster, **deployments: Any) -> None:
    """Have the cluster run the demo pair with these options."""
    await asyncio.to_thread(cluster.deploy, demo_config(cluster.port, **deployments))
    await asyncio.to_thread(cluster.await_running)
    for name, options in deployments.items():
        await replicas_become(cluster, name, options.get("num_replicas", 1))


async def same(here: httpx.AsyncClient, there: httpx.AsyncClient) -> Table:
    """Ask both for the same, with everything that a reply has of the search."""
    table = Table("strategy", "same answer, votes, candidates and tree", title=f"n = 8, {NUM_SEEDS} problems and seeds")
    problems = [record.problem for record in held_out_problems(7, NUM_SEEDS)]
    for strategy in STRATEGIES:
        num_same = 0
        for seed, problem in enumerate(problems):
            request = {"problem": problem, "n": 8, "strategy": strategy, "seed": seed}
            request |= {"include": ["candidates", "tree"], "early_stop": False}  # which drops what is late by chance
            replies = [
                (await client.post("/solve", json=request)).raise_for_status().json() for client in (here, there)
            ]
            num_same += is_like(*({name: reply[name] for name in EVIDENCE} for reply in replies))
        table.add_row(strategy, f"{num_same} of {len(problems)}")
    return table


def is_like(one: Any, other: Any) -> bool:
    """Say whether two parts of replies are the same, but for what a score owes to the others of its batch."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_like(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_like, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, abs_tol=SCORE_TOLERANCE)
    return bool(one == other)


async def overhead(here: httpx.AsyncClient, there: httpx.AsyncClient, repeats: int) -> Table:
    """Compare the same searches on both, in turn."""
    table = Table(
        "strategy", "winnow serve, problems/s", "Ray Serve", "ratio", title=f"{NUM_PROBLEMS} problems, N = {N}"
    )
    for strategy in ("weighted_best_of_n", "beam_search"):
        speeds: list[list[float]] = [[], []]
        for turn in range(repeats + 1):
            for place in sorted((0, 1), reverse=turn % 2 == 1):
                taken = await search_all((here, there)[place], strategy, turn * NUM_PROBLEMS, NUM_PROBLEMS)
                speeds[place] += [NUM_PROBLEMS / taken] if turn else []  # the first warms up
        ratios = [ray / plain for plain, ray in zip(*speeds, strict=True)]
        table.add_row(strategy, *map(spread, (*speeds, ratios)))
    return table


def spread(values: Sequence[float]) -> str:
    """The median, and the range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


class Load:
    """Clients that ask on and on, one request after the other each, from the begin of the context to its end.

    Args:
        client: That asks.
        num_clients: At once.
    """

    def __init__(self, client: httpx.AsyncClient, num_clients: int) -> None:
        self.outcomes: list[Outcome] = []
        self._client = client
        self._num_clients = num_clients
        self._started = time.perf_counter()
        self._is_over = False

    @property
    def now(self) -> float:
        """Seconds since the load began."""
        return time.perf_counter() - self._started

    async def __aenter__(self) -> Self:
        self._clients = [asyncio.create_task(self._ask_on(number)) for number in range(self._num_clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Have every request answered, and ask no more."""
        self._is_over = True
        await asyncio.gather(*self._clients)

    async def _ask_on(self, number: int) -> None:
        for turn, record in enumerate(held_out_problems(1000 + number, 1000)):
            if self._is_over:
                return
            strategy = STRATEGIES[(number + turn) % len(STRATEGIES)]
            request = {"problem": record.problem, "n": 8, "strategy": strategy, "seed": turn, "include": []}
            begun = self.now
            status, answer = await ask(self._client, request)
            self.outcomes.append(Outcome(request, begun, self.now, status, answer, answer == record.answer))


async def replicas_become(cluster: Cluster, deployment: str, number: int) -> float:
    """Return the seconds until so many replicas of a deployment run."""
    start = time.perf_counter()
    while time.perf_counter() - start < READY_WITHIN_S:
        if len(await asyncio.to_thread(cluster.replicas, deployment)) == number:
            return time.perf_counter() - start
        await asyncio.sleep(0.5)
    raise TimeoutError(f"there are not {number} replicas of {deployment} within {READY_WITHIN_S:g} s")


async def scale(cluster: Cluster, num_clients: int, seconds: float) -> Table:
    """Have replicas of the policy come with a load and go without."""
    table = Table("what", "seconds", "requests", title="replicas of the policy, by tokens in flight")
    await deployed(cluster, gateway=ONE, policy=QUICK, verifier=ONE)
    async with gateway(cluster) as client:
        async with Load(client, num_clients) as load:
            taken = await replicas_become(cluster, "policy", 2)
            scaled_at = load.now
            await asyncio.sleep(seconds)
        table.add_row(f"from one to two, {num_clients} clients", f"{taken:.0f}", "")
        for name, chosen in (
            ("one replica", [each for each in load.outcomes if each.ended <= scaled_at]),
            ("two replicas", [each for each in load.outcomes if each.begun > scaled_at]),
        ):
            table.add_row(name, "", ", ".join((await told(client, chosen, num_clients))[:3]))
        table.add_row("from two to one, no clients", f"{await replicas_become(cluster, 'policy', 1):.0f}", "")
    return table


async def kill(cluster: Cluster, num_clients: int, seconds: float) -> Table:
    """Kill one of two replicas of the policy, and its engine with it."""
    titles = "requests", "status", "right answers", "same answer again", "slowest"
    table = Table(*titles, title="kill -9 of one of two policy replicas")
    await deployed(cluster, gateway=ONE, policy={"num_replicas": 2}, verifier=ONE)
    async with gateway(cluster) as client:
        async with Load(client, num_clients) as load:
            await asyncio.sleep(seconds / 2)
            victim = (await asyncio.to_thread(cluster.replicas, "policy"))[0]
            killed_at = load.now
            os.kill(victim.pid, signal.SIGKILL)  # its engine ends with it (models/vllm/orphans.py)
            taken = await replaced(cluster, "policy", {victim.id}, 2)
            await asyncio.sleep(seconds / 2)
        for name, chosen in parts_of(load.outcomes, killed_at, killed_at):
            table.add_row(name, *await told(client, chosen, num_clients))
    table.caption = f"{taken:.0f} s until two replicas ran again"
    return table


async def update(cluster: Cluster, num_clients: int, seconds: float) -> Table:
    """Give the cluster another setting under load, so that every replica is replaced."""
    titles = "requests", "status", "right answers", "same answer again", "slowest"
    table = Table(*titles, title="an update of every replica by `serve deploy`")
    await deployed(cluster, gateway=ONE, policy=ONE, verifier=ONE)
    before = {name: {each.id for each in cluster.replicas(name)} for name in ("gateway", "policy", "verifier")}
    async with gateway(cluster) as client:
        async with Load(client, num_clients) as load:
            await asyncio.sleep(seconds / 2)
            begun = load.now
            config = demo_config(cluster.port, {"served_model_name": OTHER_NAME}, gateway=ONE, policy=ONE, verifier=ONE)
            await asyncio.to_thread(cluster.deploy, config)
            for name, old in before.items():
                await replaced(cluster, name, old, 1)
            ended = load.now
            await asyncio.sleep(seconds / 2)
        served = (await client.get("/v1/models")).json()["data"][0]["id"]
        for name, chosen in parts_of(load.outcomes, begun, ended):
            table.add_row(name, *await told(client, chosen, num_clients))
    table.caption = f"{ended - begun:.0f} s until all replicas were new; the policy is called {served!r}"
    return table


async def replaced(cluster: Cluster, deployment: str, old: set[str], number: int) -> float:
    """Return the seconds until so many replicas run, none of them an old one."""
    start = time.perf_counter()
    while time.perf_counter() - start < READY_WITHIN_S:
        running = {each.id for each in await asyncio.to_thread(cluster.replicas, deployment)}
        if len(running) == number and not running & old:
            return time.perf_counter() - start
        await asyncio.sleep(0.5)
    raise TimeoutError(f"the replicas of {deployment} are not replaced within {READY_WITHIN_S:g} s")


def parts_of(outcomes: Sequence[Outcome], begun: float, ended: float) -> list[tuple[str, list[Outcome]]]:
    """Outcomes before, during and after something."""
    return [
        ("ended before it", [each for each in outcomes if each.ended <= begun]),
        ("in flight meanwhile", [each for each in outcomes if each.ended > begun and each.begun <= ended]),
        ("begun after it", [each for each in outcomes if each.begun > ended]),
    ]


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    console = Console(width=130)
    with ray_cluster() as cluster:
        if {"same", "overhead"} & {*arguments.part}:
            await deployed(cluster, gateway=ONE, policy=ONE, verifier=ONE)
            async with running(*CACHES) as service, service.client() as here, gateway(cluster) as there:
                await service.ready(here)
                if "same" in arguments.part:
                    console.print(await same(here, there))
                if "overhead" in arguments.part:
                    console.print(await overhead(here, there, arguments.repeats))
        for name, measure in (("scale", scale), ("kill", kill), ("update", update)):
            if name in arguments.part:
                console.print(await measure(cluster, arguments.clients, arguments.seconds))


if __name__ == "__main__":
    asyncio.run(main())

"""What happens to the requests of a busy service when something under it dies: one row for each injected fault.

    python -m tests.bench.faults [--clients 32] [--seconds 40] [--fault NAME ...]

Starts a service of its own with the demo pair, keeps it busy with mixed strategies and budgets, injects a fault after a
quarter of the time, and counts what became of every request. Linux only: processes are found and signalled.
"""

import argparse
import asyncio
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from models.training.tasks.stream import held_out_problems
from tests.server.test_lifecycle import engines_of

WINNOW = str(Path(sys.executable).with_name("winnow"))
STRATEGIES = ("majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts")
READY_WITHIN_S = 120.0
ANSWER_WITHIN_S = 180.0

Fault = Callable[[psutil.Process], None]


def kill_engine(name: str) -> Fault:
    """The engines are the service's children in the order of their start: policy, verifier."""

    def inject(service: psutil.Process) -> None:
        engines_of(service)[("policy", "verifier").index(name)].kill()

    return inject


def stop_engine(service: psutil.Process) -> None:
    """Halt the policy's engine without ending it."""
    engines_of(service)[0].send_signal(signal.SIGSTOP)


def kill_answer_workers(service: psutil.Process) -> None:
    """Kill what reads answers."""
    for child in service.children(recursive=True):
        if child not in engines_of(service) and not child.children():
            child.kill()


FAULTS: dict[str, Fault] = {
    "none": lambda service: None,
    "kill -9 policy engine": kill_engine("policy"),
    "kill -9 verifier engine": kill_engine("verifier"),
    "SIGSTOP policy engine": stop_engine,
    "kill -9 answer workers": kill_answer_workers,
    "half of the clients leave": lambda service: None,
}


def _engines(service: psutil.Process) -> list[psutil.Process]:
    return engines_of(service)


@asynccontextmanager
async def running() -> AsyncIterator[tuple[psutil.Process, httpx.AsyncClient]]:
    """A service of its own and a client of it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
        [WINNOW, "serve", "--port", str(port), "--log-level", "error"]
    )
    limits = httpx.Limits(max_connections=None)
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_WITHIN_S, limits=limits
        ) as client:
            await _ready(client)
            yield psutil.Process(process.pid), client
    finally:
        process.terminate()
        process.wait(60)


async def _ready(client: httpx.AsyncClient) -> float:
    """Seconds until the service says that it is ready."""
    start = time.perf_counter()
    while time.perf_counter() - start < READY_WITHIN_S:
        try:
            if (await client.get("/readyz", timeout=15)).status_code == 200:
                return time.perf_counter() - start
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.2)
    raise TimeoutError(f"not ready within {READY_WITHIN_S:g} s")


async def load(client: httpx.AsyncClient, number: int, until: float, outcomes: Counter[str], *, leaves: bool) -> None:
    """One client that asks again and again and counts what it gets; one that `leaves` gives half of it up."""
    rng = random.Random(number)
    problems = [record.problem for record in held_out_problems(number, 20)]
    while time.perf_counter() < until:
        request: dict[str, Any] = {
            "problem": rng.choice(problems),
            "strategy": rng.choice(STRATEGIES),
            "n": rng.choice((4, 8, 16)),
            "include": [],
        }
        patience = rng.uniform(0.05, 2.0) if leaves and rng.random() < 0.5 else ANSWER_WITHIN_S
        try:
            response = await client.post("/solve", json=request, timeout=patience)
        except httpx.ReadTimeout:
            outcomes["left" if patience < ANSWER_WITHIN_S else "hung"] += 1
        except httpx.TransportError:
            outcomes["connection lost"] += 1
        else:
            outcomes[response.json()["status"] if response.status_code == 200 else str(response.status_code)] += 1


async def measure(name: str, num_clients: int, seconds: float) -> list[str]:
    """Inject one fault into a busy service; return its row."""
    async with running() as (service, client):
        num_processes = len(service.children(recursive=True))
        outcomes: Counter[str] = Counter()
        until = time.perf_counter() + seconds
        leaves = name.startswith("half")
        clients = [
            asyncio.create_task(load(client, number, until, outcomes, leaves=leaves)) for number in range(num_clients)
        ]
        await asyncio.sleep(seconds / 4)
        FAULTS[name](service)
        await asyncio.sleep(0.5)
        ready_s = await _ready(client)
        await asyncio.gather(*clients)
        await asyncio.sleep(1)
        metrics = (await client.get("/metrics")).text
        left = [
            line.split()[-1]
            for line in metrics.splitlines()
            if line.startswith(("winnow_searches_in_flight ", "vllm:num_requests_running{"))
        ]
        has_leak = any(float(value) for value in left)
        told = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())
        extra = len(service.children(recursive=True)) - num_processes
        return [name, told, f"{ready_s:.0f} s", "yes" if has_leak else "none", f"{extra:+d}"]


async def main() -> None:
    """Measure the faults and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--fault", action="append", choices=tuple(FAULTS))
    arguments = parser.parse_args()
    table = Table("fault", "what the clients got", "ready again", "requests left in engines", "processes")
    for name in arguments.fault or FAULTS:
        table.add_row(*await measure(name, arguments.clients, arguments.seconds))
    Console(width=130).print(table)


if __name__ == "__main__":
    asyncio.run(main())

"""What happens to the requests of a busy service when something under it dies: one row for each injected fault.

    python -m tests.bench.faults [--clients 32] [--seconds 30] [--fault NAME ...]

Starts a service of its own with the demo pair for each fault, keeps it busy with mixed strategies and budgets, injects
the fault after a quarter of the time, and looks for every request in /metrics when all are answered. Linux only.
"""

import argparse
import asyncio
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from tests.bench.running import NUM_WARM_UP, Service, running, still_busy
from tests.bench.traffic import Traffic, keep_asking
from tests.server.processes import engines_of
from tests.server.scraping import total

READY_WITHIN_S = 30


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        inject: Is given the service's process.
        leaves: Share of the requests whose client does not wait for the reply.
        logs: File that takes the service's logs from its start.
    """

    inject: Callable[[psutil.Process], None] = lambda service: None
    leaves: float = 0.0
    logs: Path | None = None


def kill_policy(service: psutil.Process) -> None:
    """Kill the policy's engine."""
    engines_of(service)[0].kill()


def kill_verifier(service: psutil.Process) -> None:
    """Kill the verifier's engine."""
    engines_of(service)[1].kill()


def kill_both(service: psutil.Process) -> None:
    """Kill both engines."""
    for engine in engines_of(service):
        engine.kill()


def stop_policy(service: psutil.Process) -> None:
    """Halt the policy's engine without ending it."""
    engines_of(service)[0].send_signal(signal.SIGSTOP)


def stop_verifier(service: psutil.Process) -> None:
    """Halt the verifier's engine without ending it."""
    engines_of(service)[1].send_signal(signal.SIGSTOP)


def kill_workers(service: psutil.Process) -> None:
    """Kill the processes that read answers, and those that start them."""
    engines = engines_of(service)
    for child in service.children():
        if child not in engines:
            for process in (*child.children(recursive=True), child):
                process.kill()


FAULTS = {
    "none": Fault(),
    "kill -9 of the policy's engine": Fault(kill_policy),
    "kill -9 of the verifier's engine": Fault(kill_verifier),
    "kill -9 of both engines": Fault(kill_both),
    "SIGSTOP of the policy's engine": Fault(stop_policy),
    "SIGSTOP of the verifier's engine": Fault(stop_verifier),
    "kill -9 of all answer workers": Fault(kill_workers),
    "half of the clients leave": Fault(leaves=0.5),
    "the disk for the logs is full": Fault(logs=Path("/dev/full")),
}


async def measure(name: str, num_clients: int, seconds: float) -> list[str]:
    """Inject one fault into a busy service; return its row."""
    fault, traffic = FAULTS[name], Traffic()
    async with running(logs=fault.logs) as service:
        await service.warm_up()
        _, before = await service.at_rest()
        ready_s = await _drive(service, fault, traffic, num_clients, seconds)
        samples, after = await service.at_rest()
        counted = total(samples, "winnow_http_requests_total", route="/solve") - NUM_WARM_UP
        told = ", ".join(f"{number} {outcome}" for outcome, number in traffic.outcomes.most_common())
        return [
            name,
            told,
            f"{ready_s:.0f} s",
            f"{len(traffic.all)}, {counted:.0f}",
            str(still_busy(samples) or "none"),
            f"{after.processes - before.processes:+d}, {after.descriptors - before.descriptors:+d}",
        ]


async def _drive(service: Service, fault: Fault, traffic: Traffic, num_clients: int, seconds: float) -> float:
    """Keep the service busy, inject the fault, and return the seconds until the service is ready again."""
    until = time.perf_counter() + seconds
    async with service.client() as client, asyncio.TaskGroup() as group:
        for number in range(num_clients):
            rng = random.Random(number)
            group.create_task(keep_asking(client, traffic, "all", rng, until, leaves=fault.leaves))
        await asyncio.sleep(seconds / 4)
        fault.inject(service.process)
        return await service.ready(client)


async def main() -> None:
    """Measure the faults and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--fault", action="append", choices=tuple(FAULTS))
    arguments = parser.parse_args()
    table = Table(
        "fault",
        "what the clients got",
        f"ready again (bar: {READY_WITHIN_S} s)",
        "requests sent, counted",
        "work left",
        "processes, descriptors",
    )
    for name in arguments.fault or FAULTS:
        table.add_row(*await measure(name, arguments.clients, arguments.seconds))
    Console(width=160).print(table)


if __name__ == "__main__":
    asyncio.run(main())

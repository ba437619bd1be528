"""Long prompts, cold, beside short searches: who waits for whom, and whether a busy engine is taken for a dead one.

    make real
    python -m tests.bench.long_prompts [--model DIR] [--words 7800] [--long 3] [--short 64]

Serves a policy alone. Posts the long prompts one after another on an idle service, each with a beginning of its own, so
that none comes from the prefix cache; then all at once beside the short searches, which come over the time that one of
them takes. `/readyz` is asked all the while. A prompt that is too long for the model is a 422. In the end the engine is
stopped, as if it hung.
"""

import argparse
import asyncio
import signal
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from tests.bench.running import running
from tests.real.checkpoints import SMOLLM2
from tests.server.processes import engines_of

ASK_EVERY_S = 0.2


@dataclass
class Waits:
    """Seconds from request to reply, and the statuses of the replies."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    async def time(self, post: Awaitable[httpx.Response]) -> float:
        """Wait for a reply."""
        started = time.perf_counter()
        response = await post
        self.seconds.append(time.perf_counter() - started)
        self.statuses[response.status_code] += 1
        return self.seconds[-1]

    def row(self) -> tuple[str, str, str]:
        """Statuses, median and worst."""
        statuses = ", ".join(f"{number} x {status}" for status, number in sorted(self.statuses.items()))
        return statuses, f"{statistics.median(self.seconds):.2f} s", f"{max(self.seconds):.2f} s"


@asynccontextmanager
async def watched(client: httpx.AsyncClient) -> AsyncIterator[Waits]:
    """Ask `/readyz` while the context lasts."""
    waits = Waits()

    async def watch() -> None:
        while True:
            await waits.time(client.get("/readyz"))
            await asyncio.sleep(ASK_EVERY_S)

    task = asyncio.create_task(watch())
    yield waits
    task.cancel()


def long(number: int, words: int) -> dict[str, object]:
    """Return a search of one response whose problem nobody has read before."""
    problem = f"Cold case {number} of {time.time()}: {'word ' * words} What is 2+2?"
    return {"problem": problem, "n": 1, "strategy": "majority", "max_tokens": 16}


def short(number: int) -> dict[str, object]:
    return {"problem": f"What is {number} + 1?", "n": 1, "strategy": "majority", "max_tokens": 16}


async def replaced(service: psutil.Process) -> float:
    """Stop the engine's process, as if it hung, and return the seconds until it is killed."""
    (engine,) = engines_of(service)
    engine.send_signal(signal.SIGSTOP)
    started = time.perf_counter()
    while engine.is_running() and engine.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110 - no event
        await asyncio.sleep(ASK_EVERY_S)
    return time.perf_counter() - started


async def measure(model: Path, words: int, num_long: int, num_short: int) -> Table:
    """Serve the model and ask it."""
    table = Table("what", "replies", "median", "worst", title=f"{model.name}, prompts of {words:,} words")
    async with running("--policy-model", str(model)) as service, service.client() as client:
        engines = engines_of(service.process)
        alone, others, beside = Waits(), Waits(), Waits()
        async with watched(client) as ready:
            for number in range(num_long):
                await alone.time(client.post("/solve", json=long(number, words)))
            spread = statistics.median(alone.seconds) / max(num_short, 1)

            async def later(number: int) -> None:
                await asyncio.sleep(number * spread)
                await others.time(client.post("/solve", json=short(number)))

            posts = [beside.time(client.post("/solve", json=long(-number, words))) for number in range(1, num_long + 1)]
            await asyncio.gather(*posts, *map(later, range(num_short)))
        idle = Waits()
        for number in range(8):
            await idle.time(client.post("/solve", json=short(100 + number)))
        table.add_row("long, one after another", *alone.row())
        table.add_row(f"long, {num_long} at once beside the short", *beside.row())
        table.add_row("short, beside the long", *others.row())
        table.add_row("short, one after another, idle", *idle.row())
        table.add_row("/readyz meanwhile", *ready.row())
        kept = engines_of(service.process) == engines
        table.add_row("engine", "the same process throughout" if kept else "KILLED", "", "")
        table.add_row("an engine that is stopped", "is killed", "", f"{await replaced(service.process):.1f} s")
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMOLLM2.path, help="Folder of the policy.")
    parser.add_argument("--words", type=int, default=7800, help="Of each long prompt.")
    parser.add_argument("--long", type=int, default=3, help="Long prompts.")
    parser.add_argument("--short", type=int, default=64, help="Short searches.")
    arguments = parser.parse_args()
    Console(width=110).print(asyncio.run(measure(arguments.model, arguments.words, arguments.long, arguments.short)))

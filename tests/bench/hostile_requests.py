"""What hostile requests of OpenAI's routes do to a service: statuses, hangs, `/healthz`, the memory of its engine.

    python -m tests.bench.hostile_requests [--requests 8000] [--seed 0] [--clients 8]

A request reaches the engine when it is answered with 200. Long runs go in slices: another seed draws other requests.
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.bench.hostile import Watch, service
from tests.hostile_requests import DEADLINE_S, draw
from tests.server.processes import engines_of

LATE_S = 0.5
"""A reply later than this after its deadline hangs."""
WARM_UP = 0.3
"""Share of the requests after which the engine's memory is measured first: it has used all that it has by then."""
SHOWN = 10
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request."""

    path: str
    body: bytes
    status: int
    text: str
    seconds: float

    @property
    def is_late(self) -> bool:
        return self.seconds > DEADLINE_S + LATE_S

    @property
    def is_wrong(self) -> bool:
        """A server's error, or an error in a stream that has begun; it is drawn for none."""
        return self.status >= 500 or '"server_error"' in self.text

    @property
    def is_unnamed(self) -> bool:
        """A refusal that names no field."""
        return 400 <= self.status < 500 and self.status != 429 and '"param":null' in self.text


async def ask_all(client: httpx.AsyncClient, cases: Sequence[tuple[str, bytes]], num_clients: int) -> list[Answer]:
    """Ask so many at a time, in order; the answers come in the order of their ends."""
    rest, answers = iter(cases), list[Answer]()

    async def ask() -> None:
        for path, body in rest:
            start = time.perf_counter()
            reply = await client.post(path, content=body, headers={"content-type": "application/json"})
            answers.append(Answer(path, body, reply.status_code, reply.text, time.perf_counter() - start))

    await asyncio.gather(*(ask() for _ in range(num_clients)))
    return answers


async def attack(url: str, cases: Sequence[tuple[str, bytes]], num_clients: int) -> list[Answer]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        return await ask_all(client, cases, num_clients)


def main(number: int, first_seed: int, num_clients: int) -> None:
    """Measure and print."""
    cases = list(track(draw(number, first_seed), "drawing", total=number, transient=True))
    num_first = int(WARM_UP * len(cases))
    start = time.perf_counter()
    with service() as (process, url):
        engine = engines_of(process)[0]
        fresh = rss(engine)
        answers = asyncio.run(attack(url, cases[:num_first], num_clients))
        warm = rss(engine)
        with Watch(process, url) as watch:
            answers += asyncio.run(attack(url, cases[num_first:], num_clients))
        after = rss(engine)
        same = engines_of(process)[0].pid == engine.pid
    show(answers, watch.latencies, (fresh, warm, after), same, time.perf_counter() - start)


def rss(process: psutil.Process) -> float:
    """Return the resident memory in MiB."""
    return process.memory_info().rss / MIB


def show(
    answers: Sequence[Answer],
    latencies: Sequence[float],
    memory: tuple[float, float, float],
    same: bool,
    seconds: float,
) -> None:
    """Print what came, and the first that should not have."""
    statuses, ordered = Counter(answer.status for answer in answers), sorted(latencies)
    p99, worst = (1000 * ordered[-1 - place] for place in (len(ordered) // 100, 0))
    fresh, warm, after = memory
    table = Table("what", "measured", title=f"{len(answers):,} hostile requests in {seconds:.0f} s, starts included")
    table.add_row("reached the engine (200)", f"{statuses[200]:,}")
    table.add_row("statuses", ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items())))
    table.add_row("5xx, and server errors in a stream", str(sum(answer.is_wrong for answer in answers)))
    table.add_row("refusals that name no field", str(sum(answer.is_unnamed for answer in answers)))
    table.add_row(f"later than {DEADLINE_S + LATE_S:g} s", str(sum(answer.is_late for answer in answers)))
    table.add_row("slowest reply", f"{max(answer.seconds for answer in answers):.2f} s")
    table.add_row(f"/healthz, 99th percentile and worst of {len(ordered):,}", f"{p99:.0f} ms; {worst:.0f} ms")
    table.add_row("engine of the policy, MiB fresh, warm, after", f"{fresh:.0f}, {warm:.0f}, {after:.0f}")
    table.add_row("growth after the warm-up", f"{after / warm - 1:+.1%}")
    table.add_row("the engine is the one that was started", "yes" if same else "no")
    console = Console(width=160)
    console.print(table)
    odd = [answer for answer in answers if answer.is_wrong or answer.is_unnamed or answer.is_late]
    for answer in odd[:SHOWN]:
        console.print(
            f"{answer.status} {answer.seconds:.1f} s {answer.path} {answer.body[:300]!r}\n  {answer.text[:300]}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=8_000, help="To draw.")
    parser.add_argument("--seed", type=int, default=0, help="Of the drawing.")
    parser.add_argument("--clients", type=int, default=8, help="That ask at a time.")
    arguments = parser.parse_args()
    main(arguments.requests, arguments.seed, arguments.clients)

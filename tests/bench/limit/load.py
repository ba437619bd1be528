"""Latency and throughput of `winnow serve`, with one client and with many that ask again once they are answered."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import httpx
from rich.table import Table

from tests.bench.limit.part import Bar, Job, median, spread, table
from tests.bench.load_tables import percentile
from tests.bench.running import Service

STRATEGY, N = "beam_search", 4
RAMP_S, WINDOW_S = 2.0, 8.0
"""Of asking before answers count, and while they do."""
LEAST_OF_BEST = 0.95


@dataclass(frozen=True, slots=True)
class Answered:
    """A search that ended.

    Attributes:
        at: When, by the clock of this process.
        seconds: That it took.
        num_tokens: Generated.
    """

    at: float
    seconds: float
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Window:
    """What clients got while answers counted.

    Attributes:
        seconds: That it lasted.
        answered: Searches that ended in it.
        cpu_s: CPU time of the service's own process.
    """

    seconds: float
    answered: list[Answered]
    cpu_s: float

    @property
    def problems_a_second(self) -> float:
        """Answered."""
        return len(self.answered) / self.seconds

    @property
    def num_tokens(self) -> int:
        """Of these searches."""
        return sum(each.num_tokens for each in self.answered)


@dataclass(slots=True)
class Level:
    """So many clients."""

    num_clients: int
    windows: list[Window] = field(default_factory=list)

    async def measure(self, service: Service, bodies: Iterator[dict[str, Any]]) -> None:
        """Ask for a while."""
        answered: list[Answered] = []

        async def ask(client: httpx.AsyncClient) -> None:
            for body in bodies:
                start = time.perf_counter()
                reply = (await client.post("/solve", json=body)).raise_for_status().json()
                now = time.perf_counter()
                answered.append(Answered(now, now - start, reply["usage"]["completion_tokens"]))

        async with service.client() as client:
            asking = [asyncio.create_task(ask(client)) for _ in range(self.num_clients)]
            await asyncio.sleep(RAMP_S)
            start, cpu = time.perf_counter(), _cpu_s(service)
            await asyncio.wait(asking, timeout=WINDOW_S, return_when=asyncio.FIRST_EXCEPTION)
            end, cpu_s = time.perf_counter(), _cpu_s(service) - cpu
            for task in asking:
                task.cancel()
            outcomes = await asyncio.gather(*asking, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        self.windows.append(Window(end - start, [each for each in answered if start <= each.at <= end], cpu_s))
        await service.at_rest()

    def seconds(self, percent: int) -> list[float]:
        """A percentile of the latency, window by window."""
        return [percentile([each.seconds for each in window.answered], percent) for window in self.windows]

    @property
    def throughput(self) -> list[float]:
        """Problems a second, window by window."""
        return [window.problems_a_second for window in self.windows]


class Load:
    """Levels of load.

    Args:
        problems: Asked in turn, each time with another seed.
        levels: Numbers of clients.
    """

    def __init__(self, problems: Sequence[str], levels: Sequence[int]) -> None:
        self.levels = [Level(number) for number in levels]
        asked = zip(itertools.cycle(problems), itertools.count(), strict=False)
        self._bodies = (
            {"problem": problem, "strategy": STRATEGY, "n": N, "seed": seed, "include": []} for problem, seed in asked
        )

    def jobs(self, service: Service) -> list[Job]:
        """A job a level."""
        return [
            Job(f"{level.num_clients} at once", partial(level.measure, service, self._bodies)) for level in self.levels
        ]

    def tables(self) -> list[Table]:
        """A row a level."""
        shown = table(
            f"Requests at once: winnow serve, {STRATEGY}, N = {N}, windows of {WINDOW_S:g} s",
            *("at once", "problems/s", "tokens/s", "p50, s", "p95, s", "CPU of the service, µs a token"),
        )
        for level in self._measured:
            shown.add_row(
                str(level.num_clients),
                spread(level.throughput),
                spread([window.num_tokens / window.seconds for window in level.windows], 0),
                spread(level.seconds(50)),
                spread(level.seconds(95)),
                spread([1e6 * window.cpu_s / window.num_tokens for window in level.windows], 1),
            )
        return [shown]

    def bars(self) -> list[Bar]:
        """The largest load against the best."""
        if self._measured != self.levels:
            return []
        best, last = max(median(level.throughput) for level in self._measured), self._measured[-1]
        return [
            Bar(f"{last.num_clients} at once: problems/s of the best", median(last.throughput) / best, LEAST_OF_BEST)
        ]

    def raw(self) -> Any:
        """Every answer."""
        return [asdict(level) for level in self.levels]

    @property
    def _measured(self) -> list[Level]:
        return [level for level in self.levels if any(window.answered for window in level.windows)]


def _cpu_s(service: Service) -> float:
    times = service.process.cpu_times()
    return float(times.user + times.system)

"""Searches that clients ask of a fleet: through winnow's own admission, by its own search code, in simulated time."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from models.interfaces import Meter, Sampling
from search.solve import solve
from search.strategy import Strategy
from server.keys import Client
from server.solving.admission import Admission
from tests.bench.fleet.clock import simulate
from tests.bench.fleet.fleet import Fleet, Plan
from tests.bench.fleet.law import Law

NUM_CLIENTS = 16
"""Among whom a gateway is fair."""
SAMPLING = Sampling(temperature=0.8, top_p=1.0, max_tokens=1 << 20)
Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked.

    Attributes:
        strategy: Of every search.
        num_searches: In all.
        in_flight: Asked at a time, the next when one has ended; None: they come by chance, `rate` a second.
        rate: Searches a second in the mean; None with `in_flight`.
        running: Searches that a gateway lets run at a time; the others wait in it.
        num_ignored: Searches at the beginning that do not count: until everything is busy.
    """

    strategy: Strategy
    num_searches: int
    in_flight: int | None = None
    rate: float | None = None
    running: int = 1 << 30
    num_ignored: int = 0


@dataclass(frozen=True, slots=True)
class Loss:
    """An engine that dies.

    Attributes:
        model: Which engines it is one of.
        at_s: When.
        back_s: Seconds until it is back; None: it is not.
    """

    model: str
    at_s: float
    back_s: float | None = None


@dataclass(slots=True)
class Outcome:
    """What became of the searches.

    Attributes:
        spans: When each was asked and when it was answered, in the order of the answers.
        seconds: From the first question to the last answer.
        steady: When the first and the last search were answered that count for the throughput.
        num_generated, num_read, num_cached: Tokens of all engines: by the policy; read and found in the cache by both.
        num_judged: Tokens that the verifier read.
        num_repeated: Tokens that lost engines had generated, and that were generated again.
        num_preempted: Sequences that an engine took out for want of room.
        policy_busy, verifier_busy, gateway_busy: Share of their time that they worked.
    """

    spans: list[tuple[float, float]] = field(default_factory=list)
    num_ignored: int = 0
    in_flight: int = 0
    seconds: float = 0.0
    num_generated: int = 0
    num_read: int = 0
    num_cached: int = 0
    num_judged: int = 0
    num_repeated: int = 0
    num_preempted: int = 0
    policy_busy: float = 0.0
    verifier_busy: float = 0.0
    gateway_busy: float = 0.0

    @property
    def counted(self) -> list[tuple[float, float]]:
        """Those of the middle: neither while the fleet fills nor while it empties."""
        last = len(self.spans) - self.in_flight
        return self.spans[self.num_ignored : last] if last - self.num_ignored > 1 else self.spans[self.num_ignored :]

    @property
    def throughput(self) -> float:
        """Searches a second."""
        counted = self.counted
        start = self.spans[self.num_ignored - 1][1] if self.num_ignored else 0.0
        return len(counted) / (counted[-1][1] - start)

    def latency(self, quantile: float) -> float:
        """Return the seconds within which that share of searches is answered."""
        latencies = sorted(end - start for start, end in self.counted)
        return latencies[max(math.ceil(quantile * len(latencies)) - 1, 0)]


def run(plan: Plan, law: Law, work: Work, losses: tuple[Loss, ...] = (), tell: Tell = lambda number: None) -> Outcome:
    """Simulate work on a fleet; `tell` is called with the number of searches answered, as it grows."""
    return simulate(_run(plan, law, work, losses, tell))


async def _run(plan: Plan, law: Law, work: Work, losses: tuple[Loss, ...], tell: Tell) -> Outcome:
    fleet, loop = Fleet(plan, law), asyncio.get_running_loop()
    outcome = Outcome(num_ignored=work.num_ignored, in_flight=work.in_flight or 0)
    gates = [Admission(work.running, work.num_searches, loop.time) for _ in fleet.gateways]
    clients = [Client(f"client {number}") for number in range(NUM_CLIENTS)]

    async def search(number: int) -> None:
        start, gateway = loop.time(), number % len(gates)
        with gates[gateway].join(clients[number % NUM_CLIENTS], 1) as place:
            await place.reach()
            await solve(law.problem(), work.strategy, fleet.models(gateway), SAMPLING, meter=Meter())
        outcome.spans.append((start, loop.time()))
        tell(len(outcome.spans))

    losing = [asyncio.create_task(_lose(fleet, loss)) for loss in losses]
    await (_in_turn(search, work) if work.rate is None else _by_chance(search, work, work.rate))
    for task in losing:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return _counted(fleet, outcome, loop.time())


async def _in_turn(search: Callable[[int], Awaitable[None]], work: Work) -> None:
    """Keep as many in flight as are asked for."""
    numbers = iter(range(work.num_searches))

    async def keep_asking() -> None:
        for number in numbers:
            await search(number)

    await asyncio.gather(*(keep_asking() for _ in range(min(work.in_flight or 1, work.num_searches))))


async def _by_chance(search: Callable[[int], Coroutine[Any, Any, None]], work: Work, rate: float) -> None:
    """Ask at times that know nothing of each other."""
    dice = random.Random(0)
    async with asyncio.TaskGroup() as group:
        for number in range(work.num_searches):
            await asyncio.sleep(dice.expovariate(rate))
            group.create_task(search(number))


async def _lose(fleet: Fleet, loss: Loss) -> None:
    await asyncio.sleep(loss.at_s)
    replicas = fleet.policies if loss.model == "policy" else fleet.verifiers
    await replicas.lose(replicas.engines[0], loss.back_s)


def _counted(fleet: Fleet, outcome: Outcome, seconds: float) -> Outcome:
    policies, verifiers = ([engine.counts for engine in each.engines] for each in (fleet.policies, fleet.verifiers))
    outcome.seconds = seconds
    outcome.num_generated = sum(each.num_generated for each in policies)
    outcome.num_read = sum(each.num_read for each in policies)
    outcome.num_judged = sum(each.num_read for each in verifiers)
    outcome.num_cached = sum(each.num_cached for each in (*policies, *verifiers))
    outcome.num_preempted = sum(each.num_preempted for each in policies)
    outcome.num_repeated = fleet.num_repeated
    outcome.policy_busy = sum(each.busy_s for each in policies) / len(policies) / seconds
    outcome.verifier_busy = sum(each.busy_s for each in verifiers) / len(verifiers) / seconds
    outcome.gateway_busy = sum(core.busy_s for core in fleet.gateways) / len(fleet.gateways) / seconds
    return outcome

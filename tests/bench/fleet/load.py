"""Searches that clients ask of a fleet: through winnow's own admission, by its own search code, in simulated time."""

import asyncio
import itertools
import math
import random
import statistics
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any

from models.interfaces import Meter, Sampling
from search.expander import cancel_all
from search.solve import solve
from search.strategy import Strategy
from server.keys import Client
from server.solving.admission import Admission
from tests.bench.fleet.clock import simulate
from tests.bench.fleet.fleet import Fleet, Plan
from tests.bench.fleet.law import Law

NUM_CLIENTS = 16
"""Among whom a gateway is fair."""
SAMPLING = Sampling(temperature=0.8, top_p=1.0, max_tokens=1 << 20, seed=0)
Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked.

    Attributes:
        strategy: Of every search.
        num_searches: That are answered before the simulation ends.
        in_flight: Asked at a time, the next when one has ended; None: they come by chance, `rate` a second.
        rate: Searches a second in the mean; None with `in_flight`.
        running: Searches that a gateway lets run at a time; the others wait in it.
        num_ignored: Of those answered, the first, which do not count: until everything is busy.
        has_end: Whether no more are asked than are to be answered; otherwise as many stay in flight to the end.
    """

    strategy: Strategy
    num_searches: int
    in_flight: int | None = None
    rate: float | None = None
    running: int = 1 << 30
    num_ignored: int = 0
    has_end: bool = False


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


@dataclass(frozen=True, slots=True)
class Answered:
    """A search.

    Attributes:
        start, end: When it was asked and answered.
        num_tokens: Generated for it.
    """

    start: float
    end: float
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Done:
    """What a fleet has done up to an instant; the difference of two is what it did between them.

    Attributes:
        seconds: Since the beginning.
        num_generated: Tokens of the policy.
        num_read: Tokens that the policy read: prompts and steps that were not in its cache.
        num_judged: Tokens that the verifier read.
        num_cached: Tokens that both found in their caches.
        num_repeated: Tokens that were generated again since an engine was lost.
        num_preempted: Sequences that the policy's engines took out for want of room.
        policy_s, verifier_s, gateway_s: Seconds that one of each worked in the mean.
    """

    seconds: float = 0.0
    num_generated: int = 0
    num_read: int = 0
    num_judged: int = 0
    num_cached: int = 0
    num_repeated: int = 0
    num_preempted: int = 0
    policy_s: float = 0.0
    verifier_s: float = 0.0
    gateway_s: float = 0.0

    @classmethod
    def by(cls, fleet: Fleet, now: float) -> "Done":
        """Add up what a fleet's engines and gateways count."""
        policies, verifiers = ([engine.counts for engine in each.engines] for each in (fleet.policies, fleet.verifiers))
        return cls(
            now,
            sum(each.num_generated for each in policies),
            sum(each.num_read for each in policies),
            sum(each.num_read for each in verifiers),
            sum(each.num_cached for each in (*policies, *verifiers)),
            fleet.num_repeated,
            sum(each.num_preempted for each in policies),
            statistics.fmean(each.busy_s for each in policies),
            statistics.fmean(each.busy_s for each in verifiers),
            statistics.fmean(core.busy_s for core in fleet.gateways),
        )

    def since(self, other: "Done") -> "Done":
        """Return what was done after another instant."""
        return Done(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(Done)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the searches that count.

    Attributes:
        answered: They, in the order of their answers.
        done: What the fleet did from the last search that does not count to the last that does.
    """

    answered: tuple[Answered, ...]
    done: Done

    @property
    def throughput(self) -> float:
        """Searches a second, by the tokens that were generated: what is half done counts for half."""
        return self.done.num_generated / self.done.seconds / self.tokens

    @property
    def tokens(self) -> float:
        """Generated for a search in the mean."""
        return statistics.fmean(each.num_tokens for each in self.answered)

    @property
    def mean_latency(self) -> float:
        """Seconds of a search."""
        return statistics.fmean(each.end - each.start for each in self.answered)

    def latency(self, quantile: float) -> float:
        """Return the seconds within which that share of searches is answered."""
        latencies = sorted(each.end - each.start for each in self.answered)
        return latencies[max(math.ceil(quantile * len(latencies)) - 1, 0)]

    def busy(self, what: str) -> float:
        """Return the share of its time that the policy, the verifier or the gateway worked in the mean."""
        seconds: float = getattr(self.done, f"{what}_s")
        return seconds / self.done.seconds


def run(plan: Plan, law: Law, work: Work, losses: tuple[Loss, ...] = (), tell: Tell = lambda number: None) -> Outcome:
    """Simulate work on a fleet; `tell` is called with the number of searches answered, as it grows."""
    return simulate(_run(plan, law, work, losses, tell))


async def _run(plan: Plan, law: Law, work: Work, losses: tuple[Loss, ...], tell: Tell) -> Outcome:
    fleet, loop = Fleet(plan, law), asyncio.get_running_loop()
    gates = [Admission(work.running, 1 << 30, loop.time) for _ in fleet.gateways]
    clients = [Client(f"client {number}") for number in range(NUM_CLIENTS)]
    answered: list[Answered] = []
    begun, ended = Done(), asyncio.Event()

    async def search(number: int) -> None:
        nonlocal begun
        start, gateway, meter = loop.time(), number % len(gates), Meter()
        with gates[gateway].join(clients[number % NUM_CLIENTS], 1) as place:
            await place.reach()
            await solve(law.problem(number), work.strategy, fleet.models(gateway), SAMPLING, meter=meter)
        answered.append(Answered(start, loop.time(), meter.completion_tokens))
        tell(len(answered))
        if len(answered) == work.num_ignored:
            begun = Done.by(fleet, loop.time())
        elif len(answered) == work.num_searches:
            ended.set()

    async with _background(*(_lose(fleet, loss) for loss in losses)), _background(*_asking(search, work)):
        await ended.wait()
        return Outcome(tuple(answered[work.num_ignored :]), Done.by(fleet, loop.time()).since(begun))


@asynccontextmanager
async def _background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do work while the context lasts; what is not done by then is dropped."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        await cancel_all(tasks)


def _asking(search: Callable[[int], Coroutine[Any, Any, None]], work: Work) -> Iterator[Coroutine[Any, Any, None]]:
    """Ask one search after another, or at times that know nothing of each other."""
    numbers = iter(range(work.num_searches)) if work.has_end else itertools.count()

    async def keep_asking() -> None:
        for number in numbers:
            await search(number)

    async def ask_by_chance(rate: float) -> None:
        dice = random.Random(0)
        async with asyncio.TaskGroup() as group:
            for number in range(work.num_searches):
                await asyncio.sleep(dice.expovariate(rate))
                group.create_task(search(number))

    if work.rate is not None:
        yield ask_by_chance(work.rate)
    else:
        yield from (keep_asking() for _ in range(work.in_flight or 1))


async def _lose(fleet: Fleet, loss: Loss) -> None:
    await asyncio.sleep(loss.at_s)
    replicas = fleet.policies if loss.model == "policy" else fleet.verifiers
    await replicas.lose(replicas.engines[0], loss.back_s)

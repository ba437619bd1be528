"""What an operator asks of a fleet, and the simulations that answer it.

Every question is a list of cases that know nothing of each other; what is found is kept in `results.jsonl`, so that
pictures are drawn, and what was interrupted goes on, without simulating anything twice.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

from search.strategies import strategies
from tests.bench.fleet import costs
from tests.bench.fleet.costs import Assumptions
from tests.bench.fleet.fleet import Plan, Routing
from tests.bench.fleet.law import DrawnLaw, Shape
from tests.bench.fleet.load import Loss, Outcome, Tell, Work, run

RESULTS = Path(__file__).with_name("results.jsonl")
SHAPES = {
    20: Shape(step_tokens=20, min_steps=10, max_steps=30),
    60: Shape(step_tokens=60, min_steps=4, max_steps=10),
    400: Shape(step_tokens=400, min_steps=2, max_steps=6),
}
"""By the tokens of a step: responses of 400, 420 and 1,600 tokens in the mean."""
PAIRS = {"1B + 8B": "1b", "8B + 8B": "8b"}
"""The policy's model, by the name of the pair; the verifier has 8B parameters in both."""
SHARED = {"1b": 0.25, "8b": 0.5}
"""Of the memory of the one GPU that a pair shares: the policy's."""
BUCKET_S = 5.0
"""Searches asked within so many seconds are one point of a picture over time."""


@dataclass(frozen=True, slots=True)
class Case:
    """One simulation.

    Attributes:
        pair: Of `PAIRS`.
        num_gpus: Of policy and verifier together; with one, both run on it.
        num_verifiers: GPUs that the verifier has.
        num_gateways: Processes.
        strategy, n: Of every search.
        step_tokens: Of `SHAPES`.
        num_searches: Answered before the simulation ends, those included that are ignored.
        in_flight: Searches at a time, or None with `rate`, searches a second.
        running: Searches that a gateway lets run at a time.
        num_ignored: Searches until everything is busy.
        losses: Engines that die.
        routing: How engines are chosen.
        assumptions: Factors.
    """

    pair: str = "1B + 8B"
    num_gpus: int = 8
    num_verifiers: int = 5
    num_gateways: int = 8
    strategy: str = "beam_search"
    n: int = 16
    step_tokens: int = 60
    num_searches: int = 100
    in_flight: int | None = None
    rate: float | None = None
    running: int = 1 << 30
    num_ignored: int = 0
    losses: tuple[Loss, ...] = ()
    routing: Routing = "affinity"
    assumptions: Assumptions = field(default_factory=Assumptions)

    @property
    def name(self) -> str:
        """What tells it from all others."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def plan(self) -> Plan:
        """The fleet."""
        model, is_shared = PAIRS[self.pair], self.num_gpus == 1
        share = SHARED[model] if is_shared else 1.0
        return Plan(
            costs.engine(model, self.assumptions, memory=share),
            costs.engine("8b", self.assumptions, memory=1 - share if is_shared else 1.0, judges=True),
            1 if is_shared else self.num_gpus - self.num_verifiers,
            1 if is_shared else self.num_verifiers,
            costs.gateway(self.assumptions),
            self.num_gateways,
            is_shared,
            routing=self.routing,
        )

    def simulate(self, tell: Tell = lambda number: None) -> Outcome:
        """Simulate it."""
        strategy = strategies()[self.strategy].build(self.n)
        work = Work(strategy, self.num_searches, self.in_flight, self.rate, self.running, self.num_ignored)
        return run(self.plan, DrawnLaw(SHAPES[self.step_tokens]), work, self.losses, tell)


@dataclass(frozen=True, slots=True)
class Found:
    """What a simulation says.

    Attributes:
        throughput: Searches a second.
        tokens: Generated in a second.
        p50, p95, mean: Seconds until an answer.
        judged, reread: Tokens that the verifier, and that the policy read, for each that was generated.
        gateway: Share of its time that a gateway worked in the mean.
        repeated: Tokens that were generated again after a loss.
        preempted: Sequences taken out of an engine for want of room.
        series: Mean latency of the searches asked in each `BUCKET_S`.
    """

    throughput: float
    tokens: float
    p50: float
    p95: float
    mean: float
    judged: float
    reread: float
    gateway: float
    repeated: int
    preempted: int
    series: Sequence[float]

    @classmethod
    def of(cls, outcome: Outcome) -> "Found":
        """Boil an outcome down."""
        done = outcome.done
        return cls(
            outcome.throughput,
            done.num_generated / done.seconds,
            outcome.latency(0.5),
            outcome.latency(0.95),
            outcome.mean_latency,
            done.num_judged / done.num_generated,
            done.num_read / done.num_generated,
            outcome.busy("gateway"),
            done.num_repeated,
            done.num_preempted,
            tuple(_series(outcome)),
        )


def saturated(case: Case, in_flight: int, turns: float = 1.5) -> Case:
    """Return the case with so many searches in flight all the time, until each has been replaced some times."""
    number = max(round(in_flight * turns), 48)
    return replace(case, in_flight=in_flight, num_ignored=in_flight, num_searches=in_flight + number)


def share() -> list[Case]:
    """Which share of the GPUs is the verifier's: with each number of eight, for two strategies and three steps."""
    base = [Case(pair=pair, num_verifiers=number) for pair in PAIRS for number in range(1, 8)]
    cases = [saturated(replace(each, strategy=name), 128) for each in base for name in ("best_of_n", "beam_search")]
    return cases + [saturated(replace(each, step_tokens=size), 96, 1.0) for each in base for size in (400, 20)]


def knee() -> list[Case]:
    """How throughput and latency go with the searches in flight: on 1, 8 and 64 GPUs; N = 16, 64 and 256."""
    cases = []
    for pair, number in VERIFIERS.items():
        one, eight = Case(pair=pair, num_gpus=1, num_verifiers=1, num_gateways=1), Case(pair=pair, num_verifiers=number)
        cases += [saturated(one, load) for load in (1, 4, 16, 64)]
        cases += [saturated(eight, load) for load in (1, 8, 32, 64, 128, 512)]
        cases += [saturated(replace(eight, n=64), load) for load in (1, 8, 32)]
        cases += [saturated(replace(eight, n=256), load) for load in (1, 8)]
    return cases


def large() -> list[Case]:
    """The same on 64 GPUs, and with 10,000 searches in flight, of which 16 run at a time in each of 64 gateways."""
    base = Case(num_gpus=64, num_verifiers=8 * VERIFIERS["1B + 8B"], num_gateways=64)
    cases = [saturated(base, load, 1.0) for load in (64, 256)]
    return [*cases, replace(base, running=16, in_flight=10_000, num_ignored=768, num_searches=1_792)]


def loss() -> list[Case]:
    """What it costs to lose one engine of the policy, or of the verifier, for 40 s, at three loads."""
    return [
        Case(num_verifiers=VERIFIERS["1B + 8B"], rate=rate, num_searches=round(rate * 120), losses=losses)
        for rate in RATES
        for losses in ((), (Loss("policy", 30, 40),), (Loss("verifier", 30, 40),))
    ]


def routing() -> list[Case]:
    """What it costs, or saves, to send requests where their prefixes are."""
    base = [Case(), Case(n=64), Case(strategy="best_of_n"), Case(strategy="dvts")]
    return [
        saturated(replace(each, routing=how), 2048 // each.n)
        for each in base
        for how in ("affinity", "sticky", "spread")
    ]


def gateways() -> list[Case]:
    """How many gateways eight GPUs want, by strategy and step."""
    base = [Case(strategy="best_of_n"), Case(), Case(step_tokens=20)]
    return [saturated(replace(each, num_gateways=number), 96, 1.0) for each in base for number in (1, 2, 4)]


def doubts() -> list[Case]:
    """How the best share and the throughput move with what is assumed."""
    assumed = [Assumptions(efficiency=0.7), Assumptions(efficiency=1.3), Assumptions(host=0.5), Assumptions(host=2.0)]
    return [
        saturated(Case(num_verifiers=number, assumptions=each), 128, 1.0) for each in assumed for number in (4, 5, 6)
    ]


VERIFIERS = {"1B + 8B": 5, "8B + 8B": 4}
"""GPUs of eight that the verifier has, as `share` found it best; for 8B + 8B three are as good."""
RATES = (9.0, 13.0, 16.0)
"""Searches a second: about half, two thirds and nine tenths of what the eight GPUs do."""
QUESTIONS: dict[str, Callable[[], list[Case]]] = {
    each.__name__: each for each in (share, knee, large, loss, routing, gateways, doubts)
}


class Results:
    """What was found, by case, in a file."""

    def __init__(self, path: Path = RESULTS) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._found = {line["case"]: Found(**line["found"]) for line in map(json.loads, lines)}

    def __getitem__(self, case: Case) -> Found:
        return self._found[case.name]

    def __contains__(self, case: Case) -> bool:
        return case.name in self._found

    def simulate(self, cases: Sequence[Case], processes: int) -> Iterator[Case]:
        """Simulate cases that nothing is known of, so many beside each other; yield each when it is known."""
        missing = [case for case in cases if case not in self]
        yield from (case for case in cases if case in self)
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            running = {pool.submit(find, case): case for case in missing}
            for future in as_completed(running):
                case = running[future]
                self._found[case.name] = found = future.result()
                with self._path.open("a") as file:
                    file.write(json.dumps({"case": case.name, "found": asdict(found)}) + "\n")
                yield case


def find(case: Case) -> Found:
    """Simulate one case."""
    return Found.of(case.simulate())


def _series(outcome: Outcome) -> Iterator[float]:
    buckets: defaultdict[int, list[float]] = defaultdict(list)
    for each in outcome.answered:
        buckets[int(each.start / BUCKET_S)].append(each.end - each.start)
    for place in range(max(buckets) + 1):
        yield sum(buckets[place]) / len(buckets[place]) if buckets[place] else 0.0

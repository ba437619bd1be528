"""Real searches of the demo pair on this machine, and the same searches simulated with costs measured just before."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from rich.table import Table

from search.strategies import strategies
from tests.bench.fleet.fleet import GatewayCosts, Plan
from tests.bench.fleet.law import Record, RecordedLaw
from tests.bench.fleet.load import Work, run
from tests.bench.fleet.measured import Run, Timings, demo_problems, fitted, running_pair

NUM_CORES = 2
NUM_PROBLEMS = 24
NUM_RESPONSES = 64
"""Recorded for each problem."""
NUM_SEEDS = 3
CASES = (
    ("best_of_n", 16, 1),
    ("best_of_n", 16, 8),
    ("best_of_n", 64, 4),
    ("beam_search", 16, 1),
    ("beam_search", 16, 8),
    ("beam_search", 64, 4),
    ("dvts", 16, 1),
    ("dvts", 16, 8),
    ("dvts", 64, 4),
)
"""Strategy, N, searches at a time."""
Case = tuple[str, int, int]
Begin = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Attributes:
        policy, verifier: What trials of the engines took.
        gateway: Its costs.
        records: Responses to the problems.
        runs: Of each case.
    """

    policy: Timings
    verifier: Timings
    gateway: GatewayCosts
    records: tuple[Record, ...]
    runs: dict[Case, list[Run]]


async def measure(repeats: int, begin: Begin) -> Measured:
    """Measure costs, record responses, and search."""
    begin("starting the demo pair")
    async with running_pair() as pair:
        problems = demo_problems(NUM_PROBLEMS)
        begin(f"recording {NUM_RESPONSES} responses to each of {NUM_PROBLEMS} problems")
        records = await pair.records(problems, NUM_RESPONSES)
        begin("measuring the costs of the engines")
        policy, verifier = await pair.timings()
        begin("measuring the costs of the gateway")
        gateway = await pair.gateway(demo_problems(2 * NUM_PROBLEMS)[NUM_PROBLEMS:])
        runs: dict[Case, list[Run]] = {case: [] for case in CASES}
        for number in range(repeats):
            for name, n, in_flight in CASES:
                begin(f"run {number + 1} of {repeats}: {name}, N = {n}, {in_flight} at a time")
                strategy = strategies()[name].build(n)
                runs[name, n, in_flight].append(await pair.run(strategy, problems, in_flight))
        return Measured(policy, verifier, gateway, records, runs)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is compared.

    Attributes:
        throughput: Searches a second.
        latency_s: Of a search in the mean.
        generated, judged: Tokens of a search in the mean, by the policy and by the verifier.
    """

    throughput: float
    latency_s: float
    generated: float
    judged: float

    @classmethod
    def median(cls, each: Sequence["Figures"]) -> "Figures":
        """Return the medians."""
        return cls(*(statistics.median(getattr(one, name.name) for one in each) for name in fields(cls)))


def simulated(measured: Measured, case: Case, others: float) -> Figures:
    """Simulate what was run, on the cores that others left, with other responses each time."""
    name, n, in_flight = case
    cores = max(NUM_CORES - others, 1.0)
    plan = Plan(fitted(measured.policy), fitted(measured.verifier), gateway=measured.gateway, num_cores=cores)
    work = Work(strategies()[name].build(n), NUM_PROBLEMS, in_flight, has_end=True)
    figures = []
    for seed in range(NUM_SEEDS):
        outcome = run(plan, RecordedLaw(measured.records, seed), work)
        each = outcome.done.num_generated, outcome.done.num_judged
        generated, judged = (number / NUM_PROBLEMS for number in each)
        figures.append(Figures(NUM_PROBLEMS / outcome.done.seconds, outcome.mean_latency, generated, judged))
    return Figures.median(figures)


def figures(run: Run) -> Figures:
    """Return what a real run is compared by."""
    meters = [result.meter for result in run.results]
    generated = statistics.fmean(meter.completion_tokens for meter in meters)
    return Figures(
        run.throughput, run.latency_s, generated, statistics.fmean(meter.verifier_tokens for meter in meters)
    )


def table(measured: Measured) -> Table:
    """Show what was simulated beside what was measured, and by how much it errs."""
    found = Table(title="the demo pair on this machine: simulated / measured (error)")
    headings = (
        "strategy",
        "N",
        "at a time",
        "searches/s",
        "spread",
        "latency, s",
        "generated",
        "judged",
        "others' cores",
    )
    for heading in headings:
        found.add_column(heading, justify="left" if heading == "strategy" else "right")
    for case, runs in measured.runs.items():
        others = statistics.median(run.others for run in runs)
        real, guess = Figures.median([figures(run) for run in runs]), simulated(measured, case, others)
        speeds = [run.throughput for run in runs]
        found.add_row(
            *map(str, case),
            _beside(guess.throughput, real.throughput, ".2f"),
            f"{min(speeds):.2f} to {max(speeds):.2f}",
            _beside(guess.latency_s, real.latency_s, ".2f"),
            _beside(guess.generated, real.generated, ",.0f"),
            _beside(guess.judged, real.judged, ",.0f"),
            f"{others:.1f}",
        )
    return found


def _beside(guess: float, real: float, form: str) -> str:
    return f"{guess:{form}} / {real:{form}} ({guess / real - 1:+.0%})"

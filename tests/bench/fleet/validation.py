"""Real searches of the demo pair on this machine, and the same searches simulated with costs measured just before."""

import asyncio
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table

from search.strategies import strategies
from tests.bench.fleet.fleet import GatewayCosts, Plan
from tests.bench.fleet.law import Record, RecordedLaw
from tests.bench.fleet.load import Outcome, Work, run
from tests.bench.fleet.measured import Run, Timings, demo_problems, fitted, running_pair

NUM_CORES = 2
NUM_PROBLEMS = 24
NUM_RESPONSES = 32
"""Recorded for each problem."""
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


def simulated(measured: Measured, case: Case, others: float) -> Outcome:
    """Simulate what was run, on the cores that others left."""
    name, n, in_flight = case
    plan = Plan(fitted(measured.policy), fitted(measured.verifier), gateway=measured.gateway, num_cores=max(NUM_CORES - others, 1))
    work = Work(strategies()[name].build(n), 4 * NUM_PROBLEMS, in_flight)
    return run(plan, RecordedLaw(measured.records), work)


def table(measured: Measured) -> Table:
    """Show predictions beside measurements."""
    found = Table(title="the demo pair on this machine: simulated / measured")
    for heading in ("strategy", "N", "at a time", "searches/s", "simulated", "error", "mean latency, s", "simulated", "error"):
        found.add_column(heading, justify="left" if heading == "strategy" else "right")
    for case, runs in measured.runs.items():
        name, n, in_flight = case
        outcome = simulated(measured, case, statistics.median(run.others for run in runs))
        throughput, latency = len(outcome.spans) / outcome.seconds, mean(end - start for start, end in outcome.spans)
        own = [run.throughput for run in runs]
        took = statistics.median(run.latency_s for run in runs)
        found.add_row(
            name, str(n), str(in_flight),
            f"{statistics.median(own):.2f} ({min(own):.2f} to {max(own):.2f})",
            f"{throughput:.2f}", f"{throughput / statistics.median(own) - 1:+.0%}",
            f"{took:.2f}", f"{latency:.2f}", f"{latency / took - 1:+.0%}",
        )
    return found


def mean(values: Sequence[float] | object) -> float:
    return statistics.fmean(values)  # type: ignore[arg-type]

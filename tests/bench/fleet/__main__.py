"""Sizes a fleet by simulation: winnow's own search on simulated gateways and engines, in simulated time.

    python -m tests.bench.fleet ask --gpus 8 --verifiers 5 --in-flight 128    # one fleet, one load
    python -m tests.bench.fleet answer share knee loss --pictures deploy      # the questions of deploy/sizing.md
    python -m tests.bench.fleet validate --repeats 2                          # beside real engines, on this machine

Costs are in tests/bench/fleet/costs.yaml, each with its source.
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from search.strategies import flat, strategies
from server.cli.stages import stages
from tests.bench.fleet.costs import Assumptions
from tests.bench.fleet.plots import draw
from tests.bench.fleet.questions import PAIRS, QUESTIONS, SHAPES, Case, Found, Results
from tests.bench.fleet.tables import answers, one

CONSOLE = Console(width=140)
STRATEGIES = [row.name for row in strategies().values() if row in flat() or row.has_beams]
"""The others read more of their models than is simulated."""
MAX_CANDIDATES = 4_000_000
"""N times searches: about ten minutes for each million and five steps."""


def within(low: float, high: float, kind: Callable[[str], float] = int) -> Callable[[str], float]:
    """Return a reader of numbers from `low` to `high`."""

    def read(text: str) -> float:
        number = kind(text)
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}")
        return number

    read.__name__ = "number"
    return read


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    whole = argparse.ArgumentParser(
        prog="python -m tests.bench.fleet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    ask = commands.add_parser("ask", help="Simulate one fleet under one load.", description=_ask.__doc__)
    ask.set_defaults(do=_ask)
    fleet = ask.add_argument_group("the fleet")
    fleet.add_argument("--pair", choices=PAIRS, default="1B + 8B", help="Policy and verifier. Default: %(default)s.")
    fleet.add_argument(
        "--gpus", type=within(1, 256), default=8, help="H100s. With 1 both models are on it. Default: 8."
    )
    fleet.add_argument("--verifiers", type=within(1, 255), default=5, help="Of them, the verifier's. Default: 5.")
    fleet.add_argument("--gateways", type=within(1, 256), default=8, help="Processes. Default: 8.")
    fleet.add_argument(
        "--routing",
        choices=("affinity", "sticky", "spread"),
        default="affinity",
        help="By a hash of the problem, the idlest engine for each problem, or for each request. Default: affinity.",
    )
    fleet.add_argument("--running", type=within(1, 1 << 30), default=1 << 30, help="Searches that a gateway lets run.")
    load = ask.add_argument_group("the load")
    load.add_argument("--strategy", choices=STRATEGIES, default="beam_search", help="Default: %(default)s.")
    load.add_argument("--n", type=within(1, 256), default=16, help="N, the budget. Default: 16.")
    load.add_argument("--step-tokens", type=int, choices=SHAPES, default=60, help="Tokens of a step. Default: 60.")
    amount = load.add_mutually_exclusive_group()
    amount.add_argument("--in-flight", type=within(1, 10_000), default=64, help="Searches at a time. Default: 64.")
    amount.add_argument("--rate", type=within(0.001, 10_000, float), help="Or searches a second, at random times.")
    load.add_argument("--searches", type=within(1, 100_000), help="That count. Default: 1.5 times those in flight.")
    doubts = ask.add_argument_group("what is assumed")
    doubts.add_argument("--efficiency", type=within(0.1, 2, float), default=1.0, help="Factor on the GPUs' efficiency.")
    doubts.add_argument("--host", type=within(0, 10, float), default=1.0, help="Factor on the work of engines' hosts.")
    doubts.add_argument("--gateway", type=within(0, 10, float), default=1.0, help="Factor on the work of gateways.")
    answer = commands.add_parser(
        "answer", help="Answer questions, with tables and pictures.", description=_answer.__doc__
    )
    answer.set_defaults(do=_answer)
    answer.add_argument("questions", nargs="+", choices=QUESTIONS, help="Which.")
    answer.add_argument("--processes", type=within(1, 64), default=2, help="That simulate. Default: 2.")
    answer.add_argument("--pictures", type=Path, help="Folder that takes them. Default: none are drawn.")
    validate = commands.add_parser("validate", help="Compare with real engines here.", description=_validate.__doc__)
    validate.set_defaults(do=_validate)
    validate.add_argument("--repeats", type=within(1, 10), default=2, help="Runs of each case. Default: 2.")
    return whole


def _ask(arguments: argparse.Namespace) -> None:
    """Simulate one fleet under one load and print what it does."""
    in_flight = None if arguments.rate else arguments.in_flight
    number = arguments.searches or max(round(1.5 * arguments.in_flight), 48)
    ignored = in_flight or 0
    if (number + ignored) * arguments.n > MAX_CANDIDATES:
        raise SystemExit(f"N times searches is {(number + ignored) * arguments.n:,}; allowed: {MAX_CANDIDATES:,}")
    if arguments.gpus > 1 and arguments.verifiers >= arguments.gpus:
        raise SystemExit(f"--verifiers {arguments.verifiers} leaves no GPU of {arguments.gpus} for the policy")
    case = Case(
        arguments.pair,
        arguments.gpus,
        arguments.verifiers,
        arguments.gateways,
        arguments.strategy,
        arguments.n,
        arguments.step_tokens,
        number + ignored,
        in_flight,
        arguments.rate,
        arguments.running,
        ignored,
        routing=arguments.routing,
        assumptions=Assumptions(arguments.efficiency, arguments.host, arguments.gateway),
    )
    start = time.perf_counter()
    with _bar(case.num_searches, "searches answered") as progress:
        outcome = case.simulate(lambda number: progress.update(progress.task_ids[0], completed=number))
    CONSOLE.print(one(case, Found.of(outcome)))
    seconds, generated = time.perf_counter() - start, outcome.done.num_generated
    CONSOLE.print(f"{outcome.done.seconds:,.0f} s and {generated:,} tokens simulated in {seconds:.1f} s")


def _answer(arguments: argparse.Namespace) -> None:
    """Answer questions: simulate what results.jsonl does not know yet, print tables, draw pictures."""
    results = Results()
    for name in arguments.questions:
        cases = QUESTIONS[name]()
        with _bar(len(cases), name) as progress:
            for _ in results.simulate(cases, arguments.processes):
                progress.advance(progress.task_ids[0])
        CONSOLE.print(answers(name, cases, results))
        if arguments.pictures:
            draw(name, results, arguments.pictures)


def _validate(arguments: argparse.Namespace) -> None:
    """Run the demo pair here, measure its costs, search, and simulate the same searches: 3 minutes for each repeat."""
    from tests.bench.fleet.validation import measure, table  # vLLM, which nothing else here needs

    with stages() as begin:
        measured = asyncio.run(measure(arguments.repeats, begin))
        begin("simulating the same")
        found = table(measured)
    CONSOLE.print(found)


def _bar(total: int, name: str) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.add_task(name, total=total)
    return progress


if __name__ == "__main__":
    arguments = parser().parse_args()
    arguments.do(arguments)

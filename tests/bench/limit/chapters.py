"""What the parts of the benchmark measure, on what, and with what share of the time."""

import argparse
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from models.interfaces import Problem
from models.training.demo.tasks.stream import held_out_problems
from tests.bench.limit.beside import Beside, Setting
from tests.bench.limit.efficiency import Efficiency
from tests.bench.limit.gateway import Gateway
from tests.bench.limit.growth import Growth, Point
from tests.bench.limit.load import Load
from tests.bench.limit.pair import BEAM_WIDTH
from tests.bench.limit.part import Job, Part
from tests.bench.limit.stage import NUM_TOKENS, Stage
from tests.bench.limit.waste import Waste

TREES = ("beam_search", "dvts")
SEED = 5
"""Of the problems."""
BUDGETS, WIDTHS, LENGTHS = (16, 64, 256, 1024), (2, 4, 8, 16), (100, 200, 400, 800, 1600)
STEP_TOKENS = (20, 40)
LEVELS = (1, 8, 32, 64, 128)
"""Of requests at once."""
TIMES_DEMO, TIMES_LONG, TIMES_ALONE, TIMES_EVER = 3.0, 5.0, 2.5, 1.0
"""The problems/s of lock-step: with the demo's short responses, with long ones, one problem at a time; never less."""


class Measured(NamedTuple):
    """What a part shows, and what there is to do for it."""

    parts: Sequence[Part]
    jobs: Sequence[Job]


class Chapter(NamedTuple):
    """A part of the benchmark.

    Attributes:
        share: Of the time.
        open: Opens what it runs on.
    """

    share: float
    open: Callable[[argparse.Namespace, Stage], Awaitable[Measured]]


async def efficiency(options: argparse.Namespace, stage: Stage) -> Measured:
    part = Efficiency(problems(options.problems), options.strategies, options.n, options.in_flight)
    return Measured([part], part.jobs(await stage.pair()))


async def waste(options: argparse.Namespace, stage: Stage) -> Measured:
    part = Waste(problems(options.problems), options.n, options.in_flight)
    return Measured([part], part.jobs(await stage.pair(), await stage.reader()))


async def lock_step(options: argparse.Namespace, stage: Stage) -> Measured:
    settings = [
        Setting(name, n, options.in_flight, options.problems, bar=TIMES_DEMO if name in TREES else TIMES_EVER)
        for n in options.lock_step_n
        for name in options.strategies
    ]
    alone = [
        Setting(name, options.lock_step_n[0], 1, 4, bar=TIMES_ALONE) for name in options.strategies if name in TREES
    ]
    part = Beside("Beside lock-step", problems(options.problems), settings + alone)
    return Measured([part], part.jobs(await stage.pair()))


async def growth(options: argparse.Namespace, stage: Stage) -> Measured:
    (problem,) = problems(1)
    budgets = [Point(name, n, BEAM_WIDTH) for n in BUDGETS for name in options.strategies]
    widths = [Point(name, 64, width) for width in WIDTHS for name in options.strategies if name in TREES]
    parts = Growth("N", problem, budgets), Growth("M", problem, widths)
    pair = await stage.pair()
    return Measured(parts, [job for part in parts for job in part.jobs(pair)])


async def long(options: argparse.Namespace, stage: Stage) -> Measured:
    trees = [name for name in options.strategies if name in TREES]
    many = options.in_flight
    settings = [Setting(name, 16, many, many, size, TIMES_LONG) for size in STEP_TOKENS for name in trees]
    settings += [Setting(name, 16, 1, 1, STEP_TOKENS[0], TIMES_ALONE) for name in trees]
    title = f"Responses of {NUM_TOKENS} tokens ({' and '.join(stage.seeded)})"
    beside = Beside(title, problems(many), settings)
    lengths = [Point("beam_search", 16, BEAM_WIDTH, length) for length in LENGTHS]
    by_length = Growth("tokens of a response", problems(1)[0], lengths)
    pair = await stage.seeded_pair()
    return Measured([beside, by_length], [*beside.jobs(pair), *by_length.jobs(pair)])


async def load(options: argparse.Namespace, stage: Stage) -> Measured:
    part = Load([problem.text for problem in problems(1000)], LEVELS)
    return Measured([part], part.jobs(await stage.service()))


async def gateway(options: argparse.Namespace, stage: Stage) -> Measured:
    await stage.close()
    part = Gateway(options.strategies)
    return Measured([part], part.jobs())


def problems(number: int) -> list[Problem]:
    """Held-out problems of the demo."""
    return [Problem(record.problem) for record in held_out_problems(SEED, number)]


CHAPTERS = {
    "efficiency": Chapter(9, efficiency),
    "waste": Chapter(2, waste),
    "lock-step": Chapter(4, lock_step),
    "growth": Chapter(4, growth),
    "long": Chapter(9, long),
    "load": Chapter(8, load),
    "gateway": Chapter(3, gateway),
}
"""In the order in which they run."""

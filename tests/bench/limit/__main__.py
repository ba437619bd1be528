"""What a search costs beside its tokens, in one run: `make bench`.

    python -m tests.bench.limit [--minutes 15] [--parts efficiency,load,...] [--out runs/bench]

Parts:

- *efficiency*: searches beside the bare engines, which do the same work (`bare.py`), by strategy and N; what verifier
  and policy compute for each token that they must; CPU of the process that searches, a token and a step;
- *waste*: what votes generate after their answer is decided (`waste.py`);
- *lock-step*: searches beside lock-step ones (`lock_step.py`), several problems at a time, and one;
- *growth*: seconds of one problem with N and with M;
- *long*: lock-step again, with responses of 400 tokens in steps of 40, of a seeded policy and a larger verifier
  (`tests.bench.gpu.shapes`), and growth with the length;
- *load*: `winnow serve` with 1 to 128 requests at once;
- *gateway*: CPU of a gateway in front of engines elsewhere.

Every run starts on empty prefix caches, with a seed of its own. A part has a share of the time and repeats its
measurements, in turn, while some of it is left; what was not reached is listed. `--out` gets every run as JSON, the
tables, and two pictures.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from tests.bench.gpu.shapes import SHAPES
from tests.bench.limit.chapters import CHAPTERS
from tests.bench.limit.growth import Growth
from tests.bench.limit.load import Load
from tests.bench.limit.machine import describe, load
from tests.bench.limit.pair import STRATEGIES
from tests.bench.limit.part import Part, bars_table, repeat
from tests.bench.limit.pictures import draw_growth, draw_load
from tests.bench.limit.stage import Stage
from tests.conftest import DEMO

CLOSING_S = 5.0
"""What engines take to end."""


async def main(options: argparse.Namespace) -> None:
    """Measure, print, write and draw."""
    machine, end = describe(), time.perf_counter() + 60 * options.minutes - CLOSING_S
    report = Report(options.out, machine)
    stage = Stage(options.policy, options.verifier, tuple(options.seeded), tuple(options.shares))
    try:
        for place, name in enumerate(options.parts):
            share = CHAPTERS[name].share / sum(CHAPTERS[each].share for each in options.parts[place:])
            until = time.perf_counter() + share * (end - time.perf_counter())
            say = _progress(name, end)
            say("starting")
            parts, jobs = await CHAPTERS[name].open(options, stage)
            await repeat(jobs, until, say, options.most)
            report.add(name, parts, [job.name for job in jobs if not job.times])
    finally:
        await stage.close()
    report.finish()


class Report:
    """What was measured, part by part: printed, and written as it comes.

    Args:
        folder: Where it is written.
        machine: What it was measured with.
    """

    def __init__(self, folder: Path, machine: dict[str, str]) -> None:
        self._folder = folder
        self._machine = machine
        self._parts: dict[str, Sequence[Part]] = {}
        self._left_out: list[str] = []
        self._console = Console(record=True, width=260)
        folder.mkdir(parents=True, exist_ok=True)
        for what, value in machine.items():
            self._console.print(f"{what}: {value}", highlight=False, soft_wrap=True)

    def add(self, name: str, parts: Sequence[Part], left_out: Sequence[str]) -> None:
        """Print the tables of a part, and write all that there is."""
        self._parts[name] = parts
        self._left_out += [f"{name}: {job}" for job in left_out]
        for each in (each for part in parts for each in part.tables() if each.row_count):
            self._show(each)
        runs = {name: [part.raw() for part in parts] for name, parts in self._parts.items()}
        found = self._machine | {"load at the end": load(), "left out": self._left_out, "runs": runs}
        (self._folder / "limit.json").write_text(json.dumps(found, indent=1))

    def _show(self, shown: Table) -> None:
        """Print a table under its title, which is as wide as it likes."""
        self._console.print(f"\n{shown.title}", highlight=False, soft_wrap=True)
        shown.title = None
        self._console.print(shown)

    def finish(self) -> None:
        """Print what must be shown and what was left out, and draw the pictures."""
        parts = [part for parts in self._parts.values() for part in parts]
        self._show(bars_table([bar for part in parts for bar in part.bars()]))
        if self._left_out:
            self._console.print("Left out, for want of time:", "; ".join(self._left_out))
        self._console.print(f"load at the end: {load()}", highlight=False)
        self._console.save_text(str(self._folder / "limit.md"))
        for part in parts:
            if isinstance(part, Load) and any(level.windows for level in part.levels):
                draw_load(part, self._folder / "throughput.png")
            if isinstance(part, Growth) and part.by == "N" and any(point.runs for point in part.points):
                draw_growth(part, self._folder / "growth.png")


def _progress(name: str, end: float) -> Callable[[str], None]:
    """Return what says on stderr what is measured next, and how much time is left."""

    def say(what: str) -> None:
        left = max(round(end - time.perf_counter()), 0)
        sys.stderr.write(f"{left // 60:2}:{left % 60:02} left  {name}: {what}\n")

    return say


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    whole = argparse.ArgumentParser(
        prog="python -m tests.bench.limit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    whole.add_argument("--minutes", type=float, default=15.0, help="That it may take, about. Default: 15.")
    whole.add_argument("--most", type=int, default=5, help="Times that anything is measured, at most. Default: 5.")
    whole.add_argument("--parts", type=_names(CHAPTERS), default=[*CHAPTERS], help="Default: all.")
    whole.add_argument("--out", type=Path, default=Path("runs/bench"), help="Folder. Default: runs/bench.")
    whole.add_argument("--n", type=_numbers, default=[16, 64], help="Budgets of efficiency and waste.")
    whole.add_argument("--lock-step-n", type=_numbers, default=[16], help="Budgets beside lock-step.")
    whole.add_argument("--strategies", type=_names(STRATEGIES), default=[*STRATEGIES])
    whole.add_argument("--problems", type=int, default=24, help="Of a run. Default: 24.")
    whole.add_argument("--in-flight", type=int, default=8, help="Problems at a time. Default: 8.")
    whole.add_argument("--policy", type=Path, default=DEMO / "policy", help="Its checkpoint.")
    whole.add_argument("--verifier", type=Path, default=DEMO / "prm", help="Its checkpoint, of the project's format.")
    whole.add_argument("--seeded", nargs=2, choices=SHAPES, default=["small", "medium"], help="Shapes of part long.")
    whole.add_argument(
        "--shares", nargs=2, type=float, default=[0.3, 0.5], help="Of a GPU's memory, of the two models."
    )
    return whole


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _names(allowed: Collection[str]) -> Callable[[str], list[str]]:
    """Return a reader of names, in the order in which they are allowed."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(allowed):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}; allowed: {', '.join(allowed)}")
        return [name for name in allowed if name in names]

    return read


if __name__ == "__main__":
    uvloop.run(main(parser().parse_args()))  # as the service

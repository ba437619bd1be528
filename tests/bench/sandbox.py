"""What a run of a program costs, and what a thousand runs leave.

    python -m tests.bench.sandbox [--runs 1000] [--workers 2]

Needs bubblewrap, no engine. In the event loop that `winnow serve` has, short programs that pass, fail, crash and attack
their sandbox are run one after another, then as many at a time as there are workers; then it looks for processes,
files, mounts, descriptors and memory that were not there before. Exits with 1 if there are any.
"""

import argparse
import asyncio
import os
import resource
import statistics
import sys
import time
from collections.abc import Iterator

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from search.code.sandbox import MIB, Sandbox, SandboxLimits, open_sandbox
from tests.sandboxes import files, mounts, running

PROGRAMS = (
    ("def add(a, b): return a + b", "passed"),
    ("def add(a, b): return a - b", "failed"),
    ("import os\nos._exit(0)", "failed"),
    ("import os\nwhile True: os.fork()", "failed"),
    ("x = []\nwhile True: x.append(bytearray(10_000_000))", "failed"),
    ("open('x', 'w').write('x')\ndef add(a, b): return a + b", "passed"),
)
TESTS = "assert add(1, 2) == 3\nassert add(-1, 1) == 0\n"


async def run(sandbox: Sandbox, number: int) -> float:
    """Run one of the programs; return its seconds.

    Raises:
        SystemExit: It did not come out as it must.
    """
    program, expected = PROGRAMS[number % len(PROGRAMS)]
    trial = await sandbox.run(program, TESTS)
    if trial.outcome.value != expected:
        sys.exit(f"{program!r} {trial.outcome.value}: {trial.detail}")
    return trial.seconds


async def work(sandbox: Sandbox, numbers: Iterator[int]) -> list[float]:
    """Run the next program, and the next, and return their seconds."""
    return [await run(sandbox, number) for number in numbers]


def cpu_of_children() -> float:
    """Return the CPU seconds of all processes that this one has waited for, and of those that they have."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


async def measure(count: int, workers: int) -> list[str]:
    """Measure, print, and return what was left."""
    limits = SandboxLimits(timeout_s=30, memory_bytes=256 * MIB + os.getpid())
    me = psutil.Process()
    table = Table(
        "runs", "at a time", "p50, ms", "p99, ms", "most, ms", "CPU, ms", "runs/s", title=f"{os.cpu_count()} CPUs"
    )
    async with open_sandbox(limits, workers) as sandbox:
        for number in range(len(PROGRAMS)):
            await run(sandbox, number)
        before = mounts(), files(), me.num_fds(), me.children(recursive=True), me.memory_info().rss
        for width, share in ((1, count // 2), (workers, count - count // 2)):
            turns, start = iter(range(share)), time.perf_counter()

            cpu_s = cpu_of_children()
            runs = await asyncio.gather(*(work(sandbox, turns) for _ in range(width)))
            took_s, seconds = time.perf_counter() - start, [each for one in runs for each in one]
            cuts = statistics.quantiles(seconds, n=100, method="inclusive")
            shown = (cuts[49], cuts[98], max(seconds), (cpu_of_children() - cpu_s) / share)
            table.add_row(str(share), str(width), *(f"{1000 * s:.0f}" for s in shown), f"{share / took_s:.1f}")
        Console().print(table)
        after = mounts(), files(), me.num_fds(), me.children(recursive=True), me.memory_info().rss
        names = ("mounts", "files", "descriptors", "children")
        left = [name for name, a, b in zip(names, before, after, strict=False) if a != b]
        left += ["processes"] if running(limits) else []
        Console().print(
            f"left: {', '.join(left) or 'nothing'}; memory grew by {(after[-1] - before[-1]) / MIB:.1f} MiB"
        )
    return left


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    sys.exit(bool(uvloop.run(measure(given.runs, given.workers))))

"""What a gateway's process takes of the CPU for each token, with engines that answer at once.

    python -m tests.bench.gateway_cpu [--trees DIRECTORY ...] [--steps 60,20] [--repeats 5] [--pause-ms 0]

Gateways of all `--trees` (checkouts; this one alone by default) run beside each other with the same packages, and
answer the same problems in turn: ratios are to the first tree, repeat by repeat. Policy and verifier are processes of
their own, whose time does not count, and neither does that of the gateway's children. All trees must find the same
responses.
"""

import argparse
import asyncio
import statistics
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from tests.bench.gateway import ROOT, start, until_ready
from tests.bench.instant import Shape, instant_servers
from tests.server.processes import free_port

STRATEGIES = ("majority", "best_of_n", "weighted_best_of_n", "beam_search", "dvts")
NUM_TOKENS = 400
STORY = "A shop sells pens at 3 dollars and books at 7 dollars each; on Monday it sold 12 pens and 5 books. " * 2
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs.

    Attributes:
        process: Its own.
        client: Of it.
    """

    process: psutil.Process
    client: httpx.AsyncClient

    async def solve(self, problem: str, strategy: str, n: int) -> tuple[int, str]:
        """Search; return the tokens that were generated, and the response."""
        body: dict[str, Any] = {"problem": problem, "strategy": strategy, "n": n, "seed": 7, "max_tokens": NUM_TOKENS}
        reply = await self.client.post("/solve", json=body | {"early_stop": False, "include": []}, timeout=TIMEOUT_S)
        found = reply.raise_for_status().json()
        assert found["status"] == "complete", found
        return found["usage"]["completion_tokens"], found["response"]

    async def measure(self, strategy: str, n: int, num_problems: int, turn: int) -> tuple[float, list[str]]:
        """Solve problems, all at once; return microseconds a token, and the responses."""
        before = self.process.cpu_times()
        problems = [f"{STORY}How much is {turn} + {number}?" for number in range(num_problems)]
        solved = await asyncio.gather(*(self.solve(problem, strategy, n) for problem in problems))
        after = self.process.cpu_times()
        seconds = after.user + after.system - before.user - before.system
        return 1e6 * seconds / sum(tokens for tokens, _ in solved), [response for _, response in solved]


@asynccontextmanager
async def running(tree: Path, policy: str, verifier: str) -> AsyncIterator[Gateway]:
    """Run the gateway of a checkout."""
    with TemporaryDirectory() as directory:
        port = free_port()
        process = await start(port, policy, verifier, tree, "all", Path(directory) / "modules")
        try:
            await until_ready(port, process)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                yield Gateway(psutil.Process(process.pid), client)
        finally:
            process.terminate()
            await process.wait()


async def main(options: argparse.Namespace) -> None:
    """Measure and print."""
    title = f"microseconds of CPU a token, N = {options.n}, {options.problems} at once: median (all)"
    table = Table("strategy", "steps of", *map(str, options.trees), *["ratio"] * (len(options.trees) - 1), title=title)
    for step_tokens in options.steps:
        with instant_servers(Shape(NUM_TOKENS, step_tokens, options.pause_ms / 1000)) as urls:
            async with AsyncExitStack() as stack:
                gateways = [await stack.enter_async_context(running(tree, *urls)) for tree in options.trees]
                for strategy in options.strategies:
                    table.add_row(strategy, str(step_tokens), *await compare(gateways, strategy, options))
    Console(width=120).print(table)


async def compare(gateways: list[Gateway], strategy: str, options: argparse.Namespace) -> list[str]:
    """Return the cells of a row."""
    figures = defaultdict[int, list[float]](list)
    for turn in range(options.repeats + 1):
        responses = set[tuple[str, ...]]()
        for place in sorted(range(len(gateways)), reverse=turn % 2 == 1):
            figure, found = await gateways[place].measure(strategy, options.n, options.problems, turn)
            responses.add(tuple(found))
            figures[place] += [figure] if turn else []  # the first warms up
        assert len(responses) == 1, "trees differ"
    ratios = [[own / base for own, base in zip(figures[place], figures[0], strict=True)] for place in figures]
    return [spread(values, 1) for values in figures.values()] + [spread(values, 2) for values in ratios[1:]]


def spread(values: list[float], digits: int) -> str:
    """Write the median, the least and the most."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", nargs="+", type=Path, default=[ROOT])
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--steps", type=lambda text: [int(each) for each in text.split(",")], default=[60, 20])
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--problems", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pause-ms", type=float, default=0.0)
    asyncio.run(main(parser.parse_args()))

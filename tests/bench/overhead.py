"""What HTTP adds to a search: the wall time of `POST /solve` over that of the same search called in the process.

    python -m tests.bench.overhead [--problems 40] [--repeats 4]

One pair of engines does both, in turn, each problem both ways in both orders; early stopping is off, so that both do
the same work. The client is in the process of the service, and its time counts as the service's.
"""

import argparse
import asyncio
import random
import statistics
import time
from dataclasses import dataclass

import httpx
from rich.console import Console

from models.interfaces import Problem, Sampling
from models.training.demo.tasks.stream import held_out_problems
from search.best_of_n import BestOfN
from search.expander import Models
from search.solve import solve
from search.voting import Selection
from server.app import create_app
from server.composition import open_models
from server.keys import Keyring
from server.settings import Settings
from tests.server.conftest import serving

N, MAX_TOKENS = 16, 2048
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Ways:
    """The two ways to the same search."""

    models: Models
    client: httpx.AsyncClient

    async def called(self, problem: str, seed: int) -> float:
        """Search in the process; return the seconds."""
        start = time.perf_counter()
        strategy = BestOfN(N, Selection.WEIGHTED, early_stop=False)
        await solve(Problem(problem), strategy, self.models, Sampling(0.8, 1.0, MAX_TOKENS, seed))
        return time.perf_counter() - start

    async def asked(self, problem: str, seed: int) -> float:
        """Search over HTTP, with all of the evidence in the reply; return the seconds."""
        start = time.perf_counter()
        request = {"problem": problem, "n": N, "seed": seed, "early_stop": False, "max_tokens": MAX_TOKENS}
        response = await self.client.post("/solve", json=request)
        response.raise_for_status()
        return time.perf_counter() - start


async def main(num_problems: int, repeats: int) -> None:
    """Measure and print."""
    settings = Settings()
    async with open_models(settings) as (models, engines):
        app = create_app(models, engines, settings, Keyring())
        async with serving(app, settings) as client:
            ways = Ways(models, client)
            pairs = []
            for seed, record in enumerate(held_out_problems(7, num_problems)):
                await ways.called(record.problem, seed)  # both find the prefixes of the problem cached
                for repeat in range(repeats):
                    first, second = (ways.called, ways.asked) if repeat % 2 else (ways.asked, ways.called)
                    times = await first(record.problem, seed), await second(record.problem, seed)
                    pairs.append(times if repeat % 2 else times[::-1])
    ratio = sum(asked for _, asked in pairs) / sum(called for called, _ in pairs)
    low, high = _interval(pairs)
    median = statistics.median(asked - called for called, asked in pairs)
    Console(width=120).print(
        f"{len(pairs)} pairs of weighted_best_of_n, N = {N}: /solve over the same search in the process "
        f"{ratio:.3f} (95 %: {low:.3f} to {high:.3f}); median difference {1000 * median:.1f} ms of "
        f"{1000 * statistics.median(called for called, _ in pairs):.0f} ms"
    )


def _interval(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """95 % bootstrap interval of the ratio of sums."""
    rng, ratios = random.Random(0), []
    for _ in range(RESAMPLES):
        drawn = rng.choices(pairs, k=len(pairs))
        ratios.append(sum(asked for _, asked in drawn) / sum(called for called, _ in drawn))
    cuts = statistics.quantiles(ratios, n=40)
    return cuts[0], cuts[-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=4, help="Pairs for each problem, an even number.")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.problems, arguments.repeats))

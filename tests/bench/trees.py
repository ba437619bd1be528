"""Whether the same seeds give the same trees with the project's scheduler and kernels as with vLLM's own.

    python -m tests.bench.trees

The demo pair searches the same problems with the same seeds in engines that differ in one thing each. Both change how
numbers are rounded; a tree shows it where two tokens are all but equally probable.
"""

import argparse
import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from rich.console import Console
from rich.table import Table

from models.interfaces import Sampling
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.dvts import DVTS
from search.expander import Models
from search.solve import solve
from search.strategy import Strategy
from tests.bench.judging import Silent
from tests.bench.kernels import NATIVE
from tests.bench.reread import SCHEDULERS, WHOLE_BLOCKS, Pair, open_pair
from tests.conftest import DEMO
from tests.models.problems import PROBLEMS

ENGINES: Mapping[str, Mapping[str, Any]] = {
    "vLLM's own": NATIVE | SCHEDULERS[WHOLE_BLOCKS],
    "again": NATIVE | SCHEDULERS[WHOLE_BLOCKS],
    "ends in the cache": NATIVE,
    "the norm's kernel": SCHEDULERS[WHOLE_BLOCKS],
    "both": {},
}
STRATEGIES: tuple[Strategy, ...] = (
    BestOfN(16, early_stop=False),
    BeamSearch(16, 4, 40, early_stop=False),
    DVTS(16, 4, 40, early_stop=False),
)

Trees = dict[tuple[int, int, tuple[int, ...]], tuple[int, ...]]
"""Token ids, by strategy, problem and path."""


async def grow(pair: Pair, seed: int) -> Trees:
    """Search every problem by every strategy, one after the other."""
    trees: Trees = {}
    models = Models(pair.policy, pair.verifier, Silent())
    for number, strategy in enumerate(STRATEGIES):
        for index, problem in enumerate(PROBLEMS):
            result = await solve(problem, strategy, models, Sampling(0.8, 1.0, 400, seed + index))
            for candidate in result.candidates:
                ids = tuple(token_id for step in candidate.steps for token_id in step.token_ids)
                trees[number, index, candidate.path] = ids
    return trees


async def main(seed: int) -> None:
    """Compare and print."""
    table = Table("engines", "candidates", "as in the first", title=f"{len(PROBLEMS)} problems, N = 16, seed {seed}")
    first: Trees = {}
    for name, arguments in ENGINES.items():
        async with AsyncExitStack() as stack:
            trees = await grow(await open_pair(stack, (DEMO / "policy", DEMO / "prm"), arguments), seed)
        first = first or trees
        places = first.keys() | trees.keys()
        num_equal = sum(first.get(place) == trees.get(place) for place in places)
        table.add_row(name, str(len(trees)), f"{num_equal} of {len(places)}")
    Console(width=100).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1000)
    asyncio.run(main(parser.parse_args().seed))

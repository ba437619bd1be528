"""What it is worth that beam search's survivors do not wait: problems/s against a search that waits, and lock-step.

    python -m tests.bench.barrier [--n 16] [--in-flight 1] [--problems 6] [--repeats 5] [--spread 0.5] [--lock-step]

The demo pair on its engines. In every repeat the same problems with the same seeds are searched in three ways, in an
order drawn anew, each with empty caches: *waits* as the paper has it, *sure* (survivors that are sure go on) and
*waits again*, which shows the noise. `waste` is the share of all generated and judged tokens that were spent in vain;
`same` counts the problems whose trees and answers are those of the search that waits. The demo's steps are all
about as long; with `--spread` they are cut at lengths of a log-normal distribution of that width, about 20 tokens in
the middle.
"""

import argparse
import asyncio
import itertools
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from models.interfaces import Meter, Problem, Sampling, Step, TokenCount
from models.policy.engine_policy import EnginePolicy
from models.training.demo.tasks.stream import held_out_problems
from search.beam_search import BeamSearch
from search.candidate import Candidate
from search.solve import SearchResult
from tests.bench.limit.lock_step import lock_step
from tests.bench.limit.pair import BEAM_WIDTH, MAX_STEPS, Pair, open_pair
from tests.conftest import DEMO

SEED = 5
STEP_TOKENS = 20


@dataclass(frozen=True, slots=True)
class Waiting(BeamSearch):
    """Beam search whose survivors wait for all candidates of a step."""

    def _survivors(self, room: int, children: Sequence[Candidate], outstanding: int) -> Sequence[Candidate]:
        return ()


@dataclass(frozen=True, slots=True)
class Pass:
    """One way to search all problems.

    Attributes:
        seconds: Wall time.
        waste: Share of the tokens that were spent in vain.
        results: Of the problems, in order.
    """

    seconds: float
    waste: float
    results: list[SearchResult]

    @property
    def trees(self) -> list[list[tuple[object, ...]]]:
        """Of each problem: path, steps and answer of every candidate; batching moves the last bits of scores."""
        return [
            [(each.path, [step.token_ids for step in each.steps], each.answer) for each in result.candidates]
            for result in self.results
        ]


class Uneven(EnginePolicy):
    """A policy whose steps end after numbers of tokens that differ.

    Args:
        policy: It, with steps of its own.
        spread: Standard deviation of the logarithm of the lengths.
    """

    def __init__(self, policy: EnginePolicy, spread: float) -> None:
        super().__init__(policy.engine, policy.prompts)
        self._spread = spread

    async def propose(self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        """Sample a step of a length that follows from the seed."""
        length = round(random.Random(sampling.seed).lognormvariate(math.log(STEP_TOKENS), self._spread))
        return await super().propose(problem, prefix, replace(sampling, steps=TokenCount(max(length, 1))), meter)


async def search_all(pair: Pair, problems: Sequence[Problem], strategy: BeamSearch, in_flight: int, seed: int) -> Pass:
    """Search every problem."""
    run, results, _ = await replace(pair, seeds=itertools.repeat(seed)).search(problems, strategy, in_flight)
    spent = run.completion_tokens + run.verifier_tokens
    return Pass(run.seconds, sum(result.meter.speculative_tokens for result in results) / spent, results)


async def measure(pair: Pair, options: argparse.Namespace) -> Table:
    """Take all ways in turn; medians, with the range."""
    problems = [Problem(record.problem) for record in held_out_problems(SEED, options.problems)]
    sure = BeamSearch(options.n, BEAM_WIDTH, MAX_STEPS, early_stop=False)
    waits = Waiting(options.n, BEAM_WIDTH, MAX_STEPS, early_stop=False)
    ways = {"waits": waits, "sure": sure, "waits again": waits}
    passes: dict[str, list[Pass]] = {name: [] for name in ways}
    lock_steps: list[float] = []
    for repeat in range(1, options.repeats + 1):
        for name in random.Random(repeat).sample(list(ways), len(ways)):
            passes[name].append(await search_all(pair, problems, ways[name], options.in_flight, repeat * 10**6))
        if options.lock_step:
            slow = await lock_step(pair, problems, "beam_search", options.n, options.in_flight)
            lock_steps.append(slow.seconds)
    title = f"N = {options.n}, {options.in_flight} in flight, {options.problems} problems, spread {options.spread}"
    table = Table("search", "s", "of waits' problems/s", "of lock-step's", "waste, %", "same", title=title)
    for name, own in passes.items():
        same = sum(
            tree == other
            for one, waited in zip(own, passes["waits"], strict=True)
            for tree, other in zip(one.trees, waited.trees, strict=True)
        )
        table.add_row(
            name,
            _spread([one.seconds for one in own]),
            _spread([waited.seconds / one.seconds for one, waited in zip(own, passes["waits"], strict=True)]),
            _spread([slow / one.seconds for one, slow in zip(own, lock_steps, strict=False)]),
            _spread([100 * one.waste for one in own]),
            f"{same} of {len(own) * options.problems}",
        )
    return table


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else ""


async def main(options: argparse.Namespace) -> None:
    """Measure and print."""
    async with open_pair(DEMO / "policy", DEMO / "prm") as pair:
        if options.spread:
            pair = replace(pair, policy=Uneven(pair.policy, options.spread))
        Console(width=140).print(await measure(pair, options))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=16, help="The budget.")
    parser.add_argument("--in-flight", type=int, default=1, help="Problems at a time.")
    parser.add_argument("--problems", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--spread", type=float, default=0.0, help="Of the lengths of steps; 0: the demo's own steps.")
    parser.add_argument("--lock-step", action="store_true", help="Run lock-step searches, too.")
    asyncio.run(main(parser.parse_args()))

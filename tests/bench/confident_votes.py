"""What the policy's confidence is worth as a verifier: votes of the same responses by every measure, beside a majority.

    python -m tests.bench.confident_votes [--problems 500] [--n 4 16 64] [--recipe deploy/recipes/demo.yaml]

The largest N of responses is drawn once a problem, with confidences; every strategy then runs on these, as if it drew
them, so that all are paired. The recipe's own verifier judges them, too. Differences are to the majority
of as many, with 95 % intervals over problems. Tokens of `deepconf` are those up to the end of the step that stopped a
response; an engine writes a few more.
"""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.progress import track
from rich.table import Table

from models.interfaces import Meter, Policy, Problem, Sampling, Step, Verifier
from models.policy.engine_policy import EnginePolicy
from models.prm.confidence import ConfidenceVerifier
from models.prm.options import ConfidenceOptions, Measure
from search.answers.pool import AnswerPool
from search.best_of_n import BestOfN
from search.deepconf import DeepConf
from search.evaluation.bootstrap import bootstrap
from search.evaluation.grading import is_right
from search.evaluation.tasks import Task
from search.expander import Models, seed_of
from search.solve import solve
from search.strategy import Strategy
from search.voting import Selection
from server.cli.demo_tasks import demo_tasks
from server.composition import open_models
from server.settings import load_settings

SAMPLING = Sampling(temperature=0.8, top_p=1.0, max_tokens=2048, seed=0, num_logprobs=20)
SHARES = (0.5, 0.1)
WARMUP = 16


@dataclass(frozen=True, slots=True)
class Way:
    """A strategy, by N, and what judges for it."""

    name: str
    build: Callable[[int], Strategy]
    verifier: Verifier | None


class Replay:
    """The policy that writes what was drawn before, by the seed of a response."""

    template_arguments: frozenset[str] = frozenset()

    def __init__(self, policy: Policy, responses: Mapping[int, Sequence[Step]]) -> None:
        self.context = policy.context
        self.thinks = policy.thinks
        self._responses = responses

    def count_prompt_tokens(self, problem: Problem) -> int:
        return 0

    async def propose(self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        raise NotImplementedError

    async def respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        assert sampling.seed is not None
        for step in self._responses[sampling.seed]:
            await asyncio.sleep(0)
            meter.completion_tokens += len(step.token_ids)
            yield step


def ways(policy: EnginePolicy, prm: Verifier | None) -> list[Way]:
    """Return what is compared, the majority first."""
    measures = {each: ConfidenceVerifier(policy, ConfidenceOptions(each)) for each in Measure}
    lowest = measures[Measure.LOWEST_GROUP]
    found = [Way("majority", lambda n: BestOfN(n, Selection.MAJORITY, early_stop=False), None)]
    found += [Way(f"weighted, {each.value}", weighted(1.0), verifier) for each, verifier in measures.items()]
    found += [Way(f"weighted, lowest_group, keep {keep}", weighted(keep), lowest) for keep in SHARES]
    found += [Way(f"deepconf, keep {keep}", deepconf(keep), lowest) for keep in (0.9, *SHARES)]
    return found + ([Way("weighted, the recipe's verifier", weighted(1.0), prm)] if prm is not None else [])


def weighted(keep: float) -> Callable[[int], Strategy]:
    return lambda n: BestOfN(n, early_stop=False, keep=keep)


def deepconf(keep: float) -> Callable[[int], Strategy]:
    return lambda n: DeepConf(n, min(WARMUP, max(n // 4, 4)), keep)


async def drawn(policy: EnginePolicy, problem: Problem, number: int) -> dict[int, list[Step]]:
    """Draw responses, by their seeds."""

    async def draw(seed: int) -> list[Step]:
        async with aclosing(policy.respond(problem, (), replace(SAMPLING, seed=seed), Meter())) as steps:
            return [step async for step in steps]

    seeds = [seed_of(0, (place,)) for place in range(number)]
    return dict(zip(seeds, await asyncio.gather(*map(draw, seeds)), strict=True))


async def outcome(way: Way, n: int, task: Task, replay: Replay, reader: AnswerPool) -> tuple[bool, int]:
    """Return whether its answer is right, and how many tokens it took."""
    result = await solve(Problem(task.problem), way.build(n), Models(replay, way.verifier, reader), SAMPLING)
    answer = result.chosen.answer if result.chosen else None
    is_correct = answer is not None and await is_right(reader, task, answer.text)
    return is_correct, result.meter.completion_tokens


def row(
    name: str, found: Sequence[tuple[bool, int]], majority: Sequence[tuple[bool, int]]
) -> tuple[str, str, str, str]:
    """Show the outcomes of one way, problem by problem, beside those of the majority."""
    differences = [100.0 * (own - other) for (own, _), (other, _) in zip(found, majority, strict=True)]
    mean, low, high = bootstrap(differences)
    accuracy = 100 * fmean(is_correct for is_correct, _ in found)
    return name, f"{accuracy:.1f}", f"{mean:+.1f} ({low:+.1f} to {high:+.1f})", f"{fmean(num for _, num in found):,.0f}"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--n", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--recipe", type=Path)
    options = parser.parse_args()
    console, found = Console(width=110), dict[tuple[str, int], list[tuple[bool, int]]]()
    async with open_models(load_settings(options.recipe)) as (models, _):
        assert isinstance(models.policy, EnginePolicy)
        assert isinstance(models.reader, AnswerPool)
        compared = ways(models.policy, models.verifier)
        for task in track(demo_tasks(0, options.problems), "problems", console=console):
            responses = await drawn(models.policy, Problem(task.problem), max(options.n))
            replay = Replay(models.policy, responses)
            for way in compared:
                for n in options.n:
                    result = await outcome(way, n, task, replay, models.reader)
                    found.setdefault((way.name, n), []).append(result)
    for n in options.n:
        table = Table("", "right, %", "to the majority", "tokens", title=f"N = {n}, {options.problems} problems")
        for way in compared:
            table.add_row(*row(way.name, found[way.name, n], found["majority", n]))
        console.print(table)


if __name__ == "__main__":
    asyncio.run(main())

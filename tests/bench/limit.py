"""What a search costs beside its tokens: engines alone, winnow's searches and lock-step searches on the same engines.

    python -m tests.bench.limit [--policy DIR --verifier DIR] [--n 16,64] [--problems 16] [--in-flight 8] [--repeats 3]

Three things run in turn, on the same problems and the same engines:

- *search*: winnow's strategies, `--in-flight` problems at a time;
- *lock-step*: the same strategies as reference codes run them: `--in-flight` problems advance together, a round waits
  for its last step, and the verifier reads every response from its beginning at every step, without its cache;
- *bare*: the policy's engine alone writes as many sequences of as many tokens, and the verifier's alone reads as many
  whole responses once.

`policy` is the search's tokens/s over those of the bare policy; `both` is the time of the bare policy and the bare
verifier, one after the other, over the search's: the figure to read where they share a GPU. `judged` is verifier tokens
computed for each distinct one; `prompt` is the policy's tokens read, cached ones left out, for each generated one.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table
from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import Meter, Problem, Sampling, Step, Verifier
from models.policy.engine_policy import EnginePolicy, open_policy
from models.prm.formats import open_verifier
from models.prm.winnow import WinnowPRM
from models.training.demo.tasks.stream import held_out_problems
from models.vllm.settings import MIB, EngineSettings
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.dvts import DVTS
from search.expander import Models
from search.solve import solve
from search.strategy import Strategy
from tests.bench.engines import raw
from tests.bench.judging import Counted, InFull, Silent
from tests.conftest import DEMO

BEAM_WIDTH, MAX_STEPS, TEMPERATURE = 4, 40, 0.8
SEED = 5


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over the problems.

    Attributes:
        seconds: Wall time of all.
        completion_tokens: Generated.
        verifier_tokens: Computed by the verifier.
        distinct_tokens: What the verifier must read at the least; 0 where it was not counted.
        read_tokens: Of prompts and prefixes that the policy computed, those found in its cache left out.
    """

    seconds: float
    completion_tokens: int
    verifier_tokens: int
    distinct_tokens: int = 0
    read_tokens: int = 0


@dataclass(slots=True)
class Cell:
    """Runs of one strategy with one budget."""

    strategy: str
    n: int
    num_problems: int
    search: list[Run] = field(default_factory=list)
    lock_step: list[Run] = field(default_factory=list)
    bare_policy: list[Run] = field(default_factory=list)
    bare_verifier: list[Run] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs share.

    Attributes:
        policy, verifier: On their engines.
        prompts: The policy's.
        problems: Searched.
        in_flight: How many at a time.
        max_tokens: Of a response.
        seeds: Another one for every run, so that none finds another's responses in a cache.
    """

    policy: EnginePolicy
    verifier: WinnowPRM
    prompts: PromptBuilder
    problems: Sequence[Problem]
    in_flight: int
    max_tokens: int
    seeds: Iterator[int]

    def sampling(self, seed: int) -> Sampling:
        """How responses are drawn."""
        return Sampling(TEMPERATURE, 1.0, self.max_tokens, seed)

    async def search(self, name: str, n: int) -> Run:
        """Run winnow's search."""
        places, meters, counters = asyncio.Semaphore(self.in_flight), list[Meter](), list[Counted]()

        async def one(seed: int, problem: Problem) -> None:
            async with places:
                counters.append(Counted(self.verifier, self.prompts))
                models = Models(self.policy, counters[-1], Silent())
                result = await solve(problem, strategy(name, n), models, self.sampling(seed))
                meters.append(result.meter)

        read, seed = self._read_tokens(), next(self.seeds)
        seconds = await timed(asyncio.gather(*(one(seed + i, problem) for i, problem in enumerate(self.problems))))
        distinct = sum(counter.num_distinct for counter in counters)
        return Run(seconds, *_spent(meters), distinct, self._read_tokens() - read)

    async def lock_step(self, name: str, n: int) -> Run:
        """Run the same strategy as reference codes do."""
        meter, seed = Meter(), next(self.seeds)

        async def run() -> None:
            for start in range(0, len(self.problems), self.in_flight):
                batch = range(start, min(start + self.in_flight, len(self.problems)))
                await advance(self, name, n, batch, seed, meter)

        return Run(await timed(run()), *_spent([meter]))

    async def bare_policy(self, n: int, num_tokens: int) -> Run:
        """Have the policy's engine alone write `num_tokens` in N sequences a problem."""
        places, length = asyncio.Semaphore(self.in_flight * n), max(num_tokens // (n * len(self.problems)), 1)

        async def write(problem: Problem, seed: int) -> int:
            params = SamplingParams(
                temperature=TEMPERATURE,
                max_tokens=length,
                ignore_eos=True,
                seed=seed,
                detokenize=False,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            async with places, aclosing(raw(self.policy, self.prompts.build(problem), params)) as outputs:
                return sum([len(output.outputs[0].token_ids) async for output in outputs])

        start = time.perf_counter()
        numbers = await asyncio.gather(*(write(problem, seed) for problem in self.problems for seed in range(n)))
        return Run(time.perf_counter() - start, sum(numbers), 0)

    async def bare_verifier(self, n: int, num_tokens: int) -> Run:
        """Have the verifier's engine alone read `num_tokens` in N responses a problem, each once."""
        places, length = asyncio.Semaphore(self.in_flight * n), max(num_tokens // (n * len(self.problems)), 2)

        async def read(index: int, problem: Problem, seed: int) -> int:
            response = [20 + (index * 7919 + seed * 104729 + place * 31) % 500 for place in range(length)]
            async with places:
                ids = [*self.prompts.build(problem), *response]
                await self.verifier.engine.score(ids, [len(ids) - 1])
            return len(ids)

        start = time.perf_counter()
        reads = (read(index, problem, seed) for index, problem in enumerate(self.problems) for seed in range(n))
        return Run(time.perf_counter() - start, 0, sum(await asyncio.gather(*reads)))

    def _read_tokens(self) -> int:
        """Of the policy's engine, so far."""
        samples = [sample for family in self.policy.engine.metrics.collect() for sample in family.samples]
        values = {sample.name: sample.value for sample in samples}
        return int(values["vllm:prefix_cache_queries_total"] - values["vllm:prefix_cache_hits_total"])


async def timed(work: Awaitable[object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


def strategy(name: str, n: int) -> Strategy:
    """The strategy that is measured; without early stopping, so that both sides do all the work."""
    match name:
        case "weighted_best_of_n":
            return BestOfN(n, early_stop=False)
        case "beam_search":
            return BeamSearch(n, BEAM_WIDTH, MAX_STEPS, early_stop=False)
        case "dvts":
            return DVTS(n, BEAM_WIDTH, MAX_STEPS, early_stop=False)
    raise SystemExit(f"--strategies: {name} is not measured; allowed: {', '.join(STRATEGIES)}")


STRATEGIES = ("weighted_best_of_n", "beam_search", "dvts")

Beam = list[Step]
Beams = list[tuple[int, Beam]]
"""Responses under construction, each with the index of its problem."""


async def advance(bench: Bench, name: str, n: int, batch: Iterable[int], seed: int, meter: Meter) -> None:
    """Solve a batch of problems in lock-step."""
    judge = InFull(bench.verifier)
    if name == "weighted_best_of_n":
        responses = await asyncio.gather(
            *(_respond(bench, index, seed + place, meter) for index in batch for place in range(n))
        )
        await _judge_all(bench, judge, responses, meter)
        return
    width = n // BEAM_WIDTH
    beams: Beams = [(index, []) for index in batch for _ in range(width)]
    for depth in range(MAX_STEPS):
        grown = await asyncio.gather(
            *(
                _grow(bench, index, beam, seed + (depth * n + place) * BEAM_WIDTH + child, meter)
                for place, (index, beam) in enumerate(beams)
                for child in range(BEAM_WIDTH)
            )
        )
        scores = await _judge_all(bench, judge, grown, meter)
        beams = _survivors(name, grown, scores, width)
        if not beams:
            return


def _survivors(name: str, grown: Beams, scores: Sequence[float], width: int) -> Beams:
    """The best of each subtree (dvts), or the best of each problem (beam search), as long as they have not ended."""
    ranked = sorted(range(len(grown)), key=lambda place: -scores[place])
    if name == "dvts":
        best = [max(range(at, at + BEAM_WIDTH), key=scores.__getitem__) for at in range(0, len(grown), BEAM_WIDTH)]
    else:
        problems = dict.fromkeys(index for index, _ in grown)
        best = [place for index in problems for place in [p for p in ranked if grown[p][0] == index][:width]]
    return [grown[place] for place in best if grown[place][1][-1].finish.value == "step"]


async def _respond(bench: Bench, index: int, seed: int, meter: Meter) -> tuple[int, Beam]:
    responses = bench.policy.respond(bench.problems[index], (), bench.sampling(index * 100_003 + seed), meter)
    async with aclosing(responses) as steps:
        return index, [step async for step in steps]


async def _grow(bench: Bench, index: int, beam: Beam, seed: int, meter: Meter) -> tuple[int, Beam]:
    sampling = bench.sampling(index * 100_003 + seed)
    return index, [*beam, await bench.policy.propose(bench.problems[index], beam, sampling, meter)]


async def _judge_all(bench: Bench, judge: Verifier, beams: Beams, meter: Meter) -> list[float]:
    """Last step scores, of responses read from their beginnings."""
    judged = (judge.score(bench.problems[index], (), steps, meter) for index, steps in beams)
    return [scores[-1] for scores in await asyncio.gather(*judged)]


def _spent(meters: Sequence[Meter]) -> tuple[int, int]:
    return sum(meter.completion_tokens for meter in meters), sum(meter.verifier_tokens for meter in meters)


async def measure(bench: Bench, cell: Cell, repeats: int, *, with_lock_step: bool) -> None:
    """Take the kinds of run in turn."""
    for _ in range(repeats):
        run = await bench.search(cell.strategy, cell.n)
        cell.search.append(run)
        cell.bare_policy.append(await bench.bare_policy(cell.n, run.completion_tokens))
        cell.bare_verifier.append(await bench.bare_verifier(cell.n, run.distinct_tokens))
        if with_lock_step:
            cell.lock_step.append(await bench.lock_step(cell.strategy, cell.n))


def report(cells: Sequence[Cell], title: str) -> Table:
    """A row for each cell: medians, with the range where there are several runs."""
    heads = ("strategy", "N", "problems/s", "tokens/s", "bare tokens/s", "policy", "both", "judged", "prompt")
    table = Table(*heads, "lock-step judged", "of lock-step's problems/s", title=title)
    for cell in cells:
        pairs = list(zip(cell.search, cell.bare_policy, cell.bare_verifier, strict=True))
        slow_pairs = list(zip(cell.search, cell.lock_step, strict=False))
        table.add_row(
            cell.strategy,
            str(cell.n),
            _spread([cell.num_problems / run.seconds for run in cell.search]),
            _spread([speed(run) for run in cell.search], 0),
            _spread([speed(run) for run in cell.bare_policy], 0),
            _spread([speed(run) / speed(bare) for run, bare, _ in pairs]),
            _spread([(bare.seconds + judge.seconds) / run.seconds for run, bare, judge in pairs]),
            _spread([run.verifier_tokens / run.distinct_tokens for run in cell.search]),
            _spread([run.read_tokens / run.completion_tokens for run in cell.search]),
            _spread(
                [
                    slow.verifier_tokens / run.distinct_tokens
                    for run, slow in zip(cell.search, cell.lock_step, strict=False)
                ]
            ),
            _spread([slow.seconds / run.seconds for run, slow in slow_pairs]),
        )
    return table


def speed(run: Run) -> float:
    """Generated tokens a second."""
    return run.completion_tokens / run.seconds


def _spread(values: Sequence[float], digits: int = 2) -> str:
    if not values:
        return ""
    middle = f"{statistics.median(values):,.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


async def main(options: argparse.Namespace) -> None:
    """Measure and print."""
    prompts = PromptBuilder(ChatTokenizer(options.policy))
    policy_settings = EngineSettings(
        options.policy, "policy", kv_cache_bytes=1024 * MIB, gpu_memory_share=options.policy_share
    )
    verifier_settings = EngineSettings(
        options.verifier, "verifier", kv_cache_bytes=2048 * MIB, gpu_memory_share=options.verifier_share
    )
    problems = [Problem(record.problem) for record in held_out_problems(SEED, options.problems)]
    cells = [Cell(name, n, options.problems) for n in options.n for name in options.strategies]
    console = Console(width=200)
    async with (
        open_policy(policy_settings, prompts) as policy,
        open_verifier("winnow", verifier_settings, prompts) as verifier,
    ):
        assert isinstance(verifier, WinnowPRM)
        seeds = itertools.count(0, 10**6)
        bench = Bench(policy, verifier, prompts, problems, options.in_flight, options.max_tokens, seeds)
        await bench.search("weighted_best_of_n", 4)  # what starts late has started
        end = time.perf_counter() + options.seconds
        for cell in cells:
            if time.perf_counter() < end:
                await measure(bench, cell, options.repeats, with_lock_step=cell.n <= options.lock_step_n)
                console.print(report([cell], ""))
                if options.out:
                    options.out.write_text(json.dumps([asdict(cell) for cell in cells], indent=1))
    title = f"{len(problems)} problems, {options.in_flight} at a time, M = {BEAM_WIDTH}"
    console.print(report([cell for cell in cells if cell.search], title))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", type=Path, default=DEMO / "policy", help="Its checkpoint.")
    parser.add_argument("--verifier", type=Path, default=DEMO / "prm", help="Its checkpoint, of the project's format.")
    parser.add_argument("--policy-share", type=float, default=0.3, help="Of a GPU's memory.")
    parser.add_argument("--verifier-share", type=float, default=0.5, help="Of a GPU's memory.")
    parser.add_argument("--n", type=lambda text: [int(n) for n in text.split(",")], default=[16, 64], help="Budgets.")
    parser.add_argument("--strategies", type=lambda text: text.split(","), default=STRATEGIES)
    parser.add_argument("--problems", type=int, default=16)
    parser.add_argument("--in-flight", type=int, default=8, help="Problems at a time.")
    parser.add_argument("--max-tokens", type=int, default=1000, help="Of a response.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--lock-step-n", type=int, default=64, help="The largest budget tried in lock-step.")
    parser.add_argument("--seconds", type=float, default=3600.0, help="No cell begins later.")
    parser.add_argument("--out", type=Path, help="File for the runs, as JSON.")
    arguments = parser.parse_args()
    asyncio.run(main(arguments))

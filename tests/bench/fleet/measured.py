"""The demo pair on this machine: what its engines and its gateway take, and how it answers and how fast.

Costs are CPU times of processes, which hardly depend on what else the machine does. The simulated engine says in how
many iterations a real one does a trial, and least squares say what an iteration, a sequence in it, a token, and a token
attended to take. The verifier is timed while the policy writes, as in searches: alone it would find everything in the
caches of its core.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import numpy as np
import psutil
from scipy.optimize import nnls  # type: ignore[import-untyped]  # scipy has no types
from vllm.inputs import tokens_input

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.generation import Generation
from models.interfaces import Finish, Problem, Sampling
from models.policy.engine_policy import EnginePolicy, open_policy
from models.prm.formats import open_verifier
from models.prm.winnow import WinnowPRM
from models.training.demo.tasks.stream import held_out_problems
from models.vllm.engine import Engine
from models.vllm.launch import PIECE_TOKENS, STEP_TOKENS
from models.vllm.requests import sampling_params
from models.vllm.settings import EngineSettings
from models.vllm.watch import activity
from search.answers.pool import AnswerPool
from search.expander import Models, cancel_all
from search.solve import SearchResult, solve
from search.strategies import strategies
from search.strategy import Strategy
from tests.bench.fleet import engine as simulated
from tests.bench.fleet.clock import simulate
from tests.bench.fleet.engine import Counts, EngineCosts
from tests.bench.fleet.fleet import GatewayCosts
from tests.bench.fleet.law import Record, Response
from tests.conftest import DEMO

SAMPLING = Sampling(temperature=0.8, top_p=1.0, max_tokens=512)
UNIT = EngineCosts(1.0, 0.0, 0.0, block=1, max_sequences=512, max_batched_tokens=STEP_TOKENS, max_piece=PIECE_TOKENS)
"""An engine of the demo pair, whose iterations take a second; it finds in its cache where requests ended."""
GENERATING = (
    (1, 10, 128),
    (8, 10, 128),
    (32, 10, 96),
    (96, 10, 64),
    (8, 300, 64),
    (32, 200, 64),
    (96, 100, 64),
    (8, 400, 1),
    (32, 200, 1),
    (96, 100, 1),
)
JUDGING = ((1, 60, 0), (4, 60, 0), (16, 60, 0), (64, 60, 0), (8, 300, 0), (32, 200, 0))
"""Trials: requests at a time, tokens that each reads, tokens that each generates."""
NUM_WRITING = 8
"""Sequences that the policy writes while the verifier is timed."""
TRIAL_S = 0.6
"""CPU time that a trial is repeated for: clocks of processes go in hundredths of a second."""

Trial = tuple[int, int, int]
Timings = Mapping[Trial, float]
"""CPU seconds that each trial takes."""


@dataclass(frozen=True, slots=True)
class Run:
    """Searches that were really made.

    Attributes:
        throughput: Searches a second.
        latency_s: Mean time of a search.
        own_cpu_s: CPU time of the service's own process, and of those that read answers.
        others: Cores that the rest of the machine took meanwhile.
        results: Of the searches.
    """

    throughput: float
    latency_s: float
    own_cpu_s: float
    others: float
    results: tuple[SearchResult, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """The demo pair, running.

    Attributes:
        policy, verifier, models: As searches use them.
        pids: Of the engines, by model, and of what reads answers.
    """

    policy: EnginePolicy
    verifier: WinnowPRM
    models: Models
    pids: dict[str, list[int]]

    async def timings(self) -> tuple[Timings, Timings]:
        """Time the trials of policy and verifier."""
        numbers = itertools.count(20)

        def prompt(size: int) -> list[int]:
            """No other begins like it."""
            number = next(numbers)
            return [
                20 + number % 400,
                20 + number // 400 % 400,
                *[30 + (number * 7 + place) % 400 for place in range(size - 2)],
            ]

        async def generate(size: int, num_new: int) -> None:
            assert isinstance(self.policy.engine, Engine)
            params = sampling_params(Generation(num_new, SAMPLING.temperature), in_pieces=True)
            params.ignore_eos = True
            outputs = self.policy.engine.llm.generate(tokens_input(prompt(size)), params, f"trial {next(numbers)}")
            async for _ in outputs:
                pass

        async def judge(size: int, num_new: int) -> None:
            await self.verifier.engine.score(prompt(size), [size - 1])

        async def keep_writing() -> None:
            while True:
                await generate(60, 128)

        generating = await self._timed("policy", GENERATING, generate)
        writing = [asyncio.create_task(keep_writing()) for _ in range(NUM_WRITING)]
        try:
            return generating, await self._timed("verifier", JUDGING, judge)
        finally:
            await cancel_all(writing)

    async def _timed(
        self, model: str, trials: Sequence[Trial], request: Callable[[int, int], Awaitable[None]]
    ) -> Timings:
        timings = {}
        for number, size, num_new in trials:
            start, repeats = activity(self.pids[model]).cpu_s, 0
            while (taken := activity(self.pids[model]).cpu_s - start) < TRIAL_S:
                await asyncio.gather(*(request(size, num_new) for _ in range(number)))
                repeats += 1
            timings[number, size, num_new] = taken / repeats
        return timings

    async def records(self, problems: Sequence[str], number: int) -> tuple[Record, ...]:
        """Draw responses to problems."""
        strategy = strategies()["weighted_best_of_n"].build(number, early_stop=False)
        records = []
        for text in problems:
            problem = Problem(text)
            result = await solve(problem, strategy, self.models, SAMPLING)
            responses = tuple(
                Response(
                    tuple(step.text for step in each.steps),
                    tuple(len(step.token_ids) for step in each.steps),
                    tuple(score or 0.0 for score in each.step_scores),
                    each.answer.key if each.answer else None,
                )
                for each in result.final_candidates
                if each.finish is Finish.END
            )
            records.append(Record(text, self.policy.count_prompt_tokens(problem), responses))
        return tuple(records)

    async def run(self, strategy: Strategy, problems: Sequence[str], in_flight: int) -> Run:
        """Search, so many problems at a time, with empty prefix caches."""
        for model in (self.policy, self.verifier):
            assert isinstance(model.engine, Engine)
            await model.engine.forget()
        waiting, spans, results = iter(problems), [], []
        before, idle, start = self._own_cpu_s(), psutil.cpu_times(), time.perf_counter()
        mine = self._own_cpu_s() + self._engines_cpu_s()

        async def keep_asking() -> None:
            for text in waiting:
                began = time.perf_counter()
                results.append(await solve(Problem(text), strategy, self.models, SAMPLING))
                spans.append(time.perf_counter() - began)

        await asyncio.gather(*(keep_asking() for _ in range(in_flight)))
        seconds = time.perf_counter() - start
        busy = _busy_s(psutil.cpu_times()) - _busy_s(idle)
        mine = self._own_cpu_s() + self._engines_cpu_s() - mine
        return Run(
            len(spans) / seconds,
            sum(spans) / len(spans),
            self._own_cpu_s() - before,
            max(busy - mine, 0) / seconds,
            tuple(results),
        )

    async def gateway(self, problems: Sequence[str]) -> GatewayCosts:
        """Measure what the service's own process takes, for a token and for a request to an engine."""
        rows, seconds = [], []
        for name in ("weighted_best_of_n", "dvts", "beam_search"):
            run = await self.run(strategies()[name].build(8, early_stop=False), problems, 2)
            num_tokens = sum(result.meter.completion_tokens for result in run.results)
            if strategies()[name].grows_by_steps:
                num_requests = 2 * sum(len(result.candidates) for result in run.results)
            else:
                num_requests = 2 * sum(len(result.final_candidates) for result in run.results)
            rows.append([num_tokens / run.own_cpu_s, num_requests / run.own_cpu_s])
            seconds.append(1.0)
        (token_s, request_s), _ = nnls(np.array(rows), np.array(seconds))
        return GatewayCosts(token_s, request_s)

    def _own_cpu_s(self) -> float:
        own = psutil.Process().cpu_times()
        return own.user + own.system + activity(self.pids["answers"]).cpu_s

    def _engines_cpu_s(self) -> float:
        return activity([*self.pids["policy"], *self.pids["verifier"]]).cpu_s


def fitted(timings: Timings) -> EngineCosts:
    """Return the costs that explain timings best, each trial counted for the same, whatever it takes."""
    rows = []
    for trial, seconds in timings.items():
        counts = counts_of(trial)
        num_computed = counts.num_read + counts.num_generated
        features = counts.num_iterations, counts.num_sequences, num_computed, counts.num_context
        rows.append([feature / seconds for feature in features])
    (base_s, sequence_s, token_s, attention_s), _ = nnls(np.array(rows), np.ones(len(rows)))
    return replace(UNIT, base_s=base_s, sequence_s=sequence_s, token_s=token_s, attention_s=attention_s)


def counts_of(trial: Trial) -> Counts:
    """Return what the simulated engine counts of a trial."""

    async def work() -> Counts:
        engine = simulated.Engine(UNIT)
        number, size, num_new = trial
        await asyncio.gather(*(engine.run([(f"{place}", size)], num_new, f"{place}+") for place in range(number)))
        return engine.counts

    return simulate(work())


@asynccontextmanager
async def running_pair() -> AsyncIterator[Pair]:
    """Run the demo pair while the context lasts."""
    prompts = PromptBuilder(ChatTokenizer(DEMO / "policy"))
    pids: dict[str, list[int]] = {}
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(AnswerPool(1, 5.0))
        pids["answers"] = _children()
        policy = await stack.enter_async_context(open_policy(EngineSettings(DEMO / "policy", "policy"), prompts))
        pids["policy"] = _children(pids)
        opening = open_verifier("winnow", EngineSettings(DEMO / "prm", "verifier"), prompts)
        verifier = await stack.enter_async_context(opening)
        pids["verifier"] = _children(pids)
        assert isinstance(verifier, WinnowPRM)
        yield Pair(policy, verifier, Models(policy, verifier, reader), pids)


def demo_problems(number: int) -> list[str]:
    """Return problems that the demo policy was not trained on."""
    return [record.problem for record in held_out_problems(7, number)]


def _children(known: dict[str, list[int]] | None = None) -> list[int]:
    old = {pid for pids in (known or {}).values() for pid in pids}
    return [process.pid for process in psutil.Process().children() if process.pid not in old]


def _busy_s(times: object) -> float:
    return float(sum(times) - times.idle - times.iowait)  # type: ignore[call-overload,attr-defined]

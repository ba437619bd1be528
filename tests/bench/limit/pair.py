"""Policy and verifier on engines of their own, and searches over them as a service runs them."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import PARAGRAPHS, Meter, Problem, Sampling, StepRule
from models.policy.engine_policy import EnginePolicy, open_policy
from models.prm.formats import open_verifier
from models.prm.winnow import WinnowPRM
from models.vllm.engine import Engine
from models.vllm.settings import MIB, EngineSettings
from search.answers.answer import AnswerReader
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.dvts import DVTS
from search.expander import Models
from search.observer import Observer, Silence
from search.solve import SearchResult, solve
from search.strategy import Strategy
from server.memory import collect_rarely
from tests.bench.judging import Silent
from tests.bench.limit.work import Work, num_distinct, work_of

STRATEGIES = ("weighted_best_of_n", "beam_search", "dvts")
BEAM_WIDTH, MAX_STEPS, TEMPERATURE = 4, 40, 0.8


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over problems.

    Attributes:
        seconds: Wall time of all.
        num_problems: Searched.
        completion_tokens: Generated.
        verifier_tokens: Computed by the verifier.
        distinct_tokens: What the verifier must read at the least.
        policy_tokens: Computed by the policy, of prompts and prefixes and while it generated.
        distinct_policy_tokens: What it must compute at the least.
        prompt_tokens: Of prompts and prefixes that the policy computed, those found in its cache left out.
        num_steps: Of the trees.
        cpu_s: CPU time of the process that searches; engines have processes of their own.
    """

    seconds: float
    num_problems: int
    completion_tokens: int = 0
    verifier_tokens: int = 0
    distinct_tokens: int = 0
    policy_tokens: int = 0
    distinct_policy_tokens: int = 0
    prompt_tokens: int = 0
    num_steps: int = 0
    cpu_s: float = 0.0

    @property
    def problems_a_second(self) -> float:
        """How many were solved in a second."""
        return self.num_problems / self.seconds

    @property
    def tokens_a_second(self) -> float:
        """How many were generated in a second."""
        return self.completion_tokens / self.seconds


@dataclass(frozen=True, slots=True)
class Pair:
    """What searches run on.

    Attributes:
        policy, verifier: On their engines.
        prompts: The policy's.
        sampling: How responses are drawn, but for the seed.
        seeds: Another one for every run.
    """

    policy: EnginePolicy
    verifier: WinnowPRM
    prompts: PromptBuilder
    sampling: Sampling
    seeds: Iterator[int] = field(default_factory=lambda: itertools.count(0, 10**6))

    def drawn(self, seed: int, max_tokens: int | None = None, steps: StepRule | None = None) -> Sampling:
        """Sampling with a seed, and with another length or other steps."""
        own = self.sampling
        return Sampling(own.temperature, own.top_p, max_tokens or own.max_tokens, seed, steps or own.steps)

    async def forget(self) -> None:
        """Empty both prefix caches, so that no run finds what another one computed."""
        for engine in (self.policy.engine, self.verifier.engine):
            assert isinstance(engine, Engine)
            await engine.forget()

    async def search(
        self,
        problems: Sequence[Problem],
        strategy: Strategy,
        in_flight: int,
        *,
        reader: AnswerReader | None = None,
        max_tokens: int | None = None,
        steps: StepRule | None = None,
        watch: Callable[[Meter], Observer] = lambda meter: Silence(),
    ) -> tuple[Run, list[SearchResult], list[Work]]:
        """Search, `in_flight` problems at a time, on empty caches.

        Args:
            problems: What is searched for.
            strategy: How.
            in_flight: Problems at a time.
            reader: Of answers; None reads none.
            max_tokens: Of a response; None: as the pair has it.
            steps: Where they end; None: as the pair has it.
            watch: Makes the observer of a search that counts on a meter.
        """
        await self.forget()
        places, models, seed = (
            asyncio.Semaphore(in_flight),
            Models(self.policy, self.verifier, reader or Silent()),
            next(self.seeds),
        )

        async def one(index: int, problem: Problem) -> SearchResult:
            async with places:
                meter, sampling = Meter(), self.drawn(seed + index, max_tokens, steps)
                return await solve(problem, strategy, models, sampling, observer=watch(meter), meter=meter)

        read, cpu, start = self._prompt_tokens(), time.process_time(), time.perf_counter()
        results = await asyncio.gather(*itertools.starmap(one, enumerate(problems)))
        seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu
        works = [
            work_of(self.prompts.build(each), result.candidates) for each, result in zip(problems, results, strict=True)
        ]
        return self._run(seconds, cpu_s, self._prompt_tokens() - read, results, works), results, works

    def _run(
        self, seconds: float, cpu_s: float, prompt_tokens: int, results: Sequence[SearchResult], works: Sequence[Work]
    ) -> Run:
        generated, num_requests = sum(r.meter.completion_tokens for r in results), sum(w.num_requests for w in works)
        return Run(
            seconds,
            len(works),
            generated,
            sum(result.meter.verifier_tokens for result in results),
            num_distinct([*work.prompt, *response] for work in works for response in work.responses),
            prompt_tokens + generated - num_requests,  # the last token of a request is sampled, and not computed by it
            num_distinct(work.prompt for work in works) + sum(work.num_tokens - work.num_leaves for work in works),
            prompt_tokens,
            sum(work.num_steps for work in works),
            cpu_s,
        )

    def _prompt_tokens(self) -> int:
        """Of the policy's engine, so far, without those found in its cache."""
        samples = [sample for family in self.policy.engine.metrics.collect() for sample in family.samples]
        values = {sample.name: sample.value for sample in samples}
        return int(values["vllm:prefix_cache_queries_total"] - values["vllm:prefix_cache_hits_total"])


def strategy(name: str, n: int, width: int = BEAM_WIDTH) -> Strategy:
    """The strategy that is measured; without early stopping, so that all of its work is done."""
    match name:
        case "weighted_best_of_n":
            return BestOfN(n, early_stop=False)
        case "beam_search":
            return BeamSearch(n, width, MAX_STEPS, early_stop=False)
        case _:
            return DVTS(n, width, MAX_STEPS, early_stop=False)


@asynccontextmanager
async def open_pair(
    policy: Path,
    verifier: Path,
    *,
    shares: tuple[float, float] = (0.3, 0.5),
    max_tokens: int = 1000,
    steps: StepRule = PARAGRAPHS,
) -> AsyncIterator[Pair]:
    """Run two engines while the context lasts.

    Args:
        policy: Its checkpoint.
        verifier: Its checkpoint, of the project's format.
        shares: Of a GPU's memory.
        max_tokens: Of a response.
        steps: Where steps end.
    """
    prompts = PromptBuilder(ChatTokenizer(policy))
    policy_settings = EngineSettings(policy, "policy", kv_cache_bytes=1024 * MIB, gpu_memory_share=shares[0])
    verifier_settings = EngineSettings(verifier, "verifier", kv_cache_bytes=2048 * MIB, gpu_memory_share=shares[1])
    async with (
        open_policy(policy_settings, prompts) as writer,
        open_verifier("winnow", verifier_settings, prompts) as judge,
    ):
        assert isinstance(judge, WinnowPRM)
        pair = Pair(writer, judge, prompts, Sampling(TEMPERATURE, 1.0, max_tokens, None, steps))
        await pair.search([Problem("1 + 1")], strategy("weighted_best_of_n", 4), 1)  # what starts late has started
        collect_rarely()  # as the service
        yield pair

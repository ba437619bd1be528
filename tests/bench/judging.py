"""What incremental judging saves in beam search: verifier tokens against distinct ones, time against judging in full.

    python -m tests.bench.judging [--repeats 3]

The verifier is a seeded reward model of 24 M parameters on the real engine; the policy writes random steps at once, so
that all the time is the verifier's. The tokens have a floor: the engine finds a prefix in its cache by whole blocks (32
tokens on a CPU, 16 on a GPU), so half a block on the average is computed again for every step.
"""

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import torch
from rich.console import Console
from rich.table import Table
from transformers import LlamaConfig

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import Finish, Meter, Problem, Sampling, Step, Verifier
from models.prm.formats import open_verifier
from models.prm.reward_model import RewardModel, save_reward_model
from models.prm.winnow import WinnowPRM
from models.vllm.launch import block_size
from models.vllm.settings import MIB, EngineSettings
from search.answers.answer import Answer
from search.beam_search import BeamSearch
from search.expander import Models
from search.solve import solve
from tests.conftest import DEMO
from tests.models.problems import PROBLEM

N, BEAM_WIDTH, BLOCK = 16, 4, block_size()
SHAPES = ((20, 20), (30, 40), (40, 50))
"""Steps of a response, and tokens of a step on the average: 400, 1,200 and 2,000 tokens."""


@dataclass(frozen=True, slots=True)
class RandomPolicy:
    """Writes steps of random tokens, between half and one and a half times `step_tokens` long."""

    num_steps: int
    step_tokens: int
    vocabulary: int
    thinks: ClassVar[bool] = False
    template_arguments: ClassVar[frozenset[str]] = frozenset()

    @property
    def context(self) -> int:
        """Longest prompt and response; not needed here."""
        return 1024

    def count_prompt_tokens(self, problem: Problem) -> int:
        """Tokens of the problem; not needed here."""
        return len(problem.text)

    async def propose(self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        """Write the next step: another one for every seed."""
        dice = random.Random(f"{sampling.seed} {len(prefix)}")
        length = dice.randint(self.step_tokens // 2, 3 * self.step_tokens // 2)
        token_ids = tuple(dice.randrange(10, self.vocabulary) for _ in range(length))
        finish = Finish.END if len(prefix) + 1 == self.num_steps else Finish.STEP
        return Step("step\n\n", token_ids, finish)

    async def respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        """Write all steps that are left."""
        steps = list(prefix)
        while not steps or steps[-1].finish is Finish.STEP:
            steps.append(await self.propose(problem, steps, sampling, meter))
            yield steps[-1]


class Silent:
    """Finds no answer in any response."""

    async def read(self, response: str) -> Answer | None:
        """Return none."""
        return None


class Counted:
    """A verifier that remembers which tokens, each behind its whole prefix, it was asked about."""

    def __init__(self, verifier: Verifier, prompts: PromptBuilder) -> None:
        self._verifier = verifier
        self._prompts = prompts
        self._pieces: set[tuple[int, ...]] = set()
        self._num_prompt_tokens = 0
        self.num_distinct = 0

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        """Judge, and count what is new."""
        prompt = self._prompts.build(problem)
        read: tuple[int, ...] = ()
        for step in (*prefix, *steps):
            read += step.token_ids
            if read not in self._pieces:
                self._pieces.add(read)
                self.num_distinct += len(step.token_ids)
        if not self._num_prompt_tokens:
            self._num_prompt_tokens = len(prompt)
            self.num_distinct += len(prompt)
        return await self._verifier.score(problem, prefix, steps, meter)


class InFull:
    """A verifier that computes the whole response at every step, as the reference codes do."""

    def __init__(self, verifier: WinnowPRM) -> None:
        self._verifier = verifier

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        """Judge without the engine's cache."""
        layout = self._verifier.lay_out(problem, (*prefix, *steps))
        ends = layout.ends[len(prefix) :]
        output = await self._verifier.engine.score(layout.token_ids, ends, read_cache=False)
        meter.verifier_tokens += len(layout.token_ids)
        return tuple(output.scores[end] for end in ends)


def save_mid_size_model(directory: Path) -> Path:
    """Write a seeded reward model of 24 M parameters that reads the demo's tokens."""
    tokenizer = ChatTokenizer(DEMO / "policy")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer.vocabulary),
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=None,
    )
    config.scorer_hidden = 128
    save_reward_model(RewardModel(config), directory)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (directory / name).write_bytes((DEMO / "policy" / name).read_bytes())
    return directory


async def run(verifier: Verifier, policy: RandomPolicy, seed: int) -> tuple[float, Meter]:
    """Search once; return the seconds it took and what it cost."""
    models = Models(policy, verifier, Silent())
    start = time.perf_counter()
    result = await solve(Problem(PROBLEM.text), BeamSearch(N, BEAM_WIDTH), models, Sampling(0.8, 1.0, 4096, seed))
    return time.perf_counter() - start, result.meter


async def main(repeats: int, shapes: Sequence[tuple[int, int]]) -> None:
    """Measure and print."""
    table = Table("a response", "computed / distinct", "floor", "read in full / distinct", "time / time in full")
    table.title = f"beam search, N = {N}, M = {BEAM_WIDTH}; medians of {repeats}, with their spread"
    prompts = PromptBuilder(ChatTokenizer(DEMO / "policy"))
    with TemporaryDirectory() as directory:
        settings = EngineSettings(save_mid_size_model(Path(directory)), "verifier", kv_cache_bytes=2048 * MIB)
        async with open_verifier("winnow", settings, prompts) as verifier:
            assert isinstance(verifier, WinnowPRM)
            for num_steps, step_tokens in shapes:
                policy = RandomPolicy(num_steps, step_tokens, len(prompts.tokenizer.vocabulary))
                ratios, computed, full = [], [], []
                for seed in range(repeats):
                    counted = Counted(verifier, prompts)
                    seconds, meter = await run(counted, policy, seed)
                    seconds_in_full, meter_in_full = await run(InFull(verifier), policy, seed)
                    ratios.append(seconds / seconds_in_full)
                    computed.append(meter.verifier_tokens / counted.num_distinct)
                    full.append(meter_in_full.verifier_tokens / counted.num_distinct)
                table.add_row(
                    f"{num_steps} steps of {step_tokens} tokens",
                    spread(computed),
                    f"{1 + (BLOCK - 1) / 2 / step_tokens:.2f}",
                    spread(full),
                    spread(ratios),
                )
    Console(width=120).print(table)


def spread(values: list[float]) -> str:
    """Write the median and the range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="Searches of each kind.")
    parser.add_argument(
        "--shapes", type=int, default=len(SHAPES), help="How many of the lengths, the short ones first."
    )
    arguments = parser.parse_args()
    asyncio.run(main(arguments.repeats, SHAPES[: arguments.shapes]))

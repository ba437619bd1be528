"""Tokens that a search's engines read twice, and what the end of a request in the prefix cache saves of them.

    python -m tests.bench.reread [--sizes demo,mid] [--step-tokens 20,40] [--block-size 32] [--dtype float32]

Policy and verifier are seeded models with random weights, whose steps have a set length and whose responses, drawn with
another seed each time, never repeat: no run finds what another one has left in a cache. Two pairs of engines take the
same searches in turn, one with vLLM's own scheduler, which knows whole blocks, and one with the project's.

`judged` is the verifier's tokens computed for each distinct one, `read` the policy's: prompts, prefixes, and generated
tokens but the last of each request, which nothing computes unless a request goes on behind it. `time` is the seconds of
a run over those with whole blocks, `same tree` the share of candidates that have the same tokens as there; for whole
blocks themselves, as in another run with an empty cache.
"""

import argparse
import asyncio
import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import torch
from rich.console import Console
from rich.table import Table
from transformers import LlamaConfig, LlamaForCausalLM

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import Meter, Sampling, TokenCount
from models.policy.engine_policy import EnginePolicy, open_policy
from models.prm.formats import open_verifier
from models.prm.reward_model import RewardModel, save_reward_model
from models.prm.winnow import WinnowPRM
from models.vllm.engine import Engine
from models.vllm.settings import MIB, Dtype, EngineSettings
from search.expander import Models
from search.solve import solve
from tests.bench.judging import Counted, Silent
from tests.bench.limit.pair import strategy
from tests.conftest import DEMO
from tests.models.problems import PROBLEMS

SHAPES = {"demo": (192, 512, 4), "mid": (512, 1408, 8)}
"""Width, width of the MLP, and layers: 2 M parameters, as the demo pair, and 24 M."""
WHOLE_BLOCKS, ENDS_TOO = "whole blocks", "ends, too"
SCHEDULERS: Mapping[str, dict[str, Any]] = {
    WHOLE_BLOCKS: {"scheduler_cls": "vllm.v1.core.sched.scheduler.Scheduler"},
    ENDS_TOO: {},
}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")

Tree = Mapping[tuple[int, tuple[int, ...]], tuple[int, ...]]
"""Token ids, by problem and path."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A policy and a verifier, each on an engine."""

    policy: EnginePolicy
    verifier: WinnowPRM
    prompts: PromptBuilder

    def num_computed(self) -> int:
        """Tokens that the policy's engine has computed so far."""
        values = defaultdict[str, float](float)
        for family in self.policy.engine.metrics.collect():
            for sample in family.samples:
                values[sample.name] += sample.value
        num_read = values["vllm:prefix_cache_queries_total"] - values["vllm:prefix_cache_hits_total"]
        return int(num_read + values["vllm:generation_tokens_total"] - values["vllm:request_success_total"])


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over the problems."""

    seconds: float
    judged: float
    read: float
    tree: Tree


async def run(pair: Pair, name: str, n: int, sampling: Sampling, in_flight: int) -> Run:
    """Search every problem."""
    places, tree, meters, counters = asyncio.Semaphore(in_flight), {}, list[Meter](), list[Counted]()
    prompts = sum(len(pair.prompts.build(problem)) for problem in PROBLEMS)

    async def one(index: int) -> None:
        async with places:
            counters.append(Counted(pair.verifier, pair.prompts))
            models = Models(pair.policy, counters[-1], Silent())
            result = await solve(PROBLEMS[index], strategy(name, n), models, sampling)
            meters.append(result.meter)
        for candidate in result.candidates:
            ids = tuple(token_id for step in candidate.steps for token_id in step.token_ids)
            tree[index, candidate.path] = ids

    num_computed, start = pair.num_computed(), time.perf_counter()
    await asyncio.gather(*map(one, range(len(PROBLEMS))))
    seconds, num_computed = time.perf_counter() - start, pair.num_computed() - num_computed
    generated = sum(meter.completion_tokens for meter in meters)
    judged = sum(meter.verifier_tokens for meter in meters) / sum(counter.num_distinct for counter in counters)
    return Run(seconds, judged, num_computed / (prompts + generated), tree)


async def forget(pair: Pair) -> None:
    """Empty the caches."""
    for engine in (pair.policy.engine, pair.verifier.engine):
        assert isinstance(engine, Engine)
        await engine.forget()


def save_models(directory: Path, shape: tuple[int, int, int]) -> tuple[Path, Path]:
    """Write a policy and a verifier with random weights that read the demo's tokens."""
    width, inner, layers = shape
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(ChatTokenizer(DEMO / "policy").vocabulary),
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
    )
    policy, verifier = directory / "policy", directory / "verifier"
    LlamaForCausalLM(config).bfloat16().save_pretrained(policy)  # type: ignore[no-untyped-call]  # transformers' own
    config.scorer_hidden = 128
    save_reward_model(RewardModel(config), verifier)
    for folder, name in itertools.product((policy, verifier), TOKENIZER_FILES):
        (folder / name).write_bytes((DEMO / "policy" / name).read_bytes())
    return policy, verifier


async def open_pair(
    stack: AsyncExitStack, folders: tuple[Path, Path], arguments: Mapping[str, Any], dtype: Dtype = "auto"
) -> Pair:
    """Start the two engines, with arguments of vLLM."""
    prompts = PromptBuilder(ChatTokenizer(folders[0]))
    settings = [
        EngineSettings(folder, folder.name, dtype=dtype, kv_cache_bytes=768 * MIB, arguments=arguments)
        for folder in folders
    ]
    policy = await stack.enter_async_context(open_policy(settings[0], prompts))
    verifier = await stack.enter_async_context(open_verifier("winnow", settings[1], prompts))
    assert isinstance(verifier, WinnowPRM)
    return Pair(policy, verifier, prompts)


async def compare(options: argparse.Namespace, pairs: Mapping[str, Pair], seeds: Iterator[int], table: Table) -> None:
    """Add the rows of one size of models."""
    for name, n, step_tokens in itertools.product(options.strategies, options.n, options.step_tokens):
        runs: dict[str, list[Run]] = {each: [] for each in pairs}
        again: list[Tree] = []
        for _ in range(options.repeats):
            sampling = Sampling(1.0, 1.0, options.max_tokens, next(seeds), TokenCount(step_tokens))
            for each, pair in pairs.items():
                runs[each].append(await run(pair, name, n, sampling, options.in_flight))
            await forget(pairs[WHOLE_BLOCKS])
            again.append((await run(pairs[WHOLE_BLOCKS], name, n, sampling, options.in_flight)).tree)
        for each, own in runs.items():
            both = list(zip(own, runs[WHOLE_BLOCKS], strict=True))
            trees = again if each == WHOLE_BLOCKS else [one.tree for one in own]
            table.add_row(
                name,
                str(n),
                str(step_tokens),
                each,
                spread([one.judged for one in own]),
                spread([one.read for one in own]),
                spread([one.seconds for one in own]),
                spread([one.seconds / other.seconds for one, other in both]),
                spread([same(tree, other.tree) for tree, (_, other) in zip(trees, both, strict=True)]),
            )


def same(tree: Tree, other: Tree) -> float:
    """Share of candidates that are alike."""
    return sum(tree[place] == other.get(place) for place in tree) / len(tree)


def spread(values: Sequence[float]) -> str:
    """Write the median and the range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def numbers(text: str) -> list[int]:
    """Read numbers with commas between them."""
    return [int(part) for part in text.split(",")]


async def main(options: argparse.Namespace) -> None:
    """Measure and print."""
    seeds = itertools.count(1)
    blocks = {} if options.block_size is None else {"block_size": options.block_size}
    for size in options.sizes:
        columns = ("strategy", "N", "tokens a step", "cache", "judged", "read", "seconds", "time", "same tree")
        table = Table(*columns, title=f"{size}: {len(PROBLEMS)} problems, {options.in_flight} at a time")
        with TemporaryDirectory() as directory:
            folders = save_models(Path(directory), SHAPES[size])
            async with AsyncExitStack() as stack:
                pairs = {
                    name: await open_pair(stack, folders, own | blocks, options.dtype)
                    for name, own in SCHEDULERS.items()
                }
                for pair in pairs.values():  # what starts late has started
                    await run(pair, "dvts", 4, Sampling(1.0, 1.0, 60, 0, TokenCount(20)), 8)
                await compare(options, pairs, seeds, table)
        Console(width=180).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=lambda text: text.split(","), default=list(SHAPES))
    parser.add_argument("--strategies", type=lambda text: text.split(","), default=["beam_search", "dvts"])
    parser.add_argument("--n", type=numbers, default=[16], help="Budgets.")
    parser.add_argument("--step-tokens", type=numbers, default=[20, 40])
    parser.add_argument("--max-tokens", type=int, default=240, help="Of a response.")
    parser.add_argument("--in-flight", type=int, default=4, help="Problems at a time.")
    parser.add_argument("--block-size", type=int, help="Of the cache, in tokens; else the one for this CPU.")
    parser.add_argument("--dtype", default="auto", choices=get_args(Dtype))
    parser.add_argument("--repeats", type=int, default=3)
    asyncio.run(main(parser.parse_args()))

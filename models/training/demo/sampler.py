"""The process that samples: `python -m models.training.demo.sampler POLICY PLAN DIRECTORY` writes the shards of a plan.

A process of its own, since vLLM and training want different threads, and an engine frees its memory by ending.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Protocol

from tqdm import tqdm
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from vllm import LLM, SamplingParams
from vllm.inputs import TokensPrompt

from models.training.demo.samples import Plan, Sample, judge_sample
from models.training.documents import Document, encode_prompt

MAX_TOKENS = 400


class Generate(Protocol):
    """Samples continuations."""

    def __call__(
        self, prefixes: Sequence[Sequence[int]], seed: int, max_tokens: int = MAX_TOKENS, stop: Sequence[int] = ()
    ) -> list[tuple[int, ...]]:
        """One continuation of each prefix, with its end of sequence or the token of `stop` that ended it."""


def main() -> None:
    """Write the shards that are missing."""
    policy, plan, directory = sys.argv[1:]
    write_shards(Path(policy), Plan(**json.loads(plan)), Path(directory))


def write_shards(policy: Path, plan: Plan, directory: Path) -> None:
    """Write the shards of `plan` that `directory` lacks, each at once."""
    tokenizer = AutoTokenizer.from_pretrained(policy)
    generate = open_engine(policy, plan.temperature)
    for number, shard in enumerate(tqdm(plan.shards(directory), desc=directory.name)):
        if shard.exists():
            continue
        unfinished = shard.with_suffix(".unfinished")
        with unfinished.open("w") as file:
            for sample in _draw_shard(tokenizer, generate, plan, number):
                file.write(json.dumps(asdict(sample)) + "\n")
        unfinished.rename(shard)


def _draw_shard(tokenizer: PreTrainedTokenizerBase, generate: Generate, plan: Plan, shard: int) -> Iterator[Sample]:
    seed = (plan.seed + shard) << 20
    rng = Random(seed)
    tasks = [task for task in plan.tasks(shard) for _ in range(plan.num_responses)]
    prompts = [encode_prompt(tokenizer, task.problem) for task in tasks]
    responses = generate(prompts, seed)
    samples = [judge_sample(tokenizer, *each) for each in zip(tasks, prompts, responses, strict=True)]
    yield from samples

    chosen = rng.choices(range(len(tasks)), k=plan.num_tasks * plan.num_continuations)
    prefixes = [_right_prefix(samples[index].document, rng) for index in chosen]
    continuations = generate(prefixes, seed + len(tasks))
    for index, prefix, continuation in zip(chosen, prefixes, continuations, strict=True):
        response = prefix[len(prompts[index]) :] + continuation
        yield judge_sample(tokenizer, tasks[index], prompts[index], response)


def _right_prefix(document: Document, rng: Random) -> tuple[int, ...]:
    """The prompt and some of the right steps; never the conclusion, which nothing follows."""
    ends = [end for end, label in zip(document.step_ends[:-1], document.labels, strict=False) if label]
    return document.token_ids[: rng.choice(ends) + 1] if ends else document.token_ids[: document.num_prompt_tokens]


def open_engine(policy: Path, temperature: float) -> Generate:
    """An engine in this process that samples a policy."""
    llm = LLM(
        str(policy),
        dtype="bfloat16",
        enforce_eager=True,
        block_size=32,
        kv_cache_memory_bytes=512 << 20,
        enable_chunked_prefill=False,  # vLLM 0.32 on CPU: a seeded request whose prompt is split kills the engine
    )

    def generate(
        prefixes: Sequence[Sequence[int]], seed: int, max_tokens: int = MAX_TOKENS, stop: Sequence[int] = ()
    ) -> list[tuple[int, ...]]:
        sampling = [
            SamplingParams(
                temperature=temperature,
                max_tokens=max_tokens,
                stop_token_ids=list(stop),
                seed=seed + index,
                detokenize=False,
            )
            for index in range(len(prefixes))
        ]
        outputs = llm.generate(
            [TokensPrompt(prompt_token_ids=list(prefix)) for prefix in prefixes], sampling, use_tqdm=False
        )
        return [tuple(output.outputs[0].token_ids) for output in outputs]

    return generate


if __name__ == "__main__":
    main()

"""What it costs the policy to say how confident it is: tokens/s and memory at k = 1, 5 and 20, beside none.

    python -m tests.bench.confidence [--at-once 16] [--tokens 200] [--repeats 7] [--model models/demo/policy]

Ratios are of medians within one run, the variants taken in turn on one engine; absolute figures depend on what else the
machine does. Memory is the largest of engine and service together, with an engine of its own for each k.
"""

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import Step
from models.policy.engine_policy import EnginePolicy, open_policy
from models.prm.confidence import scores
from models.prm.options import ConfidenceOptions
from models.vllm.settings import MIB, EngineSettings
from tests.bench.engines import compare
from tests.conftest import DEMO
from tests.models.problems import PROBLEMS, ids_of, respond, sampling

KS = (0, 1, 5, 20)


async def draw(policy: EnginePolicy, at_once: int, max_tokens: int, k: int) -> list[list[Step]]:
    """Draw responses at the same time, and judge them where they said how confident the policy was."""
    how = replace(sampling(temperature=1.0, max_tokens=max_tokens), num_logprobs=k)
    places = range(at_once)
    asked = (respond(policy, replace(how, seed=seed), PROBLEMS[seed % len(PROBLEMS)]) for seed in places)
    responses = await asyncio.gather(*asked)
    if k:
        for steps in responses:
            scores((), steps, ConfidenceOptions())
    return responses


async def num_tokens(policy: EnginePolicy, at_once: int, max_tokens: int, k: int) -> int:
    """Draw, and count."""
    return sum(len(ids_of(steps)) for steps in await draw(policy, at_once, max_tokens, k))


def memory_bytes() -> int:
    """What this process and its engine hold."""
    own = psutil.Process()
    return sum(int(process.memory_info().rss) for process in (own, *own.children(recursive=True)))


async def most_memory(settings: EngineSettings, prompts: PromptBuilder, at_once: int, max_tokens: int, k: int) -> int:
    """Return the most bytes held while responses are drawn on a fresh engine."""
    async with open_policy(settings, prompts) as policy:
        most = memory_bytes()
        drawing = asyncio.create_task(_draw_often(policy, at_once, max_tokens, k))
        while not drawing.done():
            await asyncio.wait([drawing], timeout=0.1)
            most = max(most, memory_bytes())
        await drawing
        return most


async def _draw_often(policy: EnginePolicy, at_once: int, max_tokens: int, k: int) -> None:
    for _ in range(3):
        await draw(policy, at_once, max_tokens, k)


def show(console: Console, memory: Mapping[int, int]) -> None:
    """Print the memory of each k, and the ratio to none."""
    table = Table("k", "MiB", "ratio", title="Memory of engine and service")
    for k, num_bytes in memory.items():
        table.add_row(str(k or "none"), f"{num_bytes / MIB:,.0f}", f"{num_bytes / memory[0]:.3f}")
    console.print(table)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-once", type=int, nargs="+", default=[16])
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--model", type=Path, default=DEMO / "policy")
    parser.add_argument("--no-memory", action="store_true", help="tokens/s alone")
    options = parser.parse_args()
    console, settings = Console(), EngineSettings(options.model, "policy")
    prompts = PromptBuilder(ChatTokenizer(options.model))
    async with open_policy(settings, prompts) as policy:
        for at_once in options.at_once:
            trials = {f"k = {k}" if k else "none": partial(num_tokens, policy, at_once, options.tokens, k) for k in KS}
            await trials["none"]()
            await compare(console, f"{at_once} responses of {options.tokens} tokens", trials, options.repeats)
    if not options.no_memory:
        most = [await most_memory(settings, prompts, max(options.at_once), options.tokens, k) for k in KS]
        show(console, dict(zip(KS, most, strict=True)))


if __name__ == "__main__":
    asyncio.run(main())

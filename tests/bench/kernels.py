"""What RMS norm by vLLM's own kernel gains: engines with it beside engines without, the same work in turn.

    python -m tests.bench.kernels [--repeats 7]

`decode` is responses of 128 tokens drawn by the policy at the same time, `prefill` responses of 400 tokens that the
verifier reads without its cache. Ratios are of medians within one run.
"""

import argparse
import asyncio
import itertools
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from models.generation import Generation
from models.vllm.settings import KERNELS_OF
from tests.bench.engines import Trial, compare
from tests.bench.reread import SHAPES, Pair, open_pair, save_models
from tests.conftest import DEMO
from tests.models.problems import PROBLEM

NATIVE: dict[str, Any] = {"ir_op_priority": {"rms_norm": ["native"], "fused_add_rms_norm": ["native"]}}
SEEDS = itertools.count()


def decoding(pair: Pair, number: int) -> Trial:
    """Responses drawn together."""
    prompt = pair.prompts.build(PROBLEM)

    async def draw() -> int:
        answers = (pair.policy.engine.complete(prompt, Generation(128, seed=next(SEEDS))) for _ in range(number))
        return sum(len(answer.token_ids) for answer in await asyncio.gather(*answers))

    return draw


def judging(pair: Pair, number: int) -> Trial:
    """Responses read together, from their beginnings."""
    dice = Random(0)
    asked = [dice.choices(range(20, 500), k=400) for _ in range(number)]

    async def judge() -> int:
        await asyncio.gather(*(pair.verifier.engine.score(ids, [399], read_cache=False) for ids in asked))
        return 400 * number

    return judge


async def main(repeats: int) -> None:
    """Measure and print."""
    with TemporaryDirectory() as directory:
        folders: Mapping[str, tuple[Path, Path]] = {
            "the demo pair": (DEMO / "policy", DEMO / "prm"),
            "24 M parameters": save_models(Path(directory), SHAPES["mid"]),
        }
        for name, own in folders.items():
            async with AsyncExitStack() as stack:
                pairs = {
                    "PyTorch's operations": await open_pair(stack, own, NATIVE),
                    f"the kernel ({KERNELS_OF})": await open_pair(stack, own, {}),
                }
                for pair in pairs.values():
                    await decoding(pair, 4)()
                for number in (1, 16, 64):
                    title = f"{name}: decode, {number} at once"
                    await compare(
                        Console(), title, {key: decoding(each, number) for key, each in pairs.items()}, repeats
                    )
                for number in (1, 8):
                    title = f"{name}: prefill, {number} at once"
                    await compare(
                        Console(), title, {key: judging(each, number) for key, each in pairs.items()}, repeats
                    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    asyncio.run(main(parser.parse_args().repeats))

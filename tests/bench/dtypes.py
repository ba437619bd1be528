"""What a token costs a policy's engine on this processor in bfloat16 and in float32.

    python -m tests.bench.dtypes [FOLDER] [--responses N] [--max-tokens T]

Generates N responses at once twice, in one engine after the other, and counts the engine's CPU time. Without a folder
the model is the demo policy.
"""

import argparse
import asyncio
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import Problem
from models.policy.engine_policy import EnginePolicy, open_policy
from models.vllm.settings import Dtype, EngineSettings
from tests.conftest import DEMO
from tests.models.problems import respond, sampling

DTYPES: tuple[Dtype, ...] = ("bfloat16", "float32")
NUM_RUNS = 2
PROBLEM = Problem("Tom has 3 apples, buys 4 more and gives 2 to each of his friends. How many are left?")


def cpu_s() -> float:
    """Seconds of CPU that the engine has taken: it is the only child that computes."""
    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(each.user + each.system for each in times)


async def cost(policy: EnginePolicy, num_responses: int, max_tokens: int) -> float:
    """Milliseconds of CPU for each token."""
    before = cpu_s()
    asked = (respond(policy, sampling(seed, max_tokens=max_tokens), PROBLEM) for seed in range(num_responses))
    responses = await asyncio.gather(*asked)
    num_tokens = sum(len(step.token_ids) for steps in responses for step in steps)
    return (cpu_s() - before) * 1000 / num_tokens


async def main(folder: Path, num_responses: int, max_tokens: int) -> None:
    table = Table("dtype", *(f"run {number}" for number in range(1, NUM_RUNS + 1)), title="ms of CPU for each token")
    for dtype in DTYPES:
        prompts = PromptBuilder(ChatTokenizer(folder))
        async with open_policy(EngineSettings(folder, "policy", dtype=dtype), prompts) as policy:
            await respond(policy, sampling(0, max_tokens=4), PROBLEM)
            costs = [await cost(policy, num_responses, max_tokens) for _ in range(NUM_RUNS)]
        table.add_row(dtype, *(f"{each:.2f}" for each in costs))
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=DEMO / "policy")
    parser.add_argument("--responses", type=int, default=32)
    parser.add_argument("--max-tokens", type=int, default=48)
    options = parser.parse_args()
    asyncio.run(main(options.folder, options.responses, options.max_tokens))

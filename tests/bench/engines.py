"""What the adapters' choices cost: reading as it comes, seeds, stepping, judging again, batch size.

    python -m tests.bench.engines [--repeats 7] [--dtype float32] [--parts reading,stepping,judging,seeds]

Ratios are of medians within one run, the variants taken in turn; absolute figures depend on what else the machine does.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from rich.console import Console
from rich.table import Table
from vllm import RequestOutput, SamplingParams
from vllm.inputs import tokens_input
from vllm.sampling_params import RequestOutputKind

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import DELIMITER, Finish, Meter, Problem, Step
from models.policy.engine_policy import EnginePolicy, open_policy
from models.prm.formats import open_verifier
from models.prm.winnow import WinnowPRM
from models.vllm.engine import Engine
from models.vllm.requests import STREAM_INTERVAL
from models.vllm.settings import Dtype, EngineSettings
from tests.conftest import DEMO
from tests.models.problems import PROBLEM, PROBLEMS, ids_of, respond, sampling

NUMBERS = map("bench {}".format, itertools.count())
"""Of requests."""
Trial = Callable[[], Awaitable[int]]
"""Does some work and returns how many tokens it was."""


async def compare(console: Console, title: str, trials: Mapping[str, Trial], repeats: int) -> None:
    """Print tokens per second of each trial, the ratio to the first, and the CPU that a token takes in this process."""
    speeds: dict[str, list[float]] = {name: [] for name in trials}
    costs: dict[str, list[float]] = {name: [] for name in trials}
    for _ in range(repeats):
        for name in random.sample(list(trials), len(trials)):
            start, start_cpu = time.perf_counter(), time.process_time()
            num_tokens = await trials[name]()
            speeds[name].append(num_tokens / (time.perf_counter() - start))
            costs[name].append(1e6 * (time.process_time() - start_cpu) / num_tokens)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    first = next(iter(medians.values()))
    table = Table("", "tokens/s", "ratio", "us of CPU a token here", title=title)
    for name, median in medians.items():
        table.add_row(name, f"{median:,.0f}", f"{median / first:.2f}", f"{statistics.median(costs[name]):.1f}")
    console.print(table)


def raw(policy: EnginePolicy, token_ids: Sequence[int], params: SamplingParams) -> AsyncGenerator[RequestOutput, None]:
    """What vLLM itself makes of a request in its own words."""
    assert isinstance(policy.engine, Engine)
    return policy.engine.llm.generate(tokens_input(list(token_ids)), params, next(NUMBERS))


def reading(policy: EnginePolicy, number: int) -> dict[str, Trial]:
    """Responses of 128 tokens each, their outputs in different portions, with and without seeds."""
    prompt = policy.prompts.build(PROBLEM)

    def trial(kind: RequestOutputKind, *, is_seeded: bool = True, interval: int | None = None) -> Trial:
        async def draw(seed: int) -> int:
            params = SamplingParams(
                temperature=0.8,
                max_tokens=128,
                ignore_eos=True,
                seed=seed if is_seeded else None,
                output_kind=kind,
                stream_interval=interval,
                detokenize=False,
            )
            return sum([len(output.outputs[0].token_ids) async for output in raw(policy, prompt, params)])

        async def draw_all() -> int:
            return sum(await asyncio.gather(*map(draw, range(number))))

        return draw_all

    final, delta = RequestOutputKind.FINAL_ONLY, RequestOutputKind.DELTA
    return {
        "at the end": trial(final),
        "as it comes": trial(delta),
        f"as it comes, by {STREAM_INTERVAL}": trial(delta, interval=STREAM_INTERVAL),
        "at the end, without seeds": trial(final, is_seeded=False),
    }


def stepping(policy: EnginePolicy, number: int) -> dict[str, Trial]:
    """Responses drawn in one request, step by step, and step by step with requests that stop by themselves."""

    async def by_proposal(seed: int) -> int:
        steps: list[Step] = []
        while len(ids_of(steps)) < 200 and (not steps or steps[-1].finish is Finish.STEP):
            steps.append(await policy.propose(PROBLEM, steps, sampling(seed + len(steps)), Meter()))
        return len(ids_of(steps))

    async def by_stop_string(seed: int) -> int:
        prompt = list(policy.prompts.build(PROBLEM))
        token_ids, is_ended = list(prompt), False
        while len(token_ids) - len(prompt) < 200 and not is_ended:
            params = SamplingParams(
                temperature=0.8, max_tokens=300, seed=seed, stop=DELIMITER, output_kind=RequestOutputKind.FINAL_ONLY
            )
            (output,) = [output async for output in raw(policy, token_ids, params)]
            generated = output.outputs[0]
            token_ids += generated.token_ids
            is_ended, seed = generated.stop_reason is None, seed + 1
        return len(token_ids) - len(prompt)

    async def whole(seed: int) -> int:
        return len(ids_of(await respond(policy, sampling(seed))))

    def all_of(draw: Callable[[int], Awaitable[int]]) -> Trial:
        async def draw_all() -> int:
            return sum(await asyncio.gather(*(draw(100 * index) for index in range(number))))

        return draw_all

    return {
        "propose, left at the delimiter": all_of(by_proposal),
        "requests with a stop string": all_of(by_stop_string),
        "respond": all_of(whole),
    }


def judging(verifier: WinnowPRM, number: int) -> dict[str, Trial]:
    """A step of 30 tokens behind 400 that were judged before; the tokens counted are those 30."""
    dice = random.Random(0)

    def draw(num_tokens: int) -> Step:
        return Step("x", tuple(dice.choices(range(20, 500), k=num_tokens)), Finish.STEP)

    prefixes = [draw(400) for _ in range(number)]

    def trial(*, is_incremental: bool) -> Trial:
        async def judge(prefix: Step) -> int:
            await verifier.score(PROBLEM, (prefix,), (draw(30),), Meter())
            return 30

        async def judge_all() -> int:
            if not is_incremental:
                assert isinstance(verifier.engine, Engine)
                await verifier.engine.forget()
            return sum(await asyncio.gather(*map(judge, prefixes)))

        return judge_all

    return {"from the beginning": trial(is_incremental=False), "from the prefix cache": trial(is_incremental=True)}


async def repeat_seeds(console: Console, policy: EnginePolicy, number: int) -> None:
    """Print the share of responses that the same seed draws again, alone and beside others."""
    cases = [(PROBLEMS[seed % len(PROBLEMS)], seed) for seed in range(number)]
    long = Problem(PROBLEM.text, "You are a careful solver. " * 20)
    cases += [(replace(long, text=problem.text), seed) for problem, seed in cases]

    async def draw(problem: Problem, seed: int) -> list[Step]:
        return await respond(policy, sampling(seed), problem)

    alone = [await draw(*case) for case in cases]
    again = [await draw(*case) for case in cases]
    together = await asyncio.gather(*(draw(*case) for case in cases))
    table = Table("", "equal", title=f"the same seed, {len(cases)} responses")
    table.add_row("again, idle", share(alone, again))
    table.add_row("all at once", share(alone, together))
    console.print(table)


def share(expected: list[list[Step]], drawn: list[list[Step]]) -> str:
    """Share of responses that are equal, token by token."""
    num_equal = sum(one == other for one, other in zip(expected, drawn, strict=True))
    return f"{num_equal / len(expected):.1%}"


async def main(repeats: int, dtype: Dtype, parts: Sequence[str]) -> None:
    """Run the parts."""
    console = Console()
    prompts = PromptBuilder(ChatTokenizer(DEMO / "policy"))
    opening_policy = open_policy(EngineSettings(DEMO / "policy", "policy", dtype=dtype), prompts)
    opening_verifier = open_verifier("winnow", EngineSettings(DEMO / "prm", "verifier", dtype=dtype), prompts)
    async with opening_policy as policy, opening_verifier as verifier:
        assert isinstance(verifier, WinnowPRM)
        await asyncio.gather(*(respond(policy, sampling(seed)) for seed in range(16)))
        for number in (16, 64):
            if "reading" in parts:
                await compare(console, f"reading {number} responses", reading(policy, number), repeats)
            if "stepping" in parts:
                await compare(console, f"stepping through {number} responses", stepping(policy, number), repeats)
        for number in (1, 8, 16) if "judging" in parts else ():
            await compare(console, f"judging {number} new steps", judging(verifier, number), repeats)
        if "seeds" in parts:
            await repeat_seeds(console, policy, 50)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--dtype", default="auto", choices=get_args(Dtype))
    parser.add_argument(
        "--parts", type=lambda text: text.split(","), default=["reading", "stepping", "judging", "seeds"]
    )
    arguments = parser.parse_args()
    asyncio.run(main(arguments.repeats, arguments.dtype, arguments.parts))

"""`POST /v1/steps/score` against plain transformers, and against vLLM's own endpoints asked step by step.

    python -m tests.bench.scores [--problems 64] [--repeats 3] [--responses independent beam] [--threads 2]

Sixteen responses of 20 steps to each problem, judged by a seeded reward model of 24 M parameters: by `winnow serve`
with a verifier alone; by transformers, a forward pass for eight responses at a time, in two precisions; and by a vLLM
server of the same weights, asked for every step by `/classify`, which gives one score and reads the prefix cache. Then
once more with another step in every response, where the tokens computed are compared with the new ones. Responses are
independent, or such as a beam search with four survivors ends with, which have most of their steps in common. One after
another in one run, with as many threads; ratios are of the medians. Six minutes for each repeat of each kind.
"""

import argparse
import asyncio
import os
import random
import statistics
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.nn.utils.rnn import pad_sequence

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import PARAGRAPHS, Problem
from models.policy.written import written_steps
from models.prm.reward_model import RewardModel, load_reward_model
from tests.bench.judging import save_mid_size_model
from tests.bench.running import running
from tests.server.processes import free_port
from tests.servers import POOLING, await_server, start_server

NUM_RESPONSES, NUM_STEPS, BEAM_WIDTH = 16, 20, 4
KV_CACHE_MIB = 6144
"""Holds all responses: 550,000 tokens, 8 KiB each. What is not held is judged anew when it comes with one step more."""
Response = tuple[str, ...]
AT_ONCE = 8
"""Requests of the service, and rows of a batch of transformers."""
CLIENTS = 64
"""Responses asked about at a time where every step is a request."""
KEEP_IDLE_S = 2.0
"""vLLM closes connections that are idle for 5 s; a request sent at that moment would be lost."""
PRECISIONS = (torch.float32, torch.bfloat16)


@dataclass(frozen=True, slots=True)
class Job:
    """A problem and its responses, each the texts of its steps."""

    problem: str
    responses: tuple[Response, ...]


def independent(dice: random.Random) -> list[Response]:
    """Draw responses that have nothing in common."""
    return [tuple(draw_step(dice, place) for place in range(NUM_STEPS)) for _ in range(NUM_RESPONSES)]


def beam(dice: random.Random) -> list[Response]:
    """Draw the responses that a beam search ends with which keeps a quarter of them, at random, at every step."""
    responses: list[Response] = [()] * NUM_RESPONSES
    for _ in range(NUM_STEPS):
        kept = dice.sample(responses, NUM_RESPONSES // BEAM_WIDTH)
        responses = [(*response, draw_step(dice, len(response))) for response in kept for _ in range(BEAM_WIDTH)]
    return responses


KINDS = {kind.__name__: kind for kind in (independent, beam)}


def draw_jobs(number: int, seed: int, kind: str) -> list[Job]:
    """Draw problems, and responses with one step more than are judged at first."""
    dice = random.Random(f"{kind} {seed}")
    jobs = []
    for index in range(number):
        responses = [(*response, draw_step(dice, NUM_STEPS)) for response in KINDS[kind](dice)]
        jobs.append(Job(f"Compute the sum number {seed}.{index}, {kind}.", tuple(responses)))
    return jobs


def draw_step(dice: random.Random, place: int) -> str:
    """Draw a step of sums that go on and on."""
    total, more = dice.randint(10, 40), dice.randint(2, 40)
    return f"## Step {place + 1}: Add\n{total} + {more} = {total + more}, so {total + more} + {more}\n\n"


class Layouts:
    """Responses as token ids, with the places where steps end; made before the clock runs."""

    def __init__(self, prompts: PromptBuilder) -> None:
        self._prompts = prompts

    def of(self, job: Job) -> list[tuple[list[int], list[int]]]:
        prompt = list(self._prompts.build(Problem(job.problem)))
        found = []
        for response in job.responses:
            steps = written_steps(self._prompts, response, PARAGRAPHS, is_complete=False)
            ids = [*prompt, *(token_id for step in steps for token_id in step.token_ids)]
            _, *ends = accumulate((len(step.token_ids) for step in steps), initial=len(prompt))
            found.append((ids, ends))
        return found


async def by_service(client: httpx.AsyncClient, jobs: Sequence[Job]) -> tuple[int, int]:
    """Ask the service; return the tokens computed and the tokens of the responses."""
    places, totals = asyncio.Semaphore(AT_ONCE), [0, 0]

    async def ask(job: Job) -> None:
        body = {"problem": job.problem, "responses": job.responses, "complete": False}
        async with places:
            response = await client.post("/v1/steps/score", json=body)
        usage = response.raise_for_status().json()["usage"]
        totals[0] += usage["verifier_tokens"]
        totals[1] += usage["response_tokens"]

    await asyncio.gather(*map(ask, jobs))
    return totals[0], totals[1]


@torch.inference_mode()
def by_transformers(model: RewardModel, layouts: Sequence[tuple[list[int], list[int]]]) -> None:
    """Judge eight responses at a time, each read whole."""
    for first in range(0, len(layouts), AT_ONCE):
        rows = [torch.tensor(ids) for ids, _ in layouts[first : first + AT_ONCE]]
        mask = pad_sequence([torch.ones(len(row), dtype=torch.long) for row in rows], batch_first=True)
        scores = model(pad_sequence(rows, batch_first=True), mask)
        for row, (_, ends) in zip(scores, layouts[first : first + AT_ONCE], strict=True):
            row[[end - 1 for end in ends]].tolist()


async def by_steps(client: httpx.AsyncClient, layouts: Sequence[tuple[list[int], list[int]]]) -> None:
    """Ask a vLLM server about every step of every response."""
    places = asyncio.Semaphore(CLIENTS)

    async def ask(ids: list[int], ends: list[int]) -> None:
        async with places:
            for end in ends:
                body = {"model": "theirs", "input": ids[:end]}
                (await client.post("/classify", json=body)).raise_for_status()

    await asyncio.gather(*(ask(*layout) for layout in layouts))


@contextmanager
def their_server(directory: Path, threads: int) -> Iterator[str]:
    """A vLLM server of the reward model."""
    port, variables = free_port(), {"VLLM_PLUGINS": "winnow", "OMP_NUM_THREADS": str(threads)}
    process = start_server(directory, *POOLING, port=port, kv_cache_mib=2048, variables=variables)
    try:
        yield await_server(process, port)
    finally:
        process.terminate()
        process.wait()


async def timed(work: Awaitable[object]) -> float:
    """Return the seconds that work takes."""
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def main(num_problems: int, repeats: int, kinds: Sequence[str], threads: int) -> None:
    """Measure and print."""
    torch.set_num_threads(threads)
    with TemporaryDirectory() as folder:
        directory = save_mid_size_model(Path(folder))
        layouts_of = Layouts(PromptBuilder(ChatTokenizer(directory)))
        flags = ["--policy-model", "none", "--verifier-model", folder, "--verifier-threads", str(threads)]
        flags += ["--verifier-kv-cache-mib", str(KV_CACHE_MIB)]
        limits = httpx.Limits(max_connections=CLIENTS, keepalive_expiry=KEEP_IDLE_S)
        model = load_reward_model(directory).eval()
        with their_server(directory, threads) as url:
            async with (
                running(*flags) as service,
                service.client() as ours,
                httpx.AsyncClient(base_url=url, timeout=None, limits=limits) as theirs,
            ):
                for kind in kinds:
                    await measure(kind, num_problems, repeats, ours, theirs, model, layouts_of)


async def measure(
    kind: str,
    num_problems: int,
    repeats: int,
    ours: httpx.AsyncClient,
    theirs: httpx.AsyncClient,
    model: RewardModel,
    layouts_of: Layouts,
) -> None:
    """Measure all ways in turn, on responses that none of them has read, and print."""
    seconds: dict[str, list[float]] = {}
    shares = []
    for seed in track(range(repeats), "repeats", console=Console(stderr=True)):
        longer = draw_jobs(num_problems, seed, kind)
        jobs = [Job(job.problem, tuple(steps[:NUM_STEPS] for steps in job.responses)) for job in longer]
        layouts = [layout for job in jobs for layout in layouts_of.of(job)]
        seconds.setdefault("winnow", []).append(await timed(by_service(ours, jobs)))
        num_before = sum(len(ids) for ids, _ in layouts)
        computed, _ = await by_service(ours, longer)
        num_after = sum(len(ids) for job in longer for ids, _ in layouts_of.of(job))
        shares.append(computed / (num_after - num_before))
        for precision in PRECISIONS:
            model.to(precision)
            took = await timed(asyncio.to_thread(by_transformers, model, layouts))
            seconds.setdefault(f"transformers, {str(precision).rpartition('.')[2]}", []).append(took)
        took = await timed(by_steps(theirs, layouts))
        seconds.setdefault("vLLM /classify, step by step", []).append(took)
    show(seconds, shares, num_problems * NUM_RESPONSES, kind)


def show(seconds: dict[str, list[float]], shares: Sequence[float], num_responses: int, kind: str) -> None:
    """Print the table."""
    title = f"{num_responses} responses of {NUM_STEPS} steps, {kind}"
    table = Table("", "responses/s", "winnow is faster by", title=title)
    best = statistics.median(seconds["winnow"])
    for name, each in seconds.items():
        rates = sorted(num_responses / one for one in each)
        rate = f"{statistics.median(rates):.1f} ({rates[0]:.1f} to {rates[-1]:.1f})"
        table.add_row(name, rate, f"{statistics.median(each) / best:.1f}")
    console = Console(width=110)
    console.print(table)
    console.print(
        f"with one step more: {statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f}) tokens computed "
        "for each new one"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--responses", nargs="+", choices=[*KINDS], default=[*KINDS])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    asyncio.run(main(arguments.problems, arguments.repeats, arguments.responses, arguments.threads))

"""What long thoughts cost the gateway: 64 responses of 32,000 tokens at once, by a policy that is a mock.

    python -m tests.bench.thinking [--responses 64] [--tokens 32000] [--rate 500] [--loads one_search,streams]

The service is a process of its own around the real policy, whose engine writes a script at a rate: thoughts in
paragraphs of 190 characters, then a short answer. The CPU time is that of the service alone, `/healthz` included, which
a third process asks on one connection every 20 ms. Two loads: one search of all responses, and as many streams of one.
What service and prober waited for a core that others used says how much of the delays is the machine's.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from models.checkpoints.marks import THINK
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.generation import Generated, Generation
from models.interfaces import Problem
from models.policy.engine_policy import EnginePolicy
from search.answers.pool import AnswerPool
from search.expander import Models
from server.app import create_app
from server.keys import Keyring
from server.memory import collect_rarely
from server.settings import Settings
from tests.models.scripted import ScriptedEngine
from tests.models.thinkers import save_thinker
from tests.server.conftest import serving

PARAGRAPH = "Wait, let me add 17 and 28 again: 17 + 28 = 45, and so it is. " * 3 + "\n\n"
ANSWER = r"So it is \boxed{45}."
PROBE_EVERY_S = 0.02
INTERVAL = 16
CONTEXT = multiprocessing.get_context("spawn")


class PacedEngine(ScriptedEngine):
    """Writes a script as fast as it is told."""

    def __init__(self, response: Sequence[int], num_prompt_tokens: int, rate: float) -> None:
        super().__init__(lambda token_ids: response[len(token_ids) - num_prompt_tokens :], INTERVAL)
        self._pause_s = INTERVAL / rate

    async def generate(
        self,
        token_ids: Sequence[int],
        asked: Generation,
        count: Callable[[int], None] = lambda _: None,
        *,
        affinity: str = "",
    ) -> AsyncGenerator[Generated, None]:
        loop = asyncio.get_running_loop()
        due = loop.time()
        async for generated in super().generate(token_ids, asked, count, affinity=affinity):
            due += self._pause_s
            await asyncio.sleep(max(due - loop.time(), 0))
            yield generated


def serve(directory: Path, num_tokens: int, rate: float, told: Any) -> None:
    """Run the service in this process; say where it listens."""
    asyncio.run(_serve(directory, num_tokens, rate, told))


async def _serve(directory: Path, num_tokens: int, rate: float, told: Any) -> None:
    prompts = PromptBuilder(ChatTokenizer(directory, THINK.texts), marks=THINK)
    encode = prompts.tokenizer.encode_marked
    paragraph, answer = encode(PARAGRAPH), [*encode("</think>" + ANSWER), 0]
    thoughts = [*encode("<think>"), *paragraph * (num_tokens // len(paragraph) + 1)]
    response = [*thoughts[: num_tokens - len(answer)], *answer]
    settings = Settings(max_cost=2**30, max_cost_in_flight=2**30, default_max_tokens=131_072)
    async with AnswerPool(num_workers=1) as reader:
        engine = PacedEngine(response, len(prompts.build(Problem("?"))), rate)
        models = Models(EnginePolicy(engine, prompts), None, reader)
        collect_rarely()  # as `winnow serve` does
        async with serving(create_app(models, (), settings, Keyring()), settings) as client:
            told.put(str(client.base_url))
            await asyncio.Event().wait()


def probe(url: str, has_ended: Any, told: Any) -> None:
    """Ask `/healthz` again and again on one connection, until told to end; say how long each took."""
    delays: list[float] = []
    with httpx.Client(base_url=url, timeout=None) as client:
        client.get("/healthz").raise_for_status()
        told.put([])
        while not has_ended.wait(PROBE_EVERY_S):
            start = time.perf_counter()
            client.get("/healthz").raise_for_status()
            delays.append(time.perf_counter() - start)
    told.put(delays)
    told.put(waited_s("self"))


def waited_s(pid: int | str) -> float:
    """Seconds that a process could run and had no core, as Linux counts them."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


async def one_search(client: httpx.AsyncClient, number: int) -> int:
    """Search with all responses in one request; return the tokens generated."""
    body = {"problem": "?", "n": number, "strategy": "majority", "early_stop": False, "include": ["candidates"]}
    reply = (await client.post("/solve", json=body)).raise_for_status().json()
    assert reply["answer"] == "45", reply["answer"]
    return int(reply["usage"]["completion_tokens"])


async def streams(client: httpx.AsyncClient, number: int) -> int:
    """Stream as many searches of one response; return the tokens generated."""

    async def one() -> int:
        body = {"problem": "?", "n": 1, "strategy": "majority", "stream": True, "include": []}
        last = ""
        async with client.stream("POST", "/solve", json=body) as reply:
            async for line in reply.aiter_lines():
                last = line if line.startswith("data: ") else last
        result = json.loads(last.removeprefix("data: "))
        assert result["answer"] == "45", result
        return int(result["usage"]["completion_tokens"])

    return sum(await asyncio.gather(*(one() for _ in range(number))))


async def measure(
    load: Callable[[httpx.AsyncClient, int], Any], url: str, number: int, process: psutil.Process
) -> list[str]:
    """Put a load on the service, and say what it cost."""
    has_ended, told = CONTEXT.Event(), CONTEXT.Queue()
    prober = CONTEXT.Process(target=probe, args=(url, has_ended, told), daemon=True)
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=None, limits=limits) as client:
        prober.start()
        await asyncio.to_thread(told.get, timeout=120)  # it is ready
        before, start, waited = process.cpu_times(), time.perf_counter(), waited_s(process.pid)
        num_tokens = await load(client, number)
        seconds, after = time.perf_counter() - start, process.cpu_times()
        waited = waited_s(process.pid) - waited
        has_ended.set()
        delays: list[float] = await asyncio.to_thread(told.get, timeout=60)
        prober_waited: float = await asyncio.to_thread(told.get, timeout=60)
    spent = after.user + after.system - before.user - before.system
    cuts = statistics.quantiles(delays, n=100)
    return [
        load.__name__,
        f"{num_tokens:,}",
        f"{seconds:.0f}",
        f"{num_tokens / seconds:,.0f}",
        f"{1e6 * spent / num_tokens:.2f}",
        f"{1000 * cuts[49]:.0f}",
        f"{1000 * cuts[98]:.0f}",
        f"{1000 * max(delays):.0f}",
        f"{waited:.1f}, {prober_waited:.1f}",
        f"{process.memory_info().rss / 2**20:,.0f}",
    ]


async def main(options: argparse.Namespace) -> None:
    """Measure and print."""
    heads = (
        "load",
        "tokens",
        "s",
        "tokens/s",
        "CPU ms per 1,000",
        "healthz p50 ms",
        "p99",
        "most",
        "waited s",
        "RSS MiB",
    )
    table = Table(*heads, title=f"{options.responses} responses of {options.tokens:,} tokens")
    with TemporaryDirectory() as directory:
        saved = save_thinker(Path(directory) / "policy")
        for load in [each for each in (one_search, streams) if each.__name__ in options.loads]:
            told = CONTEXT.Queue()
            service = CONTEXT.Process(target=serve, args=(saved, options.tokens, options.rate, told), daemon=False)
            service.start()
            try:
                url = await asyncio.to_thread(told.get, timeout=60)
                table.add_row(*await measure(load, url, options.responses, psutil.Process(service.pid)))
            finally:
                service.terminate()
                service.join(10)
    Console(width=140).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--responses", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=32_000)
    parser.add_argument("--rate", type=float, default=500.0, help="Tokens a second of a response.")
    parser.add_argument("--loads", type=lambda text: text.split(","), default=["one_search", "streams"])
    asyncio.run(main(parser.parse_args()))

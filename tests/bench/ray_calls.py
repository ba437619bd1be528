"""What a call between two deployments of Ray Serve costs: over gRPC, through the object store, and by HTTP.

    make ray
    python -m tests.bench.ray_calls [--calls 1000]

One deployment calls another, which answers at once: with a stream of four outputs of 16 tokens, as an engine answers
64 tokens, or with one score. Nothing else of winnow runs. HTTP goes through Ray's proxy. The CPU is that of the caller,
of the callee and of the proxy.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

import aiohttp
import psutil
import ray
from fastapi import FastAPI
from ray import serve
from rich.console import Console
from rich.table import Table
from starlette.responses import StreamingResponse

from models.generation import Generated, Generation, Scored
from tests.server.processes import free_port

WAYS = ("gRPC", "object store", "HTTP")
AT_ONCE = (1, 64)
NUM_WARM_UP = 50
PROMPT = list(range(200))
OUTPUT = Generated(list(range(16)))
MIB = 1 << 20

app = FastAPI()


class Engine:
    """Answers handles and HTTP alike."""

    async def generate(self, prompt: Sequence[int], asked: Generation) -> AsyncIterator[Generated]:
        for _ in range(4):
            yield OUTPUT

    async def score(self, prompt: Sequence[int]) -> Scored:
        return Scored({199: 0.5}, 0)

    @app.post("/generate")
    async def generate_over_http(self) -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            for _ in range(4):
                yield f"data: {json.dumps({'token_ids': OUTPUT.token_ids, 'finish_reason': None})}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.post("/score")
    async def score_over_http(self) -> Mapping[str, Any]:
        return {"scores": [[199, 0.5]]}


class Caller:
    """Calls an engine again and again, some calls at once."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    async def call(self, way: str, method: str, number: int, at_once: int, url: str) -> float:
        """Return the seconds that all calls take."""
        free = asyncio.Semaphore(at_once)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            by_http = partial(self._by_http, client, f"{url}/{method}")
            by_handle = partial(self._by_handle, method, by_reference=way == "object store")

            async def one(place: int) -> None:
                async with free:
                    await (by_http() if way == "HTTP" else by_handle(str(place)))

            start = time.perf_counter()
            await asyncio.gather(*map(one, range(number)))
            return time.perf_counter() - start

    async def _by_http(self, client: aiohttp.ClientSession, url: str) -> None:
        async with client.post(url, json={"prompt": PROMPT}) as response:
            async for line in response.content:
                if line.startswith((b"data:", b"{")):
                    json.loads(line.removeprefix(b"data:"))

    async def _by_handle(self, method: str, session: str, *, by_reference: bool) -> None:
        is_stream = method == "generate"
        handle = self._engine.options(
            method_name=method, session_id=session, stream=is_stream, _by_reference=by_reference
        )
        if is_stream:
            async for _ in handle.remote(PROMPT, Generation(64)):
                pass
        else:
            await handle.remote(PROMPT)


def cpu(name: str) -> float:
    """Seconds of CPU of the process whose title holds a name."""
    found = [each for each in psutil.Process().children(recursive=True) if name in " ".join(each.cmdline())]
    return sum(each.cpu_times().user + each.cpu_times().system for each in found)


def measure(num_calls: int, port: int) -> Table:
    """Measure every way."""
    table = Table("call", "way", "at once", "ms a call", "calls/s", "CPU ms: caller", "callee", "proxy")
    options = {"max_ongoing_requests": 4096, "ray_actor_options": {"num_cpus": 0.1}}
    engine = serve.deployment(serve.ingress(app)(Engine), name="engine", **options).bind()
    serve.run(engine, name="engines", route_prefix="/engine")
    handle = serve.get_app_handle("engines")
    caller = serve.run(
        serve.deployment(Caller, name="caller", **options).bind(handle), name="callers", route_prefix="/caller"
    )
    for method in ("generate", "score"):
        for way in WAYS:
            for at_once in AT_ONCE:
                number = num_calls if at_once > 1 else num_calls // 5
                ask = partial(caller.call.remote, way, method, url=f"http://127.0.0.1:{port}/engine", at_once=at_once)
                ask(number=NUM_WARM_UP).result()
                before = [cpu(name) for name in (":caller", ":engine", "ProxyActor")]
                seconds = ask(number=number).result()
                after = [cpu(name) for name in (":caller", ":engine", "ProxyActor")]
                spent = [f"{(late - early) / number * 1e3:.2f}" for early, late in zip(before, after, strict=True)]
                each = f"{seconds / number * 1e3:.2f}"
                table.add_row(method, way, str(at_once), each, f"{number / seconds:.0f}", *spent)
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    arguments, port = parser.parse_args(), free_port()
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * MIB, log_to_driver=False)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        Console(width=130).print(measure(arguments.calls, port))
    finally:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()

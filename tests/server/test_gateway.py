"""A service whose models are on servers elsewhere runs on the requirements of a gateway: no vLLM, no torch."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.bench.gateway import LOCK, ROOT, start, until_ready
from tests.models.remote.stage import Actor
from tests.server.processes import free_port

MAX_MODULES = 1500
HEAVY = {"vllm", "torch", "transformers", "numpy", "scipy", "matplotlib", "sympy"}


@asynccontextmanager
async def running(listing: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway, which lists its modules at its end."""
    policy, verifier, port = Actor(), Actor(), free_port()
    async with policy.playing(), verifier.playing():
        process = await start(port, policy.url, verifier.url, ROOT, str(LOCK), listing)
        try:
            await until_ready(port, process)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                yield client
            process.terminate()
            async with asyncio.timeout(30):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def test_a_gateway_searches_and_answers_with_few_modules_none_of_them_engine_or_tensor(tmp_path: Path) -> None:
    async with running(tmp_path / "modules") as client:
        solved = await client.post("/solve", json={"problem": "1 + 1", "n": 2, "strategy": "majority"})
        chat = {"model": "winnow-demo", "messages": [{"role": "user", "content": "1 + 1"}]}
        refused = await client.post("/v1/chat/completions", json=chat | {"top_k": "many"})
        streamed = await client.post("/v1/chat/completions", json=chat | {"stream": True})
    assert (solved.status_code, solved.json()["usage"]["candidates"]) == (200, 2)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "top_k")
    assert streamed.text.endswith("data: [DONE]\n\n")
    modules = (tmp_path / "modules").read_text().splitlines()
    assert len(modules) < MAX_MODULES
    assert HEAVY.isdisjoint(modules)

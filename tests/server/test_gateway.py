"""A service whose models are on servers elsewhere runs on the requirements of a gateway: no vLLM, no torch."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.bench.gateway import LOCK, ROOT, start, until_ready
from tests.models.remote.stage import Actor
from tests.server.processes import free_port

MAX_MODULES = 1500
HEAVY = {"vllm", "torch", "transformers", "numpy", "scipy", "matplotlib", "sympy"}


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[httpx.AsyncClient, Path]]:
    """A running gateway, and the file that lists its modules at its end."""
    listing = tmp_path_factory.mktemp("gateway") / "modules"
    policy, verifier, port = Actor(), Actor(), free_port()
    async with policy.playing(), verifier.playing():
        process = await start(port, policy.url, verifier.url, ROOT, str(LOCK), listing)
        try:
            await until_ready(port, process)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                yield client, listing
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def test_a_gateway_searches_answers_and_imports_neither_engine_nor_tensor(
    gateway: tuple[httpx.AsyncClient, Path],
) -> None:
    client, listing = gateway
    solved = await client.post("/solve", json={"problem": "1 + 1", "n": 2, "strategy": "majority"})
    assert (solved.status_code, solved.json()["usage"]["candidates"]) == (200, 2)
    refused = await client.post(
        "/v1/chat/completions",
        json={"model": "winnow-demo", "messages": [{"role": "user", "content": "1"}], "top_k": "many"},
    )
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "top_k")
    chat = {"model": "winnow-demo", "messages": [{"role": "user", "content": "1 + 1"}], "stream": True}
    assert (await client.post("/v1/chat/completions", json=chat)).text.endswith("data: [DONE]\n\n")
    assert listing.parent.exists()


async def test_a_gateway_imports_what_its_requirements_hold_and_few_modules(tmp_path: Path) -> None:
    policy, verifier, port = Actor(), Actor(), free_port()
    async with policy.playing(), verifier.playing():
        process = await start(port, policy.url, verifier.url, ROOT, str(LOCK), tmp_path / "modules")
        await until_ready(port, process)
        process.terminate()
        async with asyncio.timeout(30):
            await process.wait()
    modules = (tmp_path / "modules").read_text().splitlines()
    assert len(modules) < MAX_MODULES
    assert HEAVY.isdisjoint(modules)

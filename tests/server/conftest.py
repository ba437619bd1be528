"""The real app on a real socket, around the one pair of engines of the run."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from openai import AsyncOpenAI

from models.policy.openai_handlers import OpenAIHandlers
from models.policy.vllm_policy import VLLMPolicy
from models.prm.vllm_verifier import VLLMVerifier
from search.answers.pool import AnswerPool
from search.expander import Models
from server.app import create_app
from server.state import Engine, PlainPolicy

POLICY_NAME = "winnow-demo"


@pytest.fixture(scope="session")
async def client(policy: VLLMPolicy, verifier: VLLMVerifier) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app, which listens on loopback."""
    async with (
        AnswerPool(num_workers=1) as reader,
        listening(
            Models(policy, verifier, reader), policy, verifier, plain=OpenAIHandlers(policy, POLICY_NAME)
        ) as client,
    ):
        yield client


@pytest.fixture(scope="session")
async def openai(client: httpx.AsyncClient) -> AsyncIterator[AsyncOpenAI]:
    """The official client, on the same app."""
    async with openai_client(client) as openai:
        yield openai


def openai_client(client: httpx.AsyncClient) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key="none", max_retries=0, timeout=60)


@asynccontextmanager
async def listening(
    models: Models, *engines: Engine, plain: PlainPolicy | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(models, engines, plain)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        serving = asyncio.create_task(server.serve([listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            yield client
        server.should_exit = True
        await serving

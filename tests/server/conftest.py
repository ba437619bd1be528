"""The real app on a real socket, around the one pair of engines of the run."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI
from openai import AsyncOpenAI
from opentelemetry.trace import Tracer

from models.engine_client import RunningModel
from search.answers.pool import AnswerPool
from search.calibration.table import UNCALIBRATED, Calibrated
from search.expander import Models
from server.app import create_app
from server.http.protocol import uvicorn_config
from server.identity import load_calibration
from server.keys import Keyring
from server.settings import Settings
from server.solving.state import PlainPolicy
from tests.server.stores import OwnRedis, require_redis
from tests.serving import listening_on

if TYPE_CHECKING:
    from models.policy.engine_policy import EnginePolicy
    from models.prm.winnow import WinnowPRM

POLICY_NAME = "winnow-demo"


@pytest.fixture(scope="session")
async def client(policy: EnginePolicy, verifier: WinnowPRM) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app, which listens on loopback."""
    from models.vllm.handlers import OpenAIHandlers

    plain = OpenAIHandlers(policy.engine, policy.prompts.tokenizer, POLICY_NAME)
    async with (
        AnswerPool(num_workers=1) as reader,
        listening(
            Models(policy, verifier, reader),
            policy.engine,
            verifier.engine,
            plain=plain,
            calibrated=load_calibration(Settings()),
        ) as client,
    ):
        yield client
    await plain.stop()


@pytest.fixture(scope="session")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    """A Redis for the whole run."""
    require_redis()
    redis = OwnRedis(tmp_path_factory.mktemp("redis"))
    yield redis
    redis.stop()


@pytest.fixture
def empty_redis(own_redis: OwnRedis) -> OwnRedis:
    """It, without what other tests left."""
    own_redis.clear()
    return own_redis


@pytest.fixture
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where services of the test keep searches that outlive their connection."""
    if request.param == "redis":
        monkeypatch.setenv("WINNOW_STORE_URL", request.getfixturevalue("empty_redis").url)


@pytest.fixture(scope="session")
async def openai(client: httpx.AsyncClient) -> AsyncIterator[AsyncOpenAI]:
    """The official client, on the same app."""
    async with openai_client(client) as openai:
        yield openai


def openai_client(client: httpx.AsyncClient) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key="none", max_retries=0, timeout=60)


@asynccontextmanager
async def listening(
    models: Models,
    *engines: RunningModel,
    settings: Settings | None = None,
    keys: Keyring | None = None,
    plain: PlainPolicy | None = None,
    tracer: Tracer | None = None,
    calibrated: Calibrated = UNCALIBRATED,
) -> AsyncIterator[httpx.AsyncClient]:
    settings = settings or Settings()
    app = create_app(models, engines, settings, keys or Keyring(), plain=plain, tracer=tracer, calibrated=calibrated)
    async with serving(app, settings) as client:
        yield client


@asynccontextmanager
async def serving(app: FastAPI, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    # said to be TCP, or asyncio leaves Nagle's algorithm on, as it is not in `winnow serve`: 40 ms more for every reply
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with (
            listening_on(uvicorn_config(app, settings), listener),
            httpx.AsyncClient(base_url=url, timeout=60) as client,
        ):
            yield client

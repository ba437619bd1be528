"""Servers that speak vLLM's words and fail on cue: what no real server does when a test would like it to."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from models.remote.engine import RemoteEngine, open_remote_engine
from models.remote.settings import Patience, RemoteSettings, Routing
from models.vllm.keep_alive import KeepAlive
from tests.conftest import DEMO
from tests.server.processes import free_port
from tests.serving import listening_on
from tests.waiting import until

IMPATIENT = Patience(look_every_s=0.02, look_again_s=0.01)
"""Servers are looked after so often that no test waits for it."""
COMMENT_EVERY_S = 0.1


@dataclass(slots=True)
class Actor:
    """One server and its cues.

    Attributes:
        events: What it streams: the token ids of each event; the last says why it ends.
        finish: Of the last event.
        stopped: What it streams, and stops at, in place of these where it is told at what to stop.
        breaks_after: Events after which it breaks off.
        holds: It says nothing more, and is not well either, until this is set.
        pauses: Streams go on after their first event when this is set.
        whole: It answers in one piece, when this is set.
        says_done: Whether a stream that does not break off ends as streams do.
        status: Of completions, where it is an error.
        health: Of the answer to `/health`.
        asked: Bodies of the requests that it got.
        keys: What they said of themselves.
        sessions: What they say by which routers keep them together.
        clients: Their ports.
        looks: Ports of those who asked for `/health`.
        tokens: Its tokenizer makes these ids of any text; None for a server that is not asked for any.
        described: What it says of its interface; None: nothing.
        release: Its release.
        metrics: It has; None for a server that shows none.
        is_left: Somebody did not wait for a pause to end.
    """

    port: int = field(default_factory=free_port)
    events: Sequence[Sequence[int]] = ((20,), (0,))
    finish: tuple[str, str | None] = ("stop", None)
    stopped: tuple[Sequence[int], str] | None = None
    breaks_after: int | None = None
    holds: asyncio.Event | None = None
    pauses: asyncio.Event | None = None
    whole: asyncio.Event | None = None
    says_done: bool = True
    status: int = 200
    health: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    sessions: list[str | None] = field(default_factory=list)
    clients: list[int] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
    tokens: Sequence[int] | None = None
    described: bytes | None = None
    release: str = "0.32.0"
    metrics: bytes | None = None
    is_left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)

        @app.get("/metrics")
        async def metrics() -> Response:
            return Response(self.metrics, 404 if self.metrics is None else 200)

        @app.get("/openapi.json")
        async def openapi() -> Response:
            return Response(self.described, 404 if self.described is None else 200)

        @app.get("/health")
        async def health(request: Request) -> Response:
            self.looks += [request.client.port] if request.client else []
            await self._hold()
            return Response(status_code=self.health)

        @app.get("/v1/models")
        async def models() -> dict[str, Any]:
            return {"data": [{"id": "theirs", "max_model_len": 1024}]}

        @app.get("/version")
        async def version() -> dict[str, str]:
            return {"version": self.release}

        @app.post("/tokenize")
        async def tokenize() -> Response:
            return Response(status_code=404) if self.tokens is None else JSONResponse({"tokens": self.tokens})

        @app.post("/v1/completions")
        @app.post("/v1/chat/completions")
        async def complete(request: Request) -> Response:
            self.asked.append(await request.json())
            self.keys.append(request.headers.get("authorization"))
            self.sessions.append(request.headers.get("x-session-id"))
            self.clients += [request.client.port] if request.client else []
            if self.status != 200:
                return JSONResponse({"error": {"message": "on cue", "code": self.status}}, self.status)
            if self.whole is not None:
                await self.whole.wait()
                return JSONResponse({"model": "theirs", "choices": [{"text": "4"}]})
            events, finish = self.events, self.finish
            if self.asked[-1].get("stop") and self.stopped is not None:
                events, finish = [self.stopped[0]], ("stop", self.stopped[1])
            return StreamingResponse(self._play(events, finish), media_type="text/event-stream")

        return app

    async def _play(self, events: Sequence[Sequence[int]], finish: tuple[str, str | None]) -> AsyncIterator[str]:
        for index, token_ids in enumerate(events):
            if index == self.breaks_after:
                raise ConnectionAbortedError("on cue")
            await self._hold()
            if index and self.pauses is not None:
                try:
                    await self.pauses.wait()
                except asyncio.CancelledError:
                    self.is_left.set()
                    raise
            reason, stop = finish if index == len(events) - 1 else (None, None)
            choice = {"text": "", "token_ids": token_ids, "finish_reason": reason, "stop_reason": stop}
            yield f"data: {json.dumps({'id': '1', 'model': 'theirs', 'choices': [choice]})}\n\n"
        if self.says_done:
            yield "data: [DONE]\n\n"

    async def _hold(self) -> None:
        if self.holds is not None:
            await self.holds.wait()

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[None]:
        """Listen, as `winnow engine` does."""
        app = KeepAlive(self.app(), COMMENT_EVERY_S)
        config = uvicorn.Config(
            app, "127.0.0.1", self.port, log_config=None, lifespan="off", timeout_graceful_shutdown=0
        )
        async with listening_on(config):
            yield


@asynccontextmanager
async def staged(
    *actors: Actor, routing: Routing = "affinity", patience: Patience = IMPATIENT, **fields: Any
) -> AsyncIterator[RemoteEngine]:
    """An engine of these servers, all of which answer."""
    urls = tuple(actor.url for actor in actors)
    settings = RemoteSettings(DEMO / "policy", "policy", urls, routing=routing, patience=patience, **fields)
    async with AsyncExitStack() as stack:
        for actor in actors:
            await stack.enter_async_context(actor.playing())
        engine = await stack.enter_async_context(open_remote_engine(settings))
        await until(lambda: all(replica.is_up for replica in engine.replicas.all))
        yield engine

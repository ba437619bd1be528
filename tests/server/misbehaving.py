"""The real app in front of a server that misbehaves: what the client gets, what the log says, what it costs."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from models.checkpoints.prompt import PromptBuilder
from models.policy.engine_policy import EnginePolicy
from models.prm.winnow import WinnowPRM
from models.remote.engine import RemoteEngine, open_remote_engine
from models.remote.handlers import RemoteHandlers
from models.remote.settings import Patience, RemoteSettings
from search.expander import Models
from tests.conftest import DEMO
from tests.models.remote.misbehaving import ROWS, Play, Rogue
from tests.natures import Chance
from tests.server.conftest import POLICY_NAME, listening
from tests.waiting import until
from tests.worlds import World

SILENCE_S = 0.5
CHAT = {"model": POLICY_NAME, "messages": [{"role": "user", "content": "1 + 1"}], "max_tokens": 16}
INPUT = {"model": POLICY_NAME, "input": "1 + 1", "max_output_tokens": 16}
SEARCH = {"problem": "1 + 1", "n": 4, "max_tokens": 64}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a response": ("/solve", SEARCH | {"strategy": "majority"}),
    "scores": ("/solve", SEARCH | {"strategy": "best_of_n"}),
    "a class": ("/solve", SEARCH | {"strategy": "best_of_n"}),
    "a plain chat": ("/v1/chat/completions", CHAT),
    "a plain stream": ("/v1/chat/completions", CHAT | {"stream": True}),
    "an output": ("/v1/responses", INPUT),
    "an output's stream": ("/v1/responses", INPUT | {"stream": True}),
}
IMPATIENT = Patience(return_s=1.0, look_again_s=0.1)
"""So short that the table does not take minutes."""


@dataclass(slots=True)
class Watch:
    """What a misbehaving server does to the service.

    Attributes:
        busy_s: The longest that the event loop worked without a pause, in its own CPU time.
        grown_mib: Memory at its largest, beyond what it was.
        lines: Of the log, from level warning.
        tracebacks: Of those with one.
    """

    busy_s: float = 0.0
    grown_mib: float = 0.0
    lines: list[str] = field(default_factory=list)
    tracebacks: int = 0


class _Lines(logging.Handler):
    def __init__(self, watch: Watch) -> None:
        super().__init__(logging.WARNING)
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        self._watch.lines.append(message)
        self._watch.tracebacks += bool(record.exc_info) or "\n" in message


@asynccontextmanager
async def watching() -> AsyncIterator[Watch]:
    watch, process, lines = Watch(), psutil.Process(), logging.getLogger()
    handler = _Lines(watch)
    lines.addHandler(handler)
    before = process.memory_info().rss

    async def tick() -> None:
        while True:
            start = time.thread_time()
            await asyncio.sleep(0.002)
            watch.busy_s = max(watch.busy_s, time.thread_time() - start)
            watch.grown_mib = max(watch.grown_mib, (process.memory_info().rss - before) / 2**20)

    ticking = asyncio.create_task(tick())
    try:
        yield watch
    finally:
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking
        lines.removeHandler(handler)


@asynccontextmanager
async def engine_of(name: str, *rogues: Rogue) -> AsyncIterator[RemoteEngine]:
    urls = tuple(rogue.url for rogue in rogues)
    settings = RemoteSettings(DEMO / "policy", name, urls, silence_s=SILENCE_S, patience=IMPATIENT)
    async with open_remote_engine(settings) as engine:
        await until(lambda: all(replica.is_up for replica in engine.replicas.all))
        yield engine


@asynccontextmanager
async def service(what: str, prompts: PromptBuilder, *rogues: Rogue) -> AsyncIterator[httpx.AsyncClient]:
    """The app, whose policy or verifier these servers run; the other is a toy."""
    world = World(Chance(0))
    async with AsyncExitStack() as stack:
        for rogue in rogues:
            await stack.enter_async_context(rogue.playing())
        if what in ("scores", "a class"):
            engine = await stack.enter_async_context(engine_of("verifier", *rogues))
            models, plain = Models(world.policy, WinnowPRM(engine, prompts), world.models.reader), None
        else:
            engine = await stack.enter_async_context(engine_of("policy", *rogues))
            models = Models(EnginePolicy(engine, prompts, decodes=True), world.verifier, world.models.reader)
            plain = RemoteHandlers(engine, prompts.tokenizer, POLICY_NAME)
        yield await stack.enter_async_context(listening(models, engine, plain=plain))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request to a service behind a server that misbehaves."""

    status: int
    text: str
    asked: int
    seconds: float
    watch: Watch
    health: int


async def suffer(what: str, play: Play, prompts: PromptBuilder) -> Outcome:
    """Ask a service whose only server misbehaves."""
    rogue = Rogue(ROWS[what][0], play)
    path, body = REQUESTS[what]
    async with service(what, prompts, rogue) as client:
        await client.get("/healthz")
        async with watching() as watch:
            start = time.perf_counter()
            reply = await client.post(path, json=body)
            seconds = time.perf_counter() - start
            health = (await client.get("/healthz")).status_code
    return Outcome(reply.status_code, reply.text, rogue.asked, seconds, watch, health)

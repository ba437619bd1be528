"""An engine whose processes are replicas of a deployment of Ray Serve's: requests go out through its handle.

Ray finds the replicas, tells whether they live, and chooses one for each request: the same for requests of the same
session, where the deployment has the router for it. A response whose replica goes away goes on at another one.

Tokens that were generated for a response that was left, and did not come any more, are not in the bill.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, aclosing, asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from prometheus_client import CollectorRegistry

from models.errors import EngineDiedError
from models.generation import Classified, Generated, Generation, Scored
from models.ray.settings import DeploymentSettings

Translated = Callable[[str, set[str]], AbstractContextManager[None]]
"""`failures.translated`, or what stands for it where Ray is not installed."""


START_WITHIN_S = 600.0
"""So long the first replica may take to load its model."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a replica says of its engine.

    Attributes:
        max_model_len: Longest prompt and response, in tokens.
        max_prompt_tokens: Longest prompt; None where the context alone bounds it.
    """

    max_model_len: int
    max_prompt_tokens: int | None


class RayEngine:
    """The replicas of a deployment as one engine.

    Attributes:
        name: What logs and metrics call it.
        metrics: None of its own: replicas have theirs, and Ray exports its own.

    Args:
        settings: Which deployment, and how long it is waited for.
        translated: Raises our errors in the place of Ray's.
    """

    def __init__(self, settings: DeploymentSettings, translated: Translated) -> None:
        self.name = settings.name
        self.metrics = CollectorRegistry()
        self.max_model_len = 0
        self.max_prompt_tokens: int | None = None
        self.num_running_requests = 0
        self._handle = settings.handle
        self._silence_s = settings.silence_s
        self._translated = translated
        self._dead: set[str] = set()

    @property
    def num_restarts(self) -> int:
        """How many replicas were found dead."""
        return len(self._dead)

    async def check(self) -> None:
        """Return when a replica answers; Ray replaces those whose engine does not.

        Raises:
            EngineUnavailableError: None does.
        """
        await self.meet(self._silence_s)

    async def meet(self, within_s: float) -> None:
        """Ask a replica what it can do.

        Raises:
            EngineUnavailableError: None says so in time.
        """
        limits: Limits = await self.ask("describe", within_s=within_s)
        self.max_model_len, self.max_prompt_tokens = limits.max_model_len, limits.max_prompt_tokens

    async def recovered(self) -> None:
        """Return when a replica answers.

        Raises:
            EngineUnavailableError: None does in time.
        """
        try:
            await self.check()
        except EngineDiedError:  # Ray may still have sent this to the replica that is gone
            await self.check()

    async def generate(
        self,
        token_ids: Sequence[int],
        asked: Generation,
        count: Callable[[int], None] = lambda _: None,
        *,
        affinity: str = "",
    ) -> AsyncGenerator[Generated, None]:
        """Yield what follows `token_ids`; closing it makes the replica stop."""
        async with aclosing(self.stream("generate", list(token_ids), asked, affinity=affinity)) as outputs:
            async for output in outputs:
                count(len(output.token_ids))
                yield output

    async def complete(self, token_ids: Sequence[int], asked: Generation, *, affinity: str = "") -> Generated:
        output: Generated = await self.ask_twice("complete", list(token_ids), asked, affinity=affinity)
        return output

    async def score(
        self, token_ids: Sequence[int], positions: Sequence[int], *, read_cache: bool = True, affinity: str = ""
    ) -> Scored:
        scored: Scored = await self.ask_twice("score", list(token_ids), list(positions), read_cache, affinity=affinity)
        return scored

    async def classify(self, token_ids: Sequence[int], *, affinity: str = "") -> Classified:
        classified: Classified = await self.ask_twice("classify", list(token_ids), affinity=affinity)
        return classified

    async def ask_twice(self, method: str, *arguments: Any, affinity: str = "") -> Any:
        """Return what a replica's method does; another replica is asked where the first one goes away.

        Raises:
            ModelError: The replica's own.
            EngineDiedError: The second is gone, too.
        """
        try:
            return await self.ask(method, *arguments, affinity=affinity)
        except EngineDiedError:
            return await self.ask(method, *arguments, affinity=affinity)

    async def ask(self, method: str, *arguments: Any, affinity: str = "", within_s: float | None = None) -> Any:
        """Return what a replica's method does, or raise what it raises.

        Raises:
            EngineDiedError: The replica is gone, or none answers in time.
        """
        self.num_running_requests += 1
        response = None
        try:
            with self._translated(self.name, self._dead):
                response = self._call(method, arguments, affinity, stream=False)
                async with asyncio.timeout(self._silence_s if within_s is None else within_s):
                    return await response
        except BaseException:
            if response is not None:
                response.cancel()
            raise
        finally:
            self.num_running_requests -= 1

    async def stream(self, method: str, *arguments: Any, affinity: str = "") -> AsyncGenerator[Any, None]:
        """Yield what a replica's generator yields; closing it closes that one.

        Raises:
            EngineDiedError: The replica is gone, or nothing comes for too long.
        """
        self.num_running_requests += 1
        responses, is_over = None, False
        try:
            with self._translated(self.name, self._dead):
                responses = self._call(method, arguments, affinity, stream=True)
                while not is_over:
                    try:
                        async with asyncio.timeout(self._silence_s):
                            output = await anext(responses)
                    except StopAsyncIteration:
                        is_over = True
                    else:
                        yield output
        finally:
            if responses is not None and not is_over:
                responses.cancel()
            self.num_running_requests -= 1

    def _call(self, method: str, arguments: Sequence[Any], affinity: str, *, stream: bool) -> Any:
        """Call a method, with what it is given and gives sent over gRPC: half of what Ray's object store costs.

        Outside the context of the HTTP request: Ray would end the call with that, and a search may outlive it.
        """
        session_id = blake2b(affinity.encode(), digest_size=8).hexdigest() if affinity else ""
        handle = self._handle.options(method_name=method, session_id=session_id, stream=stream, _by_reference=False)
        return Context().run(handle.remote, *arguments)


@asynccontextmanager
async def open_ray_engine(settings: DeploymentSettings) -> AsyncIterator[RayEngine]:
    """Reach the replicas of a deployment while the context lasts; Ray starts and stops them.

    Raises:
        EngineUnavailableError: None answers within ten minutes.
    """
    from models.ray.failures import translated  # Ray, which others do without

    engine = RayEngine(settings, translated)
    await engine.meet(START_WITHIN_S)
    yield engine

"""An engine whose processes are vLLM servers elsewhere: requests go out as token ids, and token ids come back.

What vLLM's server does not say over HTTP is not in the bill: tokens generated for a response that was left, which did
not come any more (fewer than `STREAM_INTERVAL`, and what was on its way); and which tokens were read from the prefix
cache, unless the server runs with `--enable-prompt-tokens-details` or, for scores, has `models.vllm.endpoint`.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from models.errors import EngineDiedError, EngineUnavailableError, RequestRefusedError
from models.generation import Classified, Generated, Generation, Scored
from models.remote import wire
from models.remote.metrics import ReplicaMetrics
from models.remote.replica import Replica
from models.remote.replicas import Replicas, open_replicas
from models.remote.settings import RemoteSettings

COMPLETIONS = "/v1/completions"
CLASSIFY = "/classify"
SCORES = "/v1/winnow/scores"
"""Below /v1, which vLLM's `--api-key` guards."""

Output = TypeVar("Output")


class RemoteEngine:
    """The servers of a model as one engine.

    Attributes:
        name: What logs and metrics call it.
        metrics: Which servers answer; each has metrics of its own.
        replicas: The servers.

    Args:
        settings: How the servers are asked.
        replicas: The servers, of which one answers.
    """

    def __init__(self, settings: RemoteSettings, replicas: Replicas) -> None:
        self.name = settings.name
        self.replicas = replicas
        self.metrics = CollectorRegistry()
        self.metrics.register(ReplicaMetrics(self.name, replicas))
        lengths = [replica.max_model_len for replica in replicas.all if replica.is_up]
        self.max_model_len = min([*lengths, settings.max_model_len or lengths[0]])

    @property
    def num_restarts(self) -> int:
        """How often a server came back."""
        return sum(replica.num_returns for replica in self.replicas.all)

    @property
    def num_running_requests(self) -> int:
        """Requests that have not ended."""
        return sum(replica.num_requests for replica in self.replicas.all)

    async def check(self) -> None:
        """Return when a server answers.

        Raises:
            EngineDiedError: None does.
        """
        self.replicas.require_any()

    async def recovered(self) -> None:
        """Return when a server answers.

        Raises:
            EngineUnavailableError: None does within half a minute.
        """
        await self.replicas.returned()

    async def generate(
        self,
        token_ids: Sequence[int],
        asked: Generation,
        count: Callable[[int], None] = lambda _: None,
        *,
        affinity: str = "",
    ) -> AsyncGenerator[Generated, None]:
        """Yield what follows `token_ids` as it comes, by `STREAM_INTERVAL` tokens; closing it makes the server stop.

        Args:
            token_ids: At least one.
            asked: How the response is generated.
            count: Called with the number of tokens whenever some came.
            affinity: Which requests belong together.

        Raises:
            EngineDiedError: The server failed; what came is lost unless the caller goes on from it.
            EngineUnavailableError: The server refused the request, or none answers.
        """
        replica = await self.replicas.choose(affinity)
        body = {"model": replica.model, "prompt": list(token_ids), **wire.sampling(asked, stream=True)}
        last = None
        with self._translated():
            async with aclosing(replica.stream(COMPLETIONS, body)) as events:
                async for event in events:
                    output = wire.generated(json.loads(event))
                    if output is None:
                        continue
                    count(len(output.token_ids))
                    if output.finish_reason == "abort":
                        raise EngineDiedError(f"{replica.url} stops")
                    if output.finish_reason is not None:
                        last = output  # only when the stream is read to its end: then its connection is kept
                    else:
                        yield output
        if last is not None:
            yield last

    async def complete(self, token_ids: Sequence[int], asked: Generation, *, affinity: str = "") -> Generated:
        """Return a whole response; asked for once more where the server fails.

        Raises:
            EngineUnavailableError: A server failed twice, or refused the request, or none answers.
        """

        async def ask(replica: Replica) -> Generated:
            body = {"model": replica.model, "prompt": list(token_ids), **wire.sampling(asked, stream=False)}
            output = wire.generated(await replica.post(COMPLETIONS, body))
            if output is None or output.finish_reason == "abort":
                raise EngineDiedError(f"{replica.url} stops")
            return output

        return await self._ask(ask, affinity)

    async def score(
        self, token_ids: Sequence[int], positions: Sequence[int], *, read_cache: bool = True, affinity: str = ""
    ) -> Scored:
        """Return what a reward model says at positions; asked for once more where the server fails.

        Raises:
            EngineUnavailableError: A server failed twice, or refused the request, or none answers.
        """

        async def ask(replica: Replica) -> Scored:
            if SCORES not in replica.lacks:
                try:
                    body = wire.scoring(token_ids, positions, read_cache=read_cache)
                    return wire.scored(await replica.post(SCORES, body))
                except EngineUnavailableError:
                    if SCORES not in replica.lacks:
                        raise
            return await _score_one_by_one(replica, token_ids, positions)

        return await self._ask(ask, affinity)

    async def classify(self, token_ids: Sequence[int], *, affinity: str = "") -> Classified:
        """Return what a classifier says of `token_ids`; asked for once more where the server fails.

        Raises:
            EngineUnavailableError: A server failed twice, or refused the request, or none answers.
        """

        async def ask(replica: Replica) -> Classified:
            logits = await _classify(replica, token_ids, use_activation=False)
            return Classified(tuple(logits), 0)  # how much of it came from the cache vLLM does not say

        return await self._ask(ask, affinity)

    async def _ask(self, ask: Callable[[Replica], Awaitable[Output]], affinity: str) -> Output:
        with self._translated():
            try:
                return await ask(await self.replicas.choose(affinity))
            except EngineDiedError:
                return await ask(await self.replicas.choose(affinity))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except RequestRefusedError as error:
            raise EngineUnavailableError(f"the {self.name} engine refused the request: {error}") from error


async def _classify(replica: Replica, token_ids: Sequence[int], *, use_activation: bool | None = None) -> list[float]:
    body = {"model": replica.model, "input": list(token_ids), "use_activation": use_activation}
    answer: dict[str, Any] = await replica.post(CLASSIFY, body)
    values: list[float] = answer["data"][0]["probs"]
    return values


async def _score_one_by_one(replica: Replica, token_ids: Sequence[int], positions: Sequence[int]) -> Scored:
    """Ask a server without our endpoint for one score a request."""
    asking = (_classify(replica, token_ids[: position + 1]) for position in positions)
    values = await asyncio.gather(*asking)
    return Scored({position: each[-1] for position, each in zip(positions, values, strict=True)}, 0)


@asynccontextmanager
async def open_remote_engine(settings: RemoteSettings) -> AsyncIterator[RemoteEngine]:
    """Reach the servers of a model while the context lasts.

    Raises:
        EngineUnavailableError: None answers within ten minutes.
    """
    async with open_replicas(settings) as replicas:
        yield RemoteEngine(settings, replicas)

"""An engine whose processes are vLLM servers elsewhere: requests go out as token ids, and token ids come back.

What vLLM's server does not say over HTTP is not in the bill: tokens generated for a response that was left, which did
not come any more (fewer than `STREAM_INTERVAL`, and what was on its way); and which tokens were read from the prefix
cache, unless the server runs with `--enable-prompt-tokens-details` or, for scores, has `models.prm.endpoint`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from typing import TypeVar

from prometheus_client import CollectorRegistry
from vllm import PoolingParams, PoolingRequestOutput, RequestOutput, SamplingParams

from models.checkpoint import read_config
from models.errors import EngineDiedError, EngineUnavailableError, RequestRefusedError
from models.remote import wire
from models.remote.metrics import ReplicaMetrics
from models.remote.replica import Replica
from models.remote.replicas import Replicas, open_replicas
from models.remote.replies import (
    BASE_BYTES,
    EVENT_BYTES,
    LOGPROB_BYTES,
    PROMPT_TOKEN_BYTES,
    SCORE_BYTES,
    TOKEN_BYTES,
    ReplyError,
    ResponseReader,
    Scores,
    read_class,
    read_logprobs,
    read_score,
    read_scores,
)
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
        vocab_size = read_config(settings.model).get("vocab_size")
        self._vocab_size = vocab_size if isinstance(vocab_size, int) else replicas.num_tokens

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
        params: SamplingParams,
        count: Callable[[int], None] = lambda _: None,
        *,
        affinity: str = "",
    ) -> AsyncGenerator[RequestOutput, None]:
        """Yield what follows `token_ids` as it comes, by `STREAM_INTERVAL` tokens; closing it makes the server stop.

        Args:
            token_ids: At least one.
            params: For one response.
            count: Is told how many tokens came.
            affinity: Which requests belong together.

        Raises:
            EngineDiedError: The server failed; what came is lost unless the caller goes on from it.
            EngineUnavailableError: The server refused the request, or none answers.
        """
        replica = await self.replicas.choose(affinity)
        body = {"model": replica.model, "prompt": list(token_ids), **wire.sampling(params, stream=True)}
        max_tokens = params.max_tokens or self.max_model_len
        reader = ResponseReader(self._vocab_size, len(token_ids), max_tokens)
        most = BASE_BYTES + PROMPT_TOKEN_BYTES * len(token_ids)
        sizes = most + TOKEN_BYTES * max_tokens, most + EVENT_BYTES * max_tokens
        last = None
        with self._translated():
            async with aclosing(replica.stream(COMPLETIONS, body, reader.read, *sizes)) as events:
                async for event in events:
                    output = wire.generated(event)
                    if output is None:
                        continue
                    count(len(output.outputs[0].token_ids))
                    if output.finished:
                        last = output  # only when the stream is read to its end: then its connection is kept
                    else:
                        yield output
        if last is None:
            raise replica.blame("it ended a response without saying why")
        yield last

    async def complete(self, token_ids: Sequence[int], params: SamplingParams, *, affinity: str = "") -> RequestOutput:
        """Return the only output of a request for one response; repeated once where the server fails.

        Raises:
            EngineUnavailableError: A server failed twice, or refused the request, or none answers.
        """

        async def ask(replica: Replica) -> RequestOutput:
            body = {"model": replica.model, "prompt": list(token_ids), **wire.sampling(params, stream=False)}
            return await replica.post(COMPLETIONS, body, read, most)

        wanted, max_tokens = params.logprob_token_ids or [], params.max_tokens or self.max_model_len
        most = BASE_BYTES + PROMPT_TOKEN_BYTES * len(token_ids) + TOKEN_BYTES * max_tokens
        most += LOGPROB_BYTES * len(wanted) * max_tokens

        def read(data: bytes) -> RequestOutput:
            reader = ResponseReader(self._vocab_size, len(token_ids), max_tokens)
            answer = reader.read(data)
            if not reader.is_over:
                raise ReplyError("no response, or one without an end")
            logprobs = read_logprobs(answer.choices[0], wanted, wire.TOKEN_PREFIX) if wanted else None
            output = wire.generated(answer, logprobs)
            assert output is not None  # noqa: S101 - a response that is over is one
            return output

        return await self._ask(ask, affinity)

    async def pool(
        self, token_ids: Sequence[int], params: PoolingParams, *, affinity: str = ""
    ) -> PoolingRequestOutput:
        """Return what a pooling model makes of `token_ids`; repeated once where the server fails.

        Raises:
            EngineUnavailableError: A server failed twice, or refused the request, or none answers.
        """

        async def ask(replica: Replica) -> PoolingRequestOutput:
            if params.extra_kwargs is None:
                return wire.classified(token_ids, await _classify(replica, token_ids, params, read_class))
            if SCORES not in replica.lacks:
                positions: list[int] = params.extra_kwargs["positions"]
                most = BASE_BYTES + SCORE_BYTES * len(positions)
                reader = partial(read_scores, num_tokens=len(token_ids), positions=positions)
                try:
                    body = wire.positions(token_ids, params)
                    return wire.scored(token_ids, await replica.post(SCORES, body, reader, most))
                except EngineUnavailableError:
                    if SCORES not in replica.lacks:
                        raise
            return await _score_one_by_one(replica, token_ids, params)

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


async def _classify(
    replica: Replica, token_ids: Sequence[int], params: PoolingParams, reader: Callable[[bytes], Output]
) -> Output:
    body = {"model": replica.model, "input": list(token_ids), "use_activation": params.use_activation}
    return await replica.post(CLASSIFY, body, reader, BASE_BYTES)


async def _score_one_by_one(replica: Replica, token_ids: Sequence[int], params: PoolingParams) -> PoolingRequestOutput:
    """Ask a server without our endpoint for one score a request."""
    positions: list[int] = (params.extra_kwargs or {})["positions"]
    asked = (_classify(replica, token_ids[: position + 1], params, read_score) for position in positions)
    rows = tuple(zip(positions, await asyncio.gather(*asked), strict=True))
    return wire.scored(token_ids, Scores(scores=rows, num_cached_tokens=0))


@asynccontextmanager
async def open_remote_engine(settings: RemoteSettings) -> AsyncIterator[RemoteEngine]:
    """Reach the servers of a model while the context lasts.

    Raises:
        EngineUnavailableError: None answers within ten minutes.
    """
    async with open_replicas(settings) as replicas:
        yield RemoteEngine(settings, replicas)

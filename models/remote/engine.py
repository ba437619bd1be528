"""An engine whose processes are vLLM servers elsewhere: requests go out as token ids, and token ids come back.

What vLLM's server does not say over HTTP is not in the bill: tokens generated for a response that was left, which did
not come any more (fewer than `STREAM_INTERVAL`, and what was on its way); and which tokens were read from the prefix
cache, unless the server runs with `--enable-prompt-tokens-details` or, for scores, has `models.vllm.endpoint`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from typing import TypeVar

from prometheus_client import CollectorRegistry

from models.checkpoints.checkpoint import read_config
from models.engine_client import Cache
from models.errors import EngineDiedError, EngineUnavailableError, RequestRefusedError
from models.generation import Classified, Generated, Generation, Scored
from models.remote import wire
from models.remote.metrics import ReplicaMetrics
from models.remote.releases import GRAMMARS, Runner
from models.remote.replica import Replica
from models.remote.replicas import Replicas, open_replicas
from models.remote.replies import (
    BASE_BYTES,
    EVENT_BYTES,
    LOGPROB_BYTES,
    PROMPT_TOKEN_BYTES,
    SCORE_BYTES,
    TOKEN_BYTES,
    TOP_LOGPROB_BYTES,
    ReplyError,
    ResponseReader,
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
        cache: What they hold together; None where they do not say.

    Args:
        settings: How the servers are asked.
        replicas: The servers, of which one answers.
        cache: What they hold together; None where they do not say.
    """

    def __init__(self, settings: RemoteSettings, replicas: Replicas, cache: Cache | None = None) -> None:
        self.name = settings.name
        self.replicas = replicas
        self.cache = cache
        self.metrics = CollectorRegistry()
        self.metrics.register(ReplicaMetrics(self.name, replicas))
        lengths = [replica.max_model_len for replica in replicas.all if replica.is_up]
        self.max_prompt_tokens = settings.max_prompt_tokens
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
        asked: Generation,
        count: Callable[[int], None] = lambda _: None,
        *,
        affinity: str = "",
    ) -> AsyncGenerator[Generated, None]:
        """Yield what follows `token_ids`, `STREAM_INTERVAL` tokens at a time; closing it makes the server stop."""
        replica = await self.replicas.choose(affinity)
        if asked.grammar is not None and any(gap.field == GRAMMARS for gap in replica.gaps):
            raise EngineUnavailableError(f"{replica.url} holds no response to a grammar: its vLLM has no {GRAMMARS}")
        body = {"model": replica.model, "prompt": list(token_ids), **wire.sampling(asked, stream=True)}
        reader = ResponseReader(self._vocab_size, len(token_ids), asked.max_tokens)
        most = BASE_BYTES + PROMPT_TOKEN_BYTES * len(token_ids)
        most += _logprob_bytes(asked)
        sizes = most + TOKEN_BYTES * asked.max_tokens, most + EVENT_BYTES * asked.max_tokens
        last = None

        def read(data: bytes) -> Generated | None:
            return wire.generated(reader.read(data), num_logprobs=asked.num_logprobs)

        with self._translated():
            async with aclosing(replica.stream(COMPLETIONS, body, read, *sizes, affinity=affinity)) as events:
                async for output in events:
                    if output is None:
                        continue
                    count(len(output.token_ids))
                    if output.finish_reason == "abort":
                        raise EngineDiedError(f"{replica.url} stops")
                    if output.finish_reason is not None:
                        last = output  # only when the stream is read to its end: then its connection is kept
                    else:
                        yield output
        if last is None:
            raise replica.blame("it ended a response without saying why")
        yield last

    async def complete(self, token_ids: Sequence[int], asked: Generation, *, affinity: str = "") -> Generated:
        async def ask(replica: Replica) -> Generated:
            body = {"model": replica.model, "prompt": list(token_ids), **wire.sampling(asked, stream=False)}
            return await replica.post(COMPLETIONS, body, read, most, affinity=affinity)

        wanted = asked.logprob_ids
        most = BASE_BYTES + PROMPT_TOKEN_BYTES * len(token_ids)
        most += (TOKEN_BYTES + LOGPROB_BYTES * len(wanted)) * asked.max_tokens + _logprob_bytes(asked)

        def read(data: bytes) -> Generated:
            reader = ResponseReader(self._vocab_size, len(token_ids), asked.max_tokens)
            answer = reader.read(data)
            if not reader.is_over:
                raise ReplyError("no response, or one without an end")
            logprobs = read_logprobs(answer.choices[0], wanted, wire.TOKEN_PREFIX) if wanted else None
            output = wire.generated(answer, logprobs, num_logprobs=asked.num_logprobs)
            assert output is not None  # noqa: S101 - a response that is over is one
            if output.finish_reason == "abort":
                raise ReplyError("it stops")
            return output

        return await self._ask(ask, affinity)

    async def score(
        self, token_ids: Sequence[int], positions: Sequence[int], *, read_cache: bool = True, affinity: str = ""
    ) -> Scored:
        async def ask(replica: Replica) -> Scored:
            if SCORES not in replica.lacks:
                most = BASE_BYTES + SCORE_BYTES * len(positions)
                reader = partial(read_scores, num_tokens=len(token_ids), positions=positions)
                try:
                    body = wire.scoring(token_ids, positions, read_cache=read_cache)
                    return wire.scored(await replica.post(SCORES, body, reader, most, affinity=affinity))
                except EngineUnavailableError:
                    if SCORES not in replica.lacks:
                        raise
            return await _score_one_by_one(replica, token_ids, positions, affinity)

        return await self._ask(ask, affinity)

    async def classify(self, token_ids: Sequence[int], *, affinity: str = "") -> Classified:
        async def ask(replica: Replica) -> Classified:
            logits = await _classify(replica, token_ids, read_class, affinity, use_activation=False)
            return Classified(logits, 0)  # how much of it came from the cache vLLM does not say

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


def _logprob_bytes(asked: Generation) -> int:
    """What the log-probabilities of a response may take: the highest, and three fields that describe the token."""
    return TOP_LOGPROB_BYTES * (asked.num_logprobs + 4) * asked.max_tokens if asked.num_logprobs else 0


async def _classify(
    replica: Replica,
    token_ids: Sequence[int],
    reader: Callable[[bytes], Output],
    affinity: str,
    *,
    use_activation: bool | None = None,
) -> Output:
    body = {"model": replica.model, "input": list(token_ids), "use_activation": use_activation}
    return await replica.post(CLASSIFY, body, reader, BASE_BYTES, affinity=affinity)


async def _score_one_by_one(
    replica: Replica, token_ids: Sequence[int], positions: Sequence[int], affinity: str
) -> Scored:
    """Ask a server without our endpoint for one score a request."""
    asking = (_classify(replica, token_ids[: position + 1], read_score, affinity) for position in positions)
    return Scored(dict(zip(positions, await asyncio.gather(*asking), strict=True)), 0)


@asynccontextmanager
async def open_remote_engine(settings: RemoteSettings, runner: Runner | None = None) -> AsyncIterator[RemoteEngine]:
    """Reach the servers of a model while the context lasts.

    Args:
        settings: Where they are.
        runner: What they are asked to do; None where nobody knows.

    Raises:
        EngineUnavailableError: None answers within ten minutes.
    """
    async with open_replicas(settings, runner) as replicas:
        yield RemoteEngine(settings, replicas, await _cache(replicas))


async def _cache(replicas: Replicas) -> Cache | None:
    """Return what the servers hold together, by those that answer: one that starts later is taken for the smallest."""
    sizes = await asyncio.gather(*(replica.cache_tokens() for replica in replicas.all if replica.is_up))
    known = [size for size in sizes if size is not None]
    return Cache(min(known) * len(replicas.all)) if known and len(known) == len(sizes) else None

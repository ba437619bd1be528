"""What policies and verifiers need of an engine, be it a process of this service or a server elsewhere.

Knows nothing of problems, steps or vendors.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from prometheus_client import CollectorRegistry

from models.errors import ContextOverflowError, PromptTooLongError
from models.generation import Classified, Generated, Generation, Scored


class RunningModel(Protocol):
    """What runs a model for this service, and can be asked how it is: an engine here or elsewhere, a thread, processes.

    Attributes:
        name: What logs and metrics call it.
        metrics: Its own Prometheus metrics; an engine that is started again has new ones.
    """

    name: str
    metrics: CollectorRegistry

    @property
    def num_restarts(self) -> int:
        """How often it was started again, or a server of it came back."""

    async def check(self) -> None:
        """Return when it answers.

        Raises:
            EngineUnavailableError: It does not.
        """


@dataclass(frozen=True, slots=True)
class Cache:
    """What an engine can hold of the requests that run.

    Attributes:
        tokens: That its KV cache has room for, over all servers.
        num_requests: That run at a time; None where the engine does not say.
    """

    tokens: int
    num_requests: int | None = None


@runtime_checkable
class HasCache(Protocol):
    """An engine with a KV cache."""

    @property
    def cache(self) -> Cache | None:
        """How large it is; None where the engine does not say."""


@runtime_checkable
class OwnEngine(Protocol):
    """An engine of this service, which can be told how much it does at a time."""

    @property
    def sizes(self) -> dict[str, int]:
        """How much that is, by the names of vLLM's arguments."""

    async def forget(self) -> None:
        """Empty its prefix cache.

        Raises:
            EngineUnavailableError: A request is still at work.
        """


class EngineClient(RunningModel, Protocol):
    """An engine that answers requests of token ids. Cancelling the caller's task aborts the request.

    `affinity` is a text that requests with a common prefix share: where there are several servers, the one that has
    read the prefix gets them all.

    Attributes:
        max_model_len: Longest prompt and response, in tokens.
        max_prompt_tokens: Longest prompt; None where the context alone bounds it.
    """

    max_model_len: int
    max_prompt_tokens: int | None

    @property
    def num_running_requests(self) -> int:
        """Requests that have not ended."""

    async def recovered(self) -> None:
        """Return when it answers again.

        Raises:
            EngineUnavailableError: It takes too long.
        """

    def generate(
        self,
        token_ids: Sequence[int],
        asked: Generation,
        count: Callable[[int], None] = ...,
        *,
        affinity: str = ...,
    ) -> AsyncGenerator[Generated, None]:
        """Yield what follows `token_ids` as it comes; closing the generator aborts the request.

        Args:
            token_ids: At least one.
            asked: How the response is generated.
            count: Called with the number of tokens whenever some came.
            affinity: See above.

        Raises:
            EngineDiedError: The engine died; what came is lost unless the caller goes on from it.
            EngineUnavailableError: The engine refused the request.
        """

    async def complete(self, token_ids: Sequence[int], asked: Generation, *, affinity: str = ...) -> Generated:
        """Return a whole response; asked for once more where the engine dies.

        Raises:
            EngineUnavailableError: The engine died twice, or refused the request.
        """

    async def score(
        self, token_ids: Sequence[int], positions: Sequence[int], *, read_cache: bool = ..., affinity: str = ...
    ) -> Scored:
        """Return what a reward model says at positions; asked for once more where the engine dies.

        Args:
            token_ids: At least one.
            positions: Ascending, each that of one of the tokens.
            read_cache: Positions in the prefix that the engine has cached are left out; False computes them all.
            affinity: See above.

        Raises:
            EngineUnavailableError: The engine died twice, or refused the request.
        """

    async def classify(self, token_ids: Sequence[int], *, affinity: str = ...) -> Classified:
        """Return what a classifier says of `token_ids`; asked for once more where the engine dies.

        Raises:
            EngineUnavailableError: The engine died twice, or refused the request.
        """


def require_short(engine: EngineClient, num_tokens: int) -> None:
    """See that a prompt is one that the engine is to read.

    Raises:
        PromptTooLongError: It is longer.
    """
    if engine.max_prompt_tokens is not None and num_tokens > engine.max_prompt_tokens:
        raise PromptTooLongError(num_tokens, engine.max_prompt_tokens)


def require_room(engine: EngineClient, num_tokens: int) -> None:
    """See that a prompt and its response fit into the context.

    Raises:
        ContextOverflowError: They do not.
    """
    if num_tokens > engine.max_model_len:
        raise ContextOverflowError(num_tokens, engine.max_model_len)

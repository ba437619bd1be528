"""What policies and verifiers need of an engine, be it a process of this service or a server elsewhere.

Requests and outputs are vLLM's own. Knows nothing of problems, steps or scores.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from vllm import PoolingParams, PoolingRequestOutput, RequestOutput, SamplingParams

from models.embedded import EmbeddedEngine
from models.errors import ContextOverflowError


class EngineClient(EmbeddedEngine, Protocol):
    """An engine that answers requests of token ids. Cancelling the caller's task aborts the request.

    `affinity` is a text that requests with a common prefix share: where there are several servers, the one that has
    read the prefix gets them all.

    Attributes:
        max_model_len: Longest prompt and response, in tokens.
    """

    max_model_len: int

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
        params: SamplingParams,
        count: Callable[[int], None] = ...,
        *,
        affinity: str = ...,
    ) -> AsyncGenerator[RequestOutput, None]:
        """Yield what follows `token_ids` as it comes; closing the generator aborts the request.

        Args:
            token_ids: At least one.
            params: For one response, its output of the kind DELTA.
            count: Is told how many tokens came.
            affinity: See above.

        Raises:
            EngineDiedError: The engine died; what came is lost unless the caller goes on from it.
            EngineUnavailableError: The engine refused the request.
        """

    async def complete(self, token_ids: Sequence[int], params: SamplingParams, *, affinity: str = ...) -> RequestOutput:
        """Return the only output of a request for one response; repeated once where the engine dies.

        Raises:
            EngineUnavailableError: The engine died twice, or refused the request.
        """

    async def pool(
        self, token_ids: Sequence[int], params: PoolingParams, *, affinity: str = ...
    ) -> PoolingRequestOutput:
        """Return what a pooling model makes of `token_ids`; repeated once where the engine dies.

        Raises:
            EngineUnavailableError: The engine died twice, or refused the request.
        """


def require_room(engine: EngineClient, num_tokens: int) -> None:
    """See that a prompt and its response fit into the context.

    Raises:
        ContextOverflowError: They do not.
    """
    if num_tokens > engine.max_model_len:
        raise ContextOverflowError(num_tokens, engine.max_model_len)

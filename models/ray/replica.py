"""One replica of a deployment: an engine behind the methods that `RayEngine` and `RayHandlers` call.

Knows nothing of Ray: it calls these methods by name, `check_health` and `record_autoscaling_stats` among them.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, Protocol

from models.engine_client import EngineClient
from models.generation import Classified, Generated, Generation, Scored
from models.openai.grammars.bounds import Asked
from models.ray.engine import Limits
from models.ray.scaling import TOKENS


class Handlers(Protocol):
    """The policy behind OpenAI's interface, beside the engine."""

    async def chat(self, body: Mapping[str, Any], client: str) -> dict[str, Any] | AsyncGenerator[str, None]:
        """Answer a chat completion."""

    async def complete(self, body: Mapping[str, Any], client: str) -> dict[str, Any] | AsyncGenerator[str, None]:
        """Answer a completion."""

    async def respond(self, body: Mapping[str, Any], client: str) -> dict[str, Any] | AsyncGenerator[str, None]:
        """Answer a request of `/v1/responses`."""

    async def try_grammar(self, asked: Asked, client: str, num_responses: int) -> None:
        """Return if so many responses can be held to a grammar."""


class EngineReplica:
    """An engine, and how much it holds.

    Args:
        engine: That runs here; a request waits while it is started again.
        handlers: Of a policy; None for a verifier.
    """

    def __init__(self, engine: EngineClient, handlers: Handlers | None = None) -> None:
        self._engine = engine
        self._handlers = handlers
        self._num_tokens = 0

    async def describe(self) -> Limits:
        return Limits(self._engine.max_model_len, self._engine.max_prompt_tokens)

    async def check_health(self) -> None:
        """Raise for Ray, which replaces a replica that does so three times: the engine is started again before."""
        await self._engine.check()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        return {TOKENS: float(self._num_tokens)}

    async def generate(self, token_ids: Sequence[int], asked: Generation) -> AsyncGenerator[Generated, None]:
        await self._engine.recovered()
        with self._holding(len(token_ids)) as count:
            async with aclosing(self._engine.generate(token_ids, asked, count)) as outputs:
                async for output in outputs:
                    yield output

    async def complete(self, token_ids: Sequence[int], asked: Generation) -> Generated:
        with self._holding(len(token_ids)):
            return await self._engine.complete(token_ids, asked)

    async def score(self, token_ids: Sequence[int], positions: Sequence[int], read_cache: bool) -> Scored:
        with self._holding(len(token_ids)):
            return await self._engine.score(token_ids, positions, read_cache=read_cache)

    async def classify(self, token_ids: Sequence[int]) -> Classified:
        with self._holding(len(token_ids)):
            return await self._engine.classify(token_ids)

    async def answer(self, route: str, body: Mapping[str, Any], client: str) -> dict[str, Any]:
        """Answer a request of OpenAI's interface that asks for no stream; `route` is the name of a handler."""
        reply: dict[str, Any] = await getattr(self._handlers, route)(body, client)
        return reply

    async def events(self, route: str, body: Mapping[str, Any], client: str) -> AsyncGenerator[str, None]:
        """Yield the events of one that does."""
        async with aclosing(await getattr(self._handlers, route)(body, client)) as events:
            async for event in events:
                yield event

    async def try_grammar(self, asked: Asked, client: str, num_responses: int) -> None:
        assert self._handlers is not None  # noqa: S101 - verifiers are not asked
        await self._handlers.try_grammar(asked, client, num_responses)

    @contextmanager
    def _holding(self, num_tokens: int) -> Iterator[Callable[[int], None]]:
        """Count the tokens of a request, and those that come."""
        num_held = 0

        def count(number: int) -> None:
            nonlocal num_held
            num_held += number
            self._num_tokens += number

        count(num_tokens)
        try:
            yield count
        finally:
            self._num_tokens -= num_held

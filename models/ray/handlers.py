"""The policy itself behind OpenAI's interface, where replicas run it: read and answered there, passed on here."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from models.errors import EngineDiedError
from models.openai.grammars.bounds import Asked
from models.ray.engine import RayEngine

Reply = dict[str, Any] | AsyncGenerator[str, None]


class RayHandlers:
    """The replicas' handlers of chats, completions and responses.

    A request whose replica goes away before it has said anything is sent to another one.

    Args:
        engine: The replicas of the policy.
        name: What clients call the policy.
    """

    def __init__(self, engine: RayEngine, name: str) -> None:
        self.name = name
        self._engine = engine

    async def chat(self, body: Mapping[str, Any], client: str = "") -> Reply:
        return await self._forward("chat", body, client)

    async def complete(self, body: Mapping[str, Any], client: str = "") -> Reply:
        return await self._forward("complete", body, client)

    async def respond(self, body: Mapping[str, Any], client: str = "") -> Reply:
        return await self._forward("respond", body, client)

    async def try_grammar(self, asked: Asked, client: str = "", num_responses: int = 1) -> None:
        await self._engine.ask_twice("try_grammar", asked, client, num_responses)

    async def stop(self) -> None:
        """Do nothing: what was started is the replicas'."""

    async def _forward(self, route: str, body: Mapping[str, Any], client: str) -> Reply:
        affinity = opening_of(body)
        if not body.get("stream"):
            reply: dict[str, Any] = await self._engine.ask_twice("answer", route, body, client, affinity=affinity)
            return reply
        try:
            return await self._begin(route, body, client, affinity)
        except EngineDiedError:
            return await self._begin(route, body, client, affinity)

    async def _begin(
        self, route: str, body: Mapping[str, Any], client: str, affinity: str
    ) -> AsyncGenerator[str, None]:
        events = self._engine.stream("events", route, body, client, affinity=affinity)
        try:
            return _chain(await anext(events), events)  # a stream is only begun when its first event is no error
        except BaseException:
            await events.aclose()
            raise


def opening_of(body: Mapping[str, Any]) -> str:
    """Return what a request begins with for the user: those that say the same share a cache."""
    messages = body.get("messages") or body.get("input") or ()
    said = next((message.get("content") for message in messages if message.get("role") == "user"), None)
    return str(body.get("prompt", "") if said is None else said)


async def _chain(first: str, rest: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    async with aclosing(rest):
        yield first
        async for event in rest:
            yield event

"""The policy itself behind OpenAI's interface, where servers elsewhere run it: read here, answered there.

Knows requests and replies as JSON; knows nothing of searches. A request that a server loses before it has said anything
is sent once more.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import EngineDiedError
from models.openai.fields import KINDS
from models.openai.requests import RequestReader
from models.remote.engine import COMPLETIONS, RemoteEngine

CHATS = "/v1/chat/completions"

Reply = dict[str, Any] | AsyncGenerator[str, None]


class RemoteHandlers:
    """The servers' own handlers of chats and completions.

    Args:
        engine: The servers.
        tokenizer: Of the policy.
        name: What clients call the policy; the servers may call it otherwise.
    """

    def __init__(self, engine: RemoteEngine, tokenizer: ChatTokenizer, name: str) -> None:
        self.name = name
        self._engine = engine
        self._requests = RequestReader(tokenizer, KINDS)

    async def chat(self, body: Mapping[str, Any]) -> Reply:
        """Answer the body of a chat completion.

        Raises:
            RequestRefusedError: vLLM has no use for it.
            EngineUnavailableError: No server answers, or it refuses.
        """
        tokenised = self._requests.read_chat(body).kv_transfer_params
        sent = dict(body) | ({"kv_transfer_params": tokenised} if tokenised else {})
        said = (message.get("content") for message in body["messages"] if message.get("role") == "user")
        return await self._forward(CHATS, sent, str(next(said, "")))

    async def complete(self, body: Mapping[str, Any]) -> Reply:
        """Answer the body of a completion; its prompt goes to the policy as it is, without a chat template.

        Raises:
            RequestRefusedError: vLLM has no use for it.
            EngineUnavailableError: No server answers, or it refuses.
        """
        self._requests.read_completion(body)
        return await self._forward(COMPLETIONS, body, str(body["prompt"]))

    async def _forward(self, path: str, body: Mapping[str, Any], affinity: str) -> Reply:
        try:
            return await self._send(path, body, affinity)
        except EngineDiedError:
            return await self._send(path, body, affinity)

    async def _send(self, path: str, body: Mapping[str, Any], affinity: str) -> Reply:
        replica = await self._engine.replicas.choose(affinity)
        sent = {**body, "model": replica.model}
        if not body.get("stream"):
            return await replica.post(path, sent, is_slow=True) | {"model": self.name}
        events = replica.stream(path, sent)
        try:
            first = await anext(events)  # a stream is only begun when its first event is no error
        except BaseException:
            await events.aclose()
            raise
        return self._stream(first, events)

    async def _stream(self, first: str, rest: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
        async with aclosing(rest):
            yield self._event(first)
            async for event in rest:
                yield self._event(event)
            yield "data: [DONE]\n\n"

    def _event(self, event: str) -> str:
        return f"data: {json.dumps(json.loads(event) | {'model': self.name})}\n\n"

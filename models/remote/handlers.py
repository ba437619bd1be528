"""The policy itself behind OpenAI's interface, where servers elsewhere run it: read here, answered there.

Knows requests and replies as JSON; knows nothing of searches. A request that a server loses before it has said anything
is sent once more.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import EngineDiedError, RequestRefusedError
from models.openai.fields import KINDS
from models.openai.requests import RequestReader, field_of
from models.remote.engine import COMPLETIONS, RemoteEngine
from models.remote.replies import BASE_BYTES, EVENT_BYTES, LOGPROB_BYTES, PROMPT_TOKEN_BYTES, read_plain

CHATS = "/v1/chat/completions"
SERVERS_STOPS = 4
"""Texts of `stop` that vLLM's servers take unless told otherwise."""

Reply = dict[str, Any] | AsyncGenerator[str, None]


@dataclass(frozen=True, slots=True)
class Asked:
    """How much a request asks for.

    Attributes:
        num_choices: Of all prompts.
        num_logprobs: At each token; that of the token itself is one.
        of_prompt: Whether those of the prompt are asked for, too.
    """

    num_choices: int
    num_logprobs: int
    of_prompt: bool

    @classmethod
    def by(cls, request: BaseModel) -> "Asked":
        """Read a request that vLLM takes."""
        fields = request.model_dump(include={"n", "prompt", "logprobs", "top_logprobs", "prompt_logprobs", "echo"})
        prompt = fields.get("prompt")
        num_prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
        num_logprobs = max(int(fields.get(name) or 0) for name in ("logprobs", "top_logprobs", "prompt_logprobs"))
        of_prompt = bool(fields.get("prompt_logprobs") or fields.get("echo"))
        return cls(num_prompts * (fields.get("n") or 1), num_logprobs + 1, of_prompt)

    def most_bytes(self, max_model_len: int) -> int:
        """Return how long the answer can be."""
        each = PROMPT_TOKEN_BYTES + EVENT_BYTES + LOGPROB_BYTES * self.num_logprobs
        return BASE_BYTES + self.num_choices * max_model_len * (1 + self.of_prompt) * each


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
        self._requests = RequestReader(tokenizer, KINDS, engine.max_model_len)

    async def chat(self, body: Mapping[str, Any], client: str = "") -> Reply:
        """Answer the body of a chat completion.

        Raises:
            RequestRefusedError: vLLM cannot use it.
            EngineUnavailableError: No server answers, or it refuses.
        """
        request = await self._requests.read_chat(body, client)
        tokenised = request.kv_transfer_params
        sent = dict(body) | ({"kv_transfer_params": tokenised} if tokenised else {})
        said = (message.get("content") for message in body["messages"] if message.get("role") == "user")
        return await self._forward(CHATS, sent, Asked.by(request), str(next(said, "")))

    async def complete(self, body: Mapping[str, Any], client: str = "") -> Reply:
        """Answer the body of a completion; its prompt goes to the policy as it is, without a chat template.

        Raises:
            RequestRefusedError: vLLM cannot use it.
            EngineUnavailableError: No server answers, or it refuses.
        """
        asked = Asked.by(await self._requests.read_completion(body, client))
        return await self._forward(COMPLETIONS, body, asked, str(body["prompt"]))

    async def stop(self) -> None:
        """End what tries grammars; the servers are others'."""
        await self._requests.stop()

    async def _forward(self, path: str, body: Mapping[str, Any], asked: "Asked", affinity: str) -> Reply:
        try:
            return await self._send(path, body, asked, affinity)
        except EngineDiedError:
            return await self._send(path, body, asked, affinity)
        except RequestRefusedError as error:
            field, stops = field_of(error.param, str(error), body), body.get("stop")
            if field == "stop" and isinstance(stops, list) and len(stops) > SERVERS_STOPS:
                message = f"stop: {len(stops)} texts are more than the server takes; allowed: {SERVERS_STOPS}"
                raise RequestRefusedError(f"{message}, unless it sets VLLM_MAX_STOP_STRINGS", field) from error
            raise RequestRefusedError(str(error), field) from error

    async def _send(self, path: str, body: Mapping[str, Any], asked: "Asked", affinity: str) -> Reply:
        replica = await self._engine.replicas.choose(affinity)
        sent = {**body, "model": replica.model}
        num_choices, most = asked.num_choices, asked.most_bytes(self._engine.max_model_len)
        if not body.get("stream"):
            reader = partial(read_plain, num_choices=num_choices, is_whole=True)
            return await replica.post(path, sent, reader, most, is_slow=True) | {"model": self.name}
        events = replica.stream(path, sent, partial(read_plain, num_choices=num_choices), most, most)
        try:
            first = await anext(events)  # a stream is only begun when its first event is no error
        except StopAsyncIteration:
            raise replica.blame("a stream without an event") from None
        except BaseException:
            await events.aclose()
            raise
        return self._stream(first, events)

    async def _stream(
        self, first: dict[str, Any], rest: AsyncGenerator[dict[str, Any], None]
    ) -> AsyncGenerator[str, None]:
        async with aclosing(rest):
            yield self._event(first)
            async for event in rest:
                yield self._event(event)
            yield "data: [DONE]\n\n"

    def _event(self, event: dict[str, Any]) -> str:
        return f"data: {json.dumps(event | {'model': self.name})}\n\n"

"""The policy itself behind OpenAI's interface, where servers elsewhere run it: read here, answered there.

Knows requests and replies as JSON; knows nothing of searches. A request that a server loses before it has said anything
is sent once more.
"""

import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import EngineDiedError, RequestRefusedError
from models.openai.events import begun, event_text
from models.openai.fields import KINDS
from models.openai.grammars.bounds import Asked as Grammar
from models.openai.requests import RequestReader, field_of
from models.remote.engine import COMPLETIONS, RemoteEngine
from models.remote.replies import (
    BASE_BYTES,
    EVENT_BYTES,
    LOGPROB_BYTES,
    PROMPT_TOKEN_BYTES,
    is_last_event,
    read_plain,
    read_response,
    read_response_event,
)

CHATS = "/v1/chat/completions"
RESPONSES = "/v1/responses"
SERVERS_STOPS = 4
"""Texts of `stop` that vLLM's servers take unless told otherwise."""
LISTED = re.compile(r"'loc': 'body\.([\w.]+)', 'msg': '([^']+)'")
"""What vLLM's server says of the first field that it cannot read."""
TAME = frozenset(
    {"model", "input", "instructions", "stream", "store", "max_output_tokens", "temperature", "top_p", "seed"}
    | {"metadata", "user"}
)
"""Fields that no engine refuses. Others are tried on one token before a response is streamed: vLLM's server breaks the
stream off where its engine refuses a request, which looks as if it had died."""
NUM_REPEATS = 6
"""Times that a stream says a response, and what was asked for, again: as text, part, item and whole."""

Event = dict[str, Any]
Reply = Event | AsyncGenerator[str, None]


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


@dataclass(frozen=True, slots=True)
class Route:
    """How a route's requests are passed on.

    Attributes:
        path: Of the route.
        read: Makes the reply of a body, or raises `ReplyError`.
        read_event: Does so of an event.
        most_bytes: The answer can have, and each of its events.
        is_last: Whether an event is the last one; where none is, `[DONE]` is.
    """

    path: str
    read: Callable[[bytes], Event]
    read_event: Callable[[bytes], Event]
    most_bytes: int
    is_last: Callable[[Event], bool] = lambda event: False


class RemoteHandlers:
    """The servers' own handlers of chats, completions and responses.

    Args:
        engine: The servers.
        tokenizer: Of the policy.
        name: What clients call the policy; the servers may call it otherwise.
    """

    def __init__(self, engine: RemoteEngine, tokenizer: ChatTokenizer, name: str) -> None:
        self.name = name
        self._engine = engine
        self._requests = RequestReader(tokenizer, KINDS, engine.max_model_len, lambda: engine.max_prompt_tokens)

    async def chat(self, body: Mapping[str, Any], client: str = "") -> Reply:
        """Answer the body of a chat completion.

        Raises:
            RequestRefusedError: vLLM cannot use it.
            EngineUnavailableError: No server answers, or it refuses.
        """
        request = await self._requests.read_chat(body, client)
        return await self._forward(self._choices(CHATS, request), _with_ids(body, request), _first(body["messages"]))

    async def complete(self, body: Mapping[str, Any], client: str = "") -> Reply:
        """Answer the body of a completion; its prompt goes to the policy as it is, without a chat template.

        Raises:
            RequestRefusedError: vLLM cannot use it.
            EngineUnavailableError: No server answers, or it refuses.
        """
        request = await self._requests.read_completion(body, client)
        return await self._forward(self._choices(COMPLETIONS, request), body, str(body["prompt"]))

    async def respond(self, body: Mapping[str, Any], client: str = "") -> Reply:
        """Answer the body of a response, whose input is a list of items.

        Raises:
            RequestRefusedError: vLLM cannot use it.
            EngineUnavailableError: No server answers, or it refuses.
        """
        request = await self._requests.read_response(body, client)
        sent, affinity = _with_ids(body, request), _first(body["input"])
        repeated = NUM_REPEATS * len(json.dumps(body))
        most = NUM_REPEATS * Asked.by(request).most_bytes(self._engine.max_model_len) + repeated
        route = Route(RESPONSES, read_response, read_response_event, most, is_last_event)
        if body.get("stream") and body.keys() - TAME:
            await self._forward(route, {**sent, "stream": False, "max_output_tokens": 1}, affinity)
        return await self._forward(route, sent, affinity)

    async def try_grammar(self, asked: Grammar, client: str = "", num_responses: int = 1) -> None:
        """Return if so many responses can be held to a grammar.

        Raises:
            RequestRefusedError: It cannot be compiled, or costs too much.
            EngineUnavailableError: No process can try it now.
        """
        await self._requests.try_grammar(asked, client, num_responses)

    async def stop(self) -> None:
        """End what tries grammars; the servers are others'."""
        await self._requests.stop()

    def _choices(self, path: str, request: BaseModel) -> Route:
        asked = Asked.by(request)
        read = partial(read_plain, num_choices=asked.num_choices)
        return Route(path, partial(read, is_whole=True), read, asked.most_bytes(self._engine.max_model_len))

    async def _forward(self, route: Route, body: Mapping[str, Any], affinity: str) -> Reply:
        try:
            return await self._send(route, body, affinity)
        except EngineDiedError:
            return await self._send(route, body, affinity)
        except RequestRefusedError as error:
            raise _in_words(error, body) from error

    async def _send(self, route: Route, body: Mapping[str, Any], affinity: str) -> Reply:
        replica = await self._engine.replicas.choose(affinity)
        sent = {**body, "model": replica.model}
        if not body.get("stream"):
            answer = await replica.post(route.path, sent, route.read, route.most_bytes, affinity=affinity, is_slow=True)
            return answer | {"model": self.name}
        sizes = route.most_bytes, route.most_bytes
        events = replica.stream(route.path, sent, route.read_event, *sizes, route.is_last, affinity)
        texts = begun(self._responded(events)) if route.path == RESPONSES else self._chunked(events)
        try:
            first = await anext(texts)  # a stream is only begun when its first event is no error
        except StopAsyncIteration:
            raise replica.blame("a stream without an event") from None
        except BaseException:
            await texts.aclose()
            raise
        return _chain(first, texts)

    async def _chunked(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[str, None]:
        num_events = 0
        async with aclosing(events):
            async for event in events:
                yield f"data: {json.dumps(event | {'model': self.name})}\n\n"
                num_events += 1
        if num_events:
            yield "data: [DONE]\n\n"

    async def _responded(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[str, None]:
        async with aclosing(events):
            async for event in events:
                named = {"response": event["response"] | {"model": self.name}} if event.get("response") else {}
                yield event_text(event | named)


async def _chain(first: str, rest: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    async with aclosing(rest):
        yield first
        async for text in rest:
            yield text


def _in_words(error: RequestRefusedError, body: Mapping[str, Any]) -> RequestRefusedError:
    """Return what a server refuses, by the name of the field."""
    listed, stops = LISTED.search(str(error)), body.get("stop")
    field = listed[1] if listed else field_of(error.param, str(error), body)
    if field == "stop" and isinstance(stops, list) and len(stops) > SERVERS_STOPS:
        message = f"stop: {len(stops)} texts are more than the server takes; allowed: {SERVERS_STOPS}"
        return RequestRefusedError(f"{message}, unless it sets VLLM_MAX_STOP_STRINGS", field)
    return RequestRefusedError(f"{field}: {listed[2]}" if listed else str(error), field)


def _with_ids(body: Mapping[str, Any], request: Any) -> Mapping[str, Any]:
    """Add the token ids of a request that spells special tokens."""
    return body if request.kv_transfer_params is None else {**body, "kv_transfer_params": request.kv_transfer_params}


def _first(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return what the user says first: those who say the same share a cache."""
    return str(next((message.get("content") for message in messages if message.get("role") == "user"), ""))

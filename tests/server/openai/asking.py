"""What the tests ask, and how they read what streams."""

from collections.abc import AsyncGenerator
from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageFunctionToolCall

POLICY = "winnow-demo"
PROBLEM = "Compute (17 + 28) * 3 - 45."
CHAT = [{"role": "user", "content": PROBLEM}]
SEARCH = {"n": 8, "strategy": "weighted_best_of_n", "early_stop": False}


async def chat(openai: AsyncOpenAI, search: dict[str, Any] | None = None, **fields: Any) -> ChatCompletion:
    """Ask for a chat completion, searched for where `search` says how."""
    extra = {} if search is None else {"search": search}
    asked: dict[str, Any] = {"model": POLICY, "messages": CHAT, "seed": 7, "max_tokens": 200} | fields
    reply = await openai.chat.completions.create(**asked, extra_body=extra)
    assert isinstance(reply, ChatCompletion)
    return reply


async def stream(openai: AsyncOpenAI, search: dict[str, Any] | None = None, **fields: Any) -> list[ChatCompletionChunk]:
    """Ask for the same as a stream, and read it to its end."""
    return [chunk async for chunk in open_stream(openai, search, **fields)]


async def open_stream(
    openai: AsyncOpenAI, search: dict[str, Any] | None = None, **fields: Any
) -> AsyncGenerator[ChatCompletionChunk, None]:
    extra = {} if search is None else {"search": search}
    asked: dict[str, Any] = {"model": POLICY, "messages": CHAT, "seed": 7, "max_tokens": 200} | fields
    async with await openai.chat.completions.create(**asked, stream=True, extra_body=extra) as chunks:
        async for chunk in chunks:
            yield chunk


def evidence(reply: Any) -> dict[str, Any]:
    """What the reply says about the search, as `POST /solve` would."""
    found: dict[str, Any] = reply.model_extra["search"]
    return found


def calls_in(reply: ChatCompletion) -> list[ChatCompletionMessageFunctionToolCall]:
    """The calls of functions that the first choice makes."""
    calls = reply.choices[0].message.tool_calls or []
    return [call for call in calls if isinstance(call, ChatCompletionMessageFunctionToolCall)]


def content(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    """The text of one choice of a stream."""
    choices = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(choice.delta.content or "" for choice in choices)

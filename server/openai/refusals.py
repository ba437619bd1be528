"""Fields that are refused by name: promises that the service cannot keep, and what a search cannot honour."""

import json
from collections.abc import Sequence
from typing import Any

from models.json_values import visible
from server.errors import RequestError
from server.openai.requests import MessageIn, OpenAIRequest

UNREAD: dict[str, tuple[Any, ...]] = {
    "user": (),
    "metadata": (),
    "safety_identifier": (),
    "prompt_cache_key": (),
    "store": (False,),
    "service_tier": ("auto", "default"),
}
"""Fields that clients send and no model reads, with the values allowed; () allows all."""

NEUTRAL: dict[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
}
"""Fields that a search cannot honour, with the values that change nothing."""

UNREAD_OF_MESSAGES = ("refusal", "annotations", "reasoning", "reasoning_content")
"""Fields of our own replies, which clients send back with the next turn."""


def refuse_unkept(body: OpenAIRequest) -> None:
    """Refuse fields whose promise the service cannot keep, whether it searches or not.

    Raises:
        RequestError: There is one.
    """
    for name, allowed in UNREAD.items():
        value = getattr(body, name, None)
        if allowed and value is not None and value not in allowed:
            raise RequestError(f"{name}: not supported; omit it or use {_words(allowed)}", name)


def refuse_unsearchable(body: OpenAIRequest) -> None:
    """Refuse every field that a search cannot honour.

    Raises:
        RequestError: There is one.
    """
    if body.stop:
        raise RequestError("stop: not supported when searching; omit it", "stop")
    if body.stream_options and body.stream_options.continuous_usage_stats:
        name = "stream_options.continuous_usage_stats"
        raise RequestError(f"{name}: not supported when searching; omit it or use false", name)
    for name, value in (body.model_extra or {}).items():
        if value is None or name in UNREAD or value in NEUTRAL.get(name, ()):
            continue
        shown = visible(name)
        remedy = f"omit it or use {_words(NEUTRAL[name])}" if name in NEUTRAL else "omit it"
        raise RequestError(f"{shown}: not supported when searching; {remedy}", shown)


def _words(values: Sequence[Any]) -> str:
    return " or ".join(json.dumps(value) for value in values)


def read_text(index: int, message: MessageIn) -> str:
    """Return the text of message `index`.

    Raises:
        RequestError: It holds anything else, or no text.
    """
    for name, value in (message.model_extra or {}).items():
        if value not in (None, [], {}) and name not in UNREAD_OF_MESSAGES:
            where = f"messages.{index}.{visible(name)}"
            raise RequestError(f"{where}: not supported when searching; send role and content only", where)
    if message.text is None:
        where = f"messages.{index}.content"
        raise RequestError(f"{where}: missing; send text", where)
    return message.text

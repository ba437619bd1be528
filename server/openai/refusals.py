"""What is refused by name: what the service does not do, and fields that a search cannot honour."""

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
"""What clients send and no model reads: any value where none stands here, otherwise these."""

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
"""What a search cannot do, and the values that do not ask for it."""

UNREAD_OF_MESSAGES = ("refusal", "annotations", "reasoning", "reasoning_content")
"""Fields of our own replies, which clients send back when a chat goes on."""


def refuse_unkept(body: OpenAIRequest) -> None:
    """Refuse what promises something that the service does not do, searching or not.

    Raises:
        RequestError: It is asked for.
    """
    for name, allowed in UNREAD.items():
        value = getattr(body, name, None)
        if allowed and value is not None and value not in allowed:
            raise RequestError(f"{name}: cannot be had; allowed: {_words(allowed)}", name)


def refuse_unsearchable(body: OpenAIRequest) -> None:
    """Refuse every field that a search cannot honour.

    Raises:
        RequestError: There is one.
    """
    if body.stop:
        raise RequestError("stop: a search reads responses to their end; allowed: null", "stop")
    if body.stream_options and body.stream_options.continuous_usage_stats:
        name = "stream_options.continuous_usage_stats"
        raise RequestError(f"{name}: a search knows its bill at its end; allowed: false", name)
    for name, value in (body.model_extra or {}).items():
        if value is None or name in UNREAD or value in NEUTRAL.get(name, ()):
            continue
        shown, allowed = visible(name), NEUTRAL.get(name, ())
        raise RequestError(f"{shown}: not served when searching; allowed: {_words((None, *allowed))}", shown)


def _words(values: Sequence[Any]) -> str:
    return " or ".join(json.dumps(value) for value in values)


def read_text(index: int, message: MessageIn) -> str:
    """Return the text of message `index`, where it holds nothing else.

    Raises:
        RequestError: It holds something else, or nothing.
    """
    for name, value in (message.model_extra or {}).items():
        if value not in (None, [], {}) and name not in UNREAD_OF_MESSAGES:
            where = f"messages.{index}.{visible(name)}"
            raise RequestError(f"{where}: not served when searching; allowed: role and content", where)
    if message.text is None:
        where = f"messages.{index}.content"
        raise RequestError(f"{where}: is missing; allowed: text", where)
    return message.text

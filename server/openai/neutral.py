"""Fields that ask for nothing, in one table, and what the other values of these fields come to.

Clients write out defaults, nulls and empty lists. What asks for nothing is accepted, whether the policy itself answers
or a search does.

Knows requests as JSON; knows nothing of models or searches.
"""

import json
from collections.abc import Mapping
from typing import Any

Values = tuple[Any, ...]
Table = Mapping[str, Values]
"""By field, the values that ask for nothing. Null always does."""

UNREAD = frozenset(
    {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
)
"""Fields that clients send for themselves or for a cache; no model reads them, whatever they hold."""

UNKEPT: Table = {
    "access_programs": (),
    "audio": (),
    "best_of": (1,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "modalities": (["text"],),
    "moderation": (),
    "prediction": (),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "suffix": ("",),
    "verbosity": ("medium",),
    "web_search_options": (),
}
"""Fields whose other values promise what this service does not do."""

UNKEPT_RESPONSES: Table = {
    **UNKEPT,
    "background": (False,),
    "background_options": (),
    "context_management": ([],),
    "conversation": (),
    "image": (),
    "max_tool_calls": (),
    "previous_response_id": (),
    "prompt": (),
}
"""The same of a response: nothing is stored, so that nothing can be gone on with by its id."""

UNSEARCHED: Table = {
    "add_generation_prompt": (True,),
    "allowed_token_ids": ([],),
    "bad_words": ([],),
    "continue_final_message": (False,),
    "documents": ([],),
    "echo": (False,),
    "frequency_penalty": (0,),
    "ignore_eos": (False,),
    "include_reasoning": (True,),
    "include_stop_str_in_output": (False,),
    "length_penalty": (1,),
    "logit_bias": ({},),
    "logprob_token_ids": ([],),
    "min_p": (0,),
    "min_tokens": (0,),
    "mm_payload": ("tensors",),
    "presence_penalty": (0,),
    "priority": (0,),
    "repetition_penalty": (1,),
    "return_prompt_text": (False,),
    "return_token_ids": (False,),
    "return_token_offsets": (False,),
    "return_tokens_as_token_ids": (False,),
    "routed_experts_prompt_start": (0,),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "stream_options.continuous_usage_stats": (False,),
    "stop_token_ids": ([],),
    "top_k": (-1, 0),
    "top_logprobs": (0,),
    "truncation": ("disabled",),
    "use_beam_search": (False,),
    "watermarking": (False,),
}
"""Fields of OpenAI's and vLLM's whose other values a search cannot honour."""

FORMLESS: Table = {"response_format": ({"type": "text"},), "tools": ([],)}
"""Forms of a response that any text has; searches read others (`server/solving/forms.py`)."""
TOOLLESS: Table = {"tool_choice": ("none", "auto"), "parallel_tool_calls": (True, False)}
"""How to call tools, where there are none to call."""

UNSEARCHED_CHATS: Table = {**UNSEARCHED, "add_special_tokens": (False,), "logprobs": (False,)}
UNSEARCHED_COMPLETIONS: Table = {**UNSEARCHED, **TOOLLESS, "tools": ([],), "add_special_tokens": (True,)}
UNSEARCHED_RESPONSES: Table = {
    **UNSEARCHED,
    "enable_response_messages": (False,),
    "include": ([],),
    "previous_input_messages": ([],),
}


def asks_for_nothing(value: Any, values: Values) -> bool:
    """Return whether a value is null or one of `values`; unlike Python, JSON tells false from 0."""
    return value is None or any(value == each and isinstance(value, bool) is isinstance(each, bool) for each in values)


def remedy(values: Values) -> str:
    """Say what to send instead."""
    return f"omit it or use {' or '.join(map(json.dumps, values))}" if values else "omit it"


def less_nothing(body: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of the body of a request to the policy itself what asks for nothing and vLLM does not take."""
    sent = {name: value for name, value in body.items() if value is not None and (name, value) != ("stop", "")}
    if not sent.get("tools"):
        sent.pop("tools", None)
        _drop(sent, TOOLLESS)
    if not sent.get("logprobs"):
        _drop(sent, {"top_logprobs": (0,)})
    if not sent.get("stream"):
        sent.pop("stream_options", None)  # a whole reply has its bill in any case
    return sent


def _drop(sent: dict[str, Any], table: Table) -> None:
    for name, values in table.items():
        if asks_for_nothing(sent.get(name), values):
            sent.pop(name, None)

"""The fields that vLLM's server knows of a chat, a completion and a response, for a gateway that has no vLLM.

A field that the server does not know would be ignored there, so it is refused here. Values are checked as far as their
plain types; the server refuses the rest in its own words. A test compares the names with vLLM's own.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, create_model

from models.openai.requests import Kinds
from models.openai.tools import forced_schema

NUMBERS = (
    "frequency_penalty",
    "presence_penalty",
    "temperature",
    "top_p",
    "min_p",
    "repetition_penalty",
    "length_penalty",
)
INTEGERS = (
    "max_tokens",
    "n",
    "seed",
    "thinking_token_budget",
    "top_k",
    "min_tokens",
    "truncate_prompt_tokens",
    "prompt_logprobs",
    "priority",
    "routed_experts_prompt_start",
    "stream_interval",
)
BOOLEANS = (
    "stream",
    "use_beam_search",
    "watermarking",
    "include_stop_str_in_output",
    "ignore_eos",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "echo",
    "add_special_tokens",
    "return_tokens_as_token_ids",
    "return_token_ids",
    "return_token_offsets",
    "return_mm_kwargs",
)
TEXTS = ("model", "user", "truncation_side", "request_id", "session_id", "mm_payload", "cache_salt")
LISTS = ("stop_token_ids", "logprob_token_ids", "allowed_token_ids", "bad_words")
TABLES = (
    "logit_bias",
    "response_format",
    "stream_options",
    "structured_outputs",
    "kv_transfer_params",
    "ec_transfer_params",
    "vllm_xargs",
    "repetition_detection",
)
CHAT_BOOLEANS = (
    "include_reasoning",
    "parallel_tool_calls",
    "add_generation_prompt",
    "continue_final_message",
    "return_prompt_text",
)
CHAT_TABLES = ("chat_template_kwargs", "media_io_kwargs", "mm_processor_kwargs")

NOT_OF_RESPONSES = frozenset(
    {
        "add_special_tokens",
        "allowed_token_ids",
        "bad_words",
        "echo",
        "length_penalty",
        "logprob_token_ids",
        "max_tokens",
        "min_tokens",
        "n",
        "prompt_logprobs",
        "repetition_detection",
        "response_format",
        "return_token_ids",
        "return_token_offsets",
        "return_tokens_as_token_ids",
        "routed_experts_prompt_start",
        "spaces_between_special_tokens",
        "stream_interval",
        "stream_options",
        "thinking_token_budget",
        "truncate_prompt_tokens",
        "truncation_side",
        "use_beam_search",
    }
)
RESPONSE_BOOLEANS = ("background", "enable_response_messages", "include_reasoning", "parallel_tool_calls", "store")
RESPONSE_TEXTS = ("instructions", "previous_response_id", "prompt_cache_key", "service_tier", "truncation")
RESPONSE_TABLES = ("metadata", "prompt", "reasoning", "text")


def _optional(kind: Any, *names: str) -> dict[str, Any]:
    return dict.fromkeys(names, (kind | None, None))


COMMON = (
    _optional(float, *NUMBERS)
    | _optional(int, *INTEGERS)
    | _optional(bool, *BOOLEANS)
    | _optional(str, *TEXTS)
    | _optional(list[Any], *LISTS)
    | _optional(dict[str, Any], *TABLES)
    | _optional(str | list[str], "stop")
)
CHAT = (
    {"messages": (list[dict[str, Any]], ...)}
    | COMMON
    | _optional(bool, "logprobs", *CHAT_BOOLEANS)
    | _optional(int, "top_logprobs", "max_completion_tokens")
    | _optional(list[Any], "tools", "documents")
    | _optional(str, "reasoning_effort", "chat_template")
    | _optional(str | dict[str, Any], "tool_choice")
    | _optional(dict[str, Any], *CHAT_TABLES)
)
COMPLETION = (
    {"prompt": (str | list[Any], ...)} | COMMON | _optional(int, "logprobs") | _optional(str, "suffix", "prompt_embeds")
)

RESPONSE = (
    {"input": (str | list[dict[str, Any]], ...)}
    | {name: kind for name, kind in COMMON.items() if name not in NOT_OF_RESPONSES}
    | _optional(bool, *RESPONSE_BOOLEANS)
    | _optional(int, "max_output_tokens", "max_tool_calls", "top_logprobs")
    | _optional(list[Any], "include", "tools", "previous_input_messages")
    | _optional(str, *RESPONSE_TEXTS)
    | _optional(str | dict[str, Any], "tool_choice")
    | _optional(dict[str, Any], *RESPONSE_TABLES, *CHAT_TABLES)
)

STRICT = ConfigDict(extra="forbid")
ChatFields: type[BaseModel] = create_model("ChatFields", __config__=STRICT, **CHAT)
CompletionFields: type[BaseModel] = create_model("CompletionFields", __config__=STRICT, **COMPLETION)
ResponseFields: type[BaseModel] = create_model("ResponseFields", __config__=STRICT, **RESPONSE)


def _calls(chat: Any) -> dict[str, Any] | None:
    return forced_schema(chat.tool_choice, chat.tools, in_parallel=chat.parallel_tool_calls)


KINDS = Kinds(ChatFields, CompletionFields, ResponseFields, lambda place: str(place[0]), _calls)

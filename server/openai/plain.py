"""From a request to the policy itself to its cost, or to an error that names the field above its limit.

The limits are those of searches. Several prompts count as several requests: their choices and tokens are added up.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from server.errors import RequestError, too_much
from server.openai.items import LOGPROBS, ResponseRequest
from server.openai.names import search_of
from server.openai.neutral import UNREAD, less_nothing
from server.openai.refusals import refuse_unkept
from server.openai.requests import CompletionRequest, OpenAIRequest
from server.settings import Settings
from server.solving.state import State

COMPLETION_TOKENS = 16
"""Default `max_tokens` of a completion, as in OpenAI's API and vLLM."""
MAX_LOGPROBS = 131_072
"""Log-probabilities in a reply, prompts included: the event loop builds an object for each."""

MAX_ITEMS: Mapping[str, int] = {
    "allowed_token_ids": 16_384,
    "bad_words": 64,
    "documents": 64,
    "logit_bias": 1_024,
    "logprob_token_ids": 128,
    "stop_token_ids": 1_024,
    "tools": 128,
}
"""Lengths of lists that vLLM does not bound, or reads again for every token."""
MAX_CHARS: Mapping[str, int] = {"stop": 1_024, "bad_words": 256}
"""Length of each text in a list."""
_NUMBER = TypeAdapter(int)
"""As vLLM reads numbers: 20 in quotes is 20."""
MAX_PATTERN = 256
"""Longest pattern that `repetition_detection` may look for: at every token vLLM's scheduler tries every length."""
CONSTRAINTS = ("response_format", "structured_outputs", "text", "tools")
"""Fields that are compiled, or rendered by a template: each byte counts as a token."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A request for the policy itself.

    Attributes:
        body: For vLLM's own handler.
        cost: Most tokens that it may generate, and the bytes of its constraints.
        deadline_s: Seconds after which it ends.
    """

    body: dict[str, Any]
    cost: int
    deadline_s: float


def plan_plain(body: OpenAIRequest, state: State) -> Plain | None:
    """Return the request to the policy itself, or None if it asks for a search.

    Raises:
        RequestError: There is no such model, a field is not supported, or a limit is exceeded.
    """
    settings, context = state.settings, state.models.policy.context
    if search_of(body.model, settings.policy_name, state.models.verifier) or body.search is not None:
        return None
    refuse_unkept(body)
    sent = less_nothing(_body(body))
    if "thinking_budget" in sent and isinstance(body, ResponseRequest):
        raise RequestError("thinking_budget: only supported when searching; omit it", "thinking_budget")
    budget = sent.pop("thinking_budget", None)
    if budget is not None and sent.setdefault("thinking_token_budget", budget) != budget:
        message = "thinking_budget: differs from thinking_token_budget; send one of the two"
        raise RequestError(message, "thinking_budget")
    _require_short(sent)
    prompts = _prompts(body)
    _require_few(body.num_choices, len(prompts), settings)
    sent |= _length(body, settings, context)
    length = min(context, _asked_length(body, context), settings.max_tokens)
    cost = _cost(body, len(prompts), length, settings)
    _require_few_logprobs(body, prompts, length, context)
    cost += sum(len(json.dumps(sent[name])) for name in CONSTRAINTS if sent.get(name))
    return Plain(sent, cost, _deadline(body, settings))


def _body(body: OpenAIRequest) -> dict[str, Any]:
    """Return a request in the words of vLLM's handlers."""
    respelt = body.for_vllm()
    left_out = {"search", "deadline_s", *(UNREAD - body.echoed), *body.unkept, *respelt}
    return body.model_dump(mode="json", exclude_unset=True, exclude=left_out) | respelt


def _deadline(body: OpenAIRequest, settings: Settings) -> float:
    if body.deadline_s is not None and body.deadline_s > settings.max_deadline_s:
        raise too_much("deadline_s", body.deadline_s, settings.max_deadline_s)
    return settings.max_deadline_s if body.deadline_s is None else body.deadline_s


def _require_few(n: int, num_prompts: int, settings: Settings) -> None:
    if n > settings.max_n:
        raise too_much("n", n, settings.max_n)
    if n * num_prompts > settings.max_n:
        message = f"prompt: {num_prompts:,} prompts x n = {n * num_prompts:,} choices are more than this service allows"
        raise RequestError(f"{message}; allowed: at most {settings.max_n:,}", "prompt")


def _length(body: OpenAIRequest, settings: Settings, context: int) -> dict[str, int]:
    """Return the longest response, if the request leaves it open and the service allows less than vLLM."""
    (name, given), asked = body.length, _asked_length(body, context)
    if asked <= settings.max_tokens:
        return {}
    if given is not None:
        raise too_much(name, asked, settings.max_tokens)
    return {name: settings.max_tokens} if settings.max_tokens < context else {}


def _asked_length(body: OpenAIRequest, context: int) -> int:
    """Return the longest response that a request asks for, or vLLM's default."""
    default = COMPLETION_TOKENS if isinstance(body, CompletionRequest) else context
    return body.length[1] or default


def _cost(body: OpenAIRequest, num_prompts: int, length: int, settings: Settings) -> int:
    cost = body.num_choices * num_prompts * length
    if cost <= settings.max_cost:
        return cost
    name = "n" if body.num_choices > 1 else "prompt" if num_prompts > 1 else body.length[0]
    message = f"{name}: prompts x n x {body.length[0]} is {cost:,} tokens; allowed: at most {settings.max_cost:,}"
    raise RequestError(message, name)


def _require_few_logprobs(body: OpenAIRequest, prompts: list[str | list[int]], length: int, context: int) -> None:
    """Refuse a reply with more log-probabilities than can be written without delaying others."""
    fields = body.model_extra or {}
    generated, prompted = _logprobs(body), _whole(fields.get("prompt_logprobs"))
    if fields.get("echo") and prompted is None:
        prompted = generated
    number, name = 0, "top_logprobs" if isinstance(body, ResponseRequest) else "logprobs"
    if generated is not None:
        number += body.num_choices * len(prompts) * length * (1 + generated)
    if prompted is not None:
        name = "prompt_logprobs" if generated is None else name
        number += sum(min(context, _most_tokens(prompt, body)) for prompt in prompts) * (1 + prompted)
    if number > MAX_LOGPROBS:
        message = f"{name}: {number:,} log-probabilities at most"
        raise RequestError(f"{message}; allowed: {MAX_LOGPROBS:,}; ask for fewer tokens, choices or alternatives", name)


def _logprobs(body: OpenAIRequest) -> int | None:
    """Return the number of alternatives per token; None without log-probabilities."""
    fields = body.model_extra or {}
    ids = fields.get("logprob_token_ids")
    if isinstance(ids, list) and ids:
        return len(ids)
    if isinstance(body, CompletionRequest):
        return _whole(fields.get("logprobs"))
    if isinstance(body, ResponseRequest):
        top = _whole(fields.get("top_logprobs")) or 0
        if top and not body.include:
            raise RequestError(f'top_logprobs: needs include ["{LOGPROBS}"]; send both, or neither', "top_logprobs")
        return top if body.include else None
    return (_whole(fields.get("top_logprobs")) or 0) if fields.get("logprobs") else None


def _whole(value: Any) -> int | None:
    """Return a number of alternatives: the most for -1, which means all; None for what vLLM refuses."""
    try:
        number = _NUMBER.validate_python(value)
    except ValidationError:
        return None
    return number if number >= 0 else MAX_LOGPROBS


def _prompts(body: OpenAIRequest) -> list[str | list[int]]:
    """Return the prompts of a completion; a chat has one, whose text only the policy knows."""
    if not isinstance(body, CompletionRequest):
        return [""]
    prompt: Any = body.prompt
    return [prompt] if isinstance(prompt, str) or all(isinstance(each, int) for each in prompt) else prompt


def _most_tokens(prompt: str | list[int], body: OpenAIRequest) -> int:
    """Return an upper bound on the tokens of a prompt: its bytes."""
    if not isinstance(body, CompletionRequest):
        return len(body.model_dump_json(include={body.problem_field}))
    return len(prompt.encode()) if isinstance(prompt, str) else len(prompt)


def _require_short(sent: Mapping[str, Any]) -> None:
    for name, most in MAX_ITEMS.items():
        if isinstance(value := sent.get(name), list | dict) and len(value) > most:
            raise RequestError(f"{name}: holds {len(value):,} items; allowed: at most {most:,}", name)
    patterns = sent.get("repetition_detection")
    size = _whole(patterns.get("max_pattern_size")) if isinstance(patterns, dict) else None
    if size is not None and size > MAX_PATTERN:
        name = "repetition_detection.max_pattern_size"
        raise RequestError(f"{name}: {size:,} tokens; allowed: at most {MAX_PATTERN}", name)
    for name, most in MAX_CHARS.items():
        for text in _texts(sent.get(name)):
            if len(text) > most:
                raise RequestError(f"{name}: {len(text):,} characters; allowed: at most {most:,} each", name)


def _texts(value: Any) -> Iterator[str]:
    yield from (text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))

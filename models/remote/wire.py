"""Requests and answers of an engine as vLLM's OpenAI server words them.

A request says what a server would otherwise take from the checkpoint's generation_config.json, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from models.generation import Generated, Generation, Scored
from models.openai.grammars.bounds import constraint
from models.remote.replies import Completion, Scores, read_confidences

STREAM_INTERVAL = 32
"""Tokens in one event of a stream: each event costs as much as the computing of several tokens of a small model. With a
token in two seconds for each response, a server still says something well within the minute that it may be silent."""
TOKEN_PREFIX = "token_id:"


def sampling(asked: Generation, *, stream: bool) -> dict[str, Any]:
    """Word a request for one response."""
    body: dict[str, Any] = {
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "max_tokens": asked.max_tokens,
        "seed": asked.seed,
        "stop": [stop for stop in asked.stops if isinstance(stop, str)],
        "stop_token_ids": [stop for stop in asked.stops if isinstance(stop, int)],
        "include_stop_str_in_output": True,
        "return_token_ids": True,
        "stream": stream,
    }
    if stream:
        body["stream_interval"] = STREAM_INTERVAL
    if asked.grammar is not None:
        body["structured_outputs"] = constraint(asked.grammar)
    if asked.num_logprobs:
        body |= {"logprobs": asked.num_logprobs, "return_tokens_as_token_ids": True}
    if asked.logprob_ids:
        body |= {"logprobs": 1, "logprob_token_ids": asked.logprob_ids, "return_tokens_as_token_ids": True}
    return body


def generated(
    answer: Completion, logprobs: Mapping[int, float] | None = None, *, num_logprobs: int = 0
) -> Generated | None:
    """Read a completion, or an event of a streamed one; None for an event without a choice.

    Raises:
        ReplyError: It lacks the log-probabilities of the `num_logprobs` most probable tokens.
    """
    if not answer.choices:
        return None
    choice, details = answer.choices[0], answer.usage.prompt_tokens_details if answer.usage else None
    return Generated(
        token_ids=choice.token_ids,
        finish_reason=choice.finish_reason,
        stop_reason=choice.stop_reason,
        logprobs=logprobs,
        num_cached_tokens=details.cached_tokens if details else None,
        confidences=read_confidences(choice, num_logprobs) if num_logprobs else None,
    )


def scoring(token_ids: Sequence[int], positions: Sequence[int], *, read_cache: bool) -> dict[str, Any]:
    """Word a request for the scores at positions."""
    return {"token_ids": list(token_ids), "positions": list(positions), "read_cache": read_cache}


def scored(answer: Scores) -> Scored:
    """Read rows (position, score)."""
    return Scored(dict(answer.scores), answer.num_cached_tokens)

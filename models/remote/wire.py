"""Requests and outputs of vLLM's engine as its OpenAI server words them.

Of sampling parameters it knows those that policies and verifiers use, and those that a server would otherwise take from
the checkpoint's generation_config.json.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from vllm import PoolingParams, PoolingRequestOutput, RequestOutput, SamplingParams
from vllm.logprobs import Logprob
from vllm.outputs import CompletionOutput, PoolingOutput

from models.remote.replies import Completion, Scores

STREAM_INTERVAL = 16
"""Tokens in one event of a stream: each event costs as much as the computing of several tokens of a small model."""
TOKEN_PREFIX = "token_id:"


def sampling(params: SamplingParams, *, stream: bool) -> dict[str, Any]:
    """Word a request for one response."""
    body: dict[str, Any] = {
        "temperature": params.temperature,
        "top_p": params.top_p,
        "top_k": params.top_k,
        "min_p": params.min_p,
        "repetition_penalty": params.repetition_penalty,
        "presence_penalty": params.presence_penalty,
        "frequency_penalty": params.frequency_penalty,
        "max_tokens": params.max_tokens,
        "seed": params.seed,
        "stop": params.stop,
        "include_stop_str_in_output": params.include_stop_str_in_output,
        "return_token_ids": True,
        "stream": stream,
    }
    if stream:
        body["stream_interval"] = STREAM_INTERVAL
    if params.logprob_token_ids:
        asked = {"logprobs": 1, "logprob_token_ids": params.logprob_token_ids, "return_tokens_as_token_ids": True}
        body |= asked
    return body


def generated(answer: Completion, logprobs: Mapping[int, float] | None = None) -> RequestOutput | None:
    """Read a completion, or an event of a streamed one; None for an event without a choice."""
    if not answer.choices:
        return None
    choice, details = answer.choices[0], answer.usage.prompt_tokens_details if answer.usage else None
    output = CompletionOutput(
        index=0,
        text=choice.text,
        token_ids=choice.token_ids,
        cumulative_logprob=None,
        logprobs=[{token_id: Logprob(value) for token_id, value in logprobs.items()}] if logprobs else None,
        finish_reason=choice.finish_reason,
        stop_reason=choice.stop_reason,
    )
    return RequestOutput(
        request_id="",
        prompt=None,
        prompt_token_ids=None,
        prompt_logprobs=None,
        outputs=[output],
        finished=output.finished(),
        num_cached_tokens=details.cached_tokens if details else None,
    )


def positions(token_ids: Sequence[int], params: PoolingParams) -> dict[str, Any]:
    """Word a request for the scores at positions."""
    asked: list[int] = (params.extra_kwargs or {})["positions"]
    return {"token_ids": list(token_ids), "positions": asked, "read_cache": not params.skip_reading_prefix_cache}


def scored(token_ids: Sequence[int], answer: Scores) -> PoolingRequestOutput:
    """Read rows (position, score)."""
    return _pooled(token_ids, answer.scores, answer.num_cached_tokens)


def classified(token_ids: Sequence[int], values: Sequence[float]) -> PoolingRequestOutput:
    """Read what a classifier says of the last token; how much of it came from the cache vLLM does not say."""
    return _pooled(token_ids, values, 0)


def _pooled(token_ids: Sequence[int], values: Sequence[Any], num_cached_tokens: int) -> PoolingRequestOutput:
    data = PoolingOutput(torch.tensor(values, dtype=torch.float64))  # exact, also for positions
    return PoolingRequestOutput("", data, list(token_ids), num_cached_tokens, finished=True)

"""Requests and outputs in vLLM's words: from what any engine is asked, and to what any engine answers."""

import math
from collections.abc import Sequence

from vllm import PoolingParams, PoolingRequestOutput, RequestOutput, SamplingParams
from vllm.logprobs import FlatLogprobs
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

from models.generation import LEAST, Classified, Generated, Generation, Scored
from models.openai.grammars.bounds import constraint
from models.vllm.releases import intervals
from models.vllm.reward_model import LAST, scores_at

STREAM_INTERVAL = 16
"""Tokens in one output of a response that is read as it comes: each output wakes the event loop. When a request ends or
is aborted, what it has generated comes at once, so that all of it is counted."""


def sampling_params(asked: Generation, *, in_pieces: bool) -> SamplingParams:
    """Ask for a response: in outputs each of which holds what is new, or in one."""
    texts = [stop for stop in asked.stops if isinstance(stop, str)]
    return SamplingParams(
        temperature=asked.temperature,
        top_p=asked.top_p,
        max_tokens=asked.max_tokens,
        seed=asked.seed,
        stop=texts,
        stop_token_ids=[stop for stop in asked.stops if isinstance(stop, int)],
        include_stop_str_in_output=True,
        logprob_token_ids=list(asked.logprob_ids) or None,
        logprobs=asked.num_logprobs or None,
        flat_logprobs=bool(asked.num_logprobs),  # numbers in a list, where else there is an object for each
        detokenize=bool(texts),
        structured_outputs=None if asked.grammar is None else StructuredOutputsParams(**constraint(asked.grammar)),
        output_kind=RequestOutputKind.DELTA if in_pieces else RequestOutputKind.FINAL_ONLY,
        skip_clone=True,  # made for one request, so that vLLM need not copy it
        **(intervals(STREAM_INTERVAL) if in_pieces else {}),
    )


def generated(output: RequestOutput, num_logprobs: int = 0) -> Generated:
    """Read an output of a generating model, of which so many most probable tokens were asked for at each place."""
    new = output.outputs[0]
    if isinstance(new.logprobs, FlatLogprobs):
        places = zip(new.logprobs.start_indices, new.logprobs.end_indices, strict=True)
        confidences = [_confidence(new.logprobs.logprobs[start:end], num_logprobs) for start, end in places]
        return Generated(new.token_ids, new.finish_reason, new.stop_reason, None, output.num_cached_tokens, confidences)
    logprobs = {token_id: each.logprob for token_id, each in new.logprobs[0].items()} if new.logprobs else None
    return Generated(new.token_ids, new.finish_reason, new.stop_reason, logprobs, output.num_cached_tokens)


def _confidence(values: Sequence[float], num_logprobs: int) -> tuple[float, float] | None:
    """Read the log-probability of a token, and behind it those of the most probable ones there.

    In a step with a request for the log-probabilities of some tokens, vLLM leaves out the most probable ones of others.
    In outputs that it has joined, since nobody had read them yet, a token that is one of the most probable comes once.
    """
    own = values[0]
    most = values if len(values) == num_logprobs else values[1:]
    if not most or math.isinf(most[-1]):
        return None
    return -math.fsum(max(each, LEAST) for each in most) / len(most), max(own, LEAST)


def scoring_params(positions: Sequence[int], *, read_cache: bool) -> PoolingParams:
    """Ask a reward model of ours for scores."""
    return scores_at(list(positions), read_cache=read_cache)


def scored(output: PoolingRequestOutput) -> Scored:
    """Read rows (position, score)."""
    scores = {int(position): score for position, score in output.outputs.data.tolist()}
    return Scored(scores, output.num_cached_tokens)


def classifying_params() -> PoolingParams:
    """Ask a classifier for the logits of its classes."""
    return PoolingParams(task=LAST, use_activation=False)


def classified(output: PoolingRequestOutput) -> Classified:
    """Read logits."""
    return Classified(tuple(output.outputs.data.flatten().tolist()), output.num_cached_tokens)

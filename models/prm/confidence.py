"""The policy's own confidence as the verifier: no second model, and no training.

Where the policy samples a token, its engine says the log probabilities of the k most probable tokens there. The
confidence of a token is minus their mean: large where the policy saw one way to go on, and the rest was improbable. A
measure of these makes a score, of the response up to the end of each step: so the last score is that of the whole
response, and a running score is there while the response is being generated.

Confidences become scores in [0, 1] by one division, so that weighted votes weigh responses as the source does, by their
confidences: three times as confident is three votes. A mean log probability becomes the geometric mean of the tokens'
probabilities.

Source: Fu et al. 2025, "Deep Think with Confidence" (2508.15260), section 3.1, for all measures but the last.
Beyond the source: groups are as long as a tenth of the response, where no number of tokens is set: theirs, of 2,048,
are longer than most responses. Windows move by a sixteenth of their length. Log probabilities below `LEAST` count as
that. Tokens that the policy did not sample (the end of its thoughts, where a budget cut them) are left out.

Knows steps and their confidences; knows neither engines nor how confidences are computed.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain

from models.errors import ModelError
from models.generation import LEAST
from models.interfaces import Finish, Meter, Problem, Step
from models.prm.options import ConfidenceOptions, Measure
from models.prm.served import RunningPolicy

MIN_WINDOW = 8
"""Tokens; a share of a short response would be a group of one or two, which says nothing."""
MOVES = 16
"""A window of w tokens moves by w / 16: half a million groups say no more, and take a second."""

LEAST_TOP = 3
"""Most probable tokens that are asked for where only the sampled one is read: with one, vLLM is slower than with five,
and left out a token when it was tried with an engine that had long run."""


class ConfidenceVerifier:
    """Scores responses by what the policy said while it wrote them.

    Attributes:
        engine: The policy's.
        num_logprobs: Most probable tokens of each place that the policy must say.
        reads_thoughts: Thoughts are where a policy wavers.

    Args:
        policy: Writes the responses.
        options: How confidences become scores.
    """

    reads_thoughts = True

    def __init__(self, policy: RunningPolicy, options: ConfidenceOptions) -> None:
        self.engine = policy.engine
        self.num_logprobs = LEAST_TOP if options.measure is Measure.MEAN_LOGPROB else options.num_logprobs
        self._options = options

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        """Score `steps`, which follow `prefix`; no tokens are computed.

        Raises:
            ModelError: The policy did not say how confident it was.
        """
        return scores(prefix, steps, self._options)


def on_policy(policy: RunningPolicy, options: ConfidenceOptions) -> ConfidenceVerifier:
    return ConfidenceVerifier(policy, options)


def scores(prefix: Sequence[Step], steps: Sequence[Step], options: ConfidenceOptions) -> tuple[float, ...]:
    """Return the score of the response up to the end of each of `steps`, in [0, 1].

    Raises:
        ModelError: A step has no confidences.
    """
    read = [_read(step, options.measure) for step in (*prefix, *steps)]
    sums = [0.0, *accumulate(chain.from_iterable(read))]
    ends = list(accumulate(map(len, read)))[len(prefix) :]
    if not ends[-1] and steps[-1].finish is Finish.END:
        raise ModelError("the engine did not say how confident it was of any token")
    return tuple(_score(sums, end, options) for end in ends)


def _read(step: Step, measure: Measure) -> Sequence[float]:
    values = step.logprobs if measure is Measure.MEAN_LOGPROB else step.confidences
    if values is None:
        raise ModelError("verifier_format confidence scores what this policy generates: this text has no confidences")
    return values


def _score(sums: Sequence[float], end: int, options: ConfidenceOptions) -> float:
    """Score the tokens before `end`; `sums` are those of their values up to each."""
    if not end:
        return 1.0  # nothing was sampled, such as where a budget has written the end of the thoughts
    if options.measure is Measure.MEAN_LOGPROB:
        return min(math.exp(sums[end] / end), 1.0)
    return min(max(_confidence(sums, end, options) / -LEAST, 0.0), 1.0)


def _confidence(sums: Sequence[float], end: int, options: ConfidenceOptions) -> float:
    if options.measure is Measure.TOKEN:
        return sums[end] / end
    window = min(_window(end, options.window), end)
    if options.measure is Measure.TAIL:
        return (sums[end] - sums[end - window]) / window
    groups = list(_groups(sums, end, window))
    if options.measure is Measure.GROUP:
        return math.fsum(groups) / len(groups)
    if options.measure is Measure.LOWEST_GROUP:
        return min(groups)
    tenth = sorted(groups)[: math.ceil(len(groups) / 10)]
    return math.fsum(tenth) / len(tenth)


def _window(num_tokens: int, window: float) -> int:
    return int(window) if window >= 1 else max(MIN_WINDOW, round(window * num_tokens))


def _groups(sums: Sequence[float], end: int, window: int) -> Iterator[float]:
    for start in range(0, end - window + 1, max(1, window // MOVES)):
        yield (sums[start + window] - sums[start]) / window

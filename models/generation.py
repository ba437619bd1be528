"""What any engine is asked for and what it answers: token ids go in, token ids or scores come out.

Knows nothing of problems, steps or vendors, and imports the standard library only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BASE = "-base"
"""Ends the name of a model on a server of `winnow engine` that serves it with an adapter, which has the name itself."""

LEAST = -40.0
"""A log probability below this counts as this: what a grammar forbids has none, and what rounding leaves is no more."""

Stop = str | int
"""A text or the id of a token."""


@dataclass(frozen=True, slots=True)
class Generation:
    """How an engine generates one response.

    Attributes:
        max_tokens: Most tokens of it, at least 1.
        temperature: At least 0; 0 is greedy.
        top_p: In (0, 1].
        seed: Makes the draw reproducible; None draws freely.
        stops: Where it ends, beside the end of sequence; what it stops at is part of it.
        logprob_ids: Tokens whose log-probabilities come with the first token.
        num_logprobs: Most probable tokens of each place, from whose log-probabilities the confidence of every token is
            made; 0: none is wanted. Not together with `logprob_ids`.
        num_continued: Tokens at the end of the prompt that are the response so far.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stops: tuple[Stop, ...] = ()
    logprob_ids: tuple[int, ...] = ()
    num_logprobs: int = 0
    num_continued: int = 0


@dataclass(frozen=True, slots=True)
class Generated:
    """What was generated since the last one.

    Attributes:
        token_ids: As the engine sampled them.
        finish_reason: Why generation ended after them: "stop" (a stop, or the end of sequence), "length", or a word of
            the engine's; None while it goes on.
        stop_reason: The stop that it ended at; None where it was another reason.
        logprobs: Of the tokens asked for.
        confidences: Of each token, where they are wanted, minus the mean of the highest log-probabilities there, and
            its own log-probability; None for one of which the engine knows neither.
        num_cached_tokens: Of the request, read from the prefix cache; None where the engine does not say.
    """

    token_ids: Sequence[int]
    finish_reason: str | None = None
    stop_reason: Stop | None = None
    logprobs: Mapping[int, float] | None = None
    num_cached_tokens: int | None = None
    confidences: Sequence[tuple[float, float] | None] | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """What a reward model says of a request.

    Attributes:
        scores: In [0, 1], by position; those that lie in the cached prefix are left out.
        num_cached_tokens: Of the request, read from the prefix cache.
    """

    scores: Mapping[int, float]
    num_cached_tokens: int


@dataclass(frozen=True, slots=True)
class Classified:
    """What a classifier says of a whole request.

    Attributes:
        logits: One a class.
        num_cached_tokens: Of the request, read from the prefix cache.
    """

    logits: tuple[float, ...]
    num_cached_tokens: int

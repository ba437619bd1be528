"""How far a result can be trusted: agreement of the answers, spread of the scores, and warnings in words."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from search.candidate import Candidate
from search.voting import Vote

SIMILAR_SCORES = 0.01
"""A spread (standard deviation) below this tells candidates no more apart than a coin."""


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """Measures of a vote. None where there is nothing to measure.

    Attributes:
        agreement: Share of the complete candidates that give the elected answer, in [0, 1].
        entropy: Shannon entropy of the answers given, in nats: 0 when all agree.
        distinct_answers: Equivalence classes of answers.
        refuted: Complete candidates whose answer was checked and is wrong.
        score_mean: Mean score of the complete candidates.
        score_std: Population standard deviation of their scores.
        best_minus_mean: How far the best score stands above the mean.
        warnings: What a reader of the answer should know.
    """

    agreement: float | None
    entropy: float | None
    distinct_answers: int
    refuted: int
    score_mean: float | None
    score_std: float | None
    best_minus_mean: float | None
    warnings: tuple[str, ...]


def diagnose(votes: Sequence[Vote], candidates: Sequence[Candidate]) -> Diagnostics:
    """Measure a vote among `candidates`, the final ones of a search, complete or truncated."""
    counts = [vote.count for vote in votes if vote.answer is not None]
    num_cast = sum(vote.count for vote in votes)
    num_refuted = sum(c.refuted is not None for vote in votes for c in vote.candidates)
    scores = [c.score for vote in votes for c in vote.candidates if c.score is not None]
    mean = statistics.fmean(scores) if scores else None
    std = statistics.pstdev(scores) if scores else None
    return Diagnostics(
        agreement=counts[0] / num_cast if counts else None,
        entropy=_entropy(counts) if counts else None,
        distinct_answers=len(counts),
        refuted=num_refuted,
        score_mean=mean,
        score_std=std,
        best_minus_mean=None if mean is None else max(scores) - mean,
        warnings=tuple(_warnings(counts, num_cast, num_refuted, std, candidates)),
    )


def _entropy(counts: Sequence[int]) -> float:
    total = sum(counts)
    return math.fsum(count / total * math.log(total / count) for count in counts)


def _warnings(
    counts: Sequence[int], num_cast: int, num_refuted: int, std: float | None, candidates: Sequence[Candidate]
) -> list[str]:
    num_truncated = len(candidates) - sum(candidate.is_complete for candidate in candidates)
    num_silent = num_cast - sum(counts) - num_refuted
    warnings = []
    if num_truncated:
        warnings.append(f"{num_truncated} of {len(candidates)} responses were truncated and did not vote")
    if num_silent:
        warnings.append(f"{num_silent} of {num_cast} complete responses state no answer and did not vote")
    if num_refuted:
        warnings.append(f"{num_refuted} of {num_cast} complete responses give an answer that fails the check: no vote")
    if len(counts) > 1 and len(counts) == sum(counts):
        warnings.append("no two responses agree on an answer")
    if std is not None and num_cast > 1 and std < SIMILAR_SCORES:
        warnings.append("all scores are similar: the verifier does not tell the responses apart")
    return warnings

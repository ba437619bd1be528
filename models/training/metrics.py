"""How well scores agree with labels."""

import torch
from torch import Tensor

NUM_BINS = 10


def area_under_curve(scores: Tensor, labels: Tensor) -> float | None:
    """Probability that a right step scores above a wrong one, ties counting half; None where one kind is missing.

    Args:
        scores: (N,).
        labels: True for right, (N,).
    """
    num_right, num_wrong = int(labels.sum()), int((~labels).sum())
    if not num_right or not num_wrong:
        return None
    _, inverse, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    mean_ranks = counts.cumsum(0) - (counts - 1) / 2  # ties share their mean rank, from 1
    rank_sum = mean_ranks.double()[inverse][labels].sum().item()
    return float((rank_sum - num_right * (num_right + 1) / 2) / (num_right * num_wrong))


def calibration_error(scores: Tensor, labels: Tensor) -> float:
    """Expected calibration error: mean distance of score and frequency over ten bins of equal width."""
    bins = (scores * NUM_BINS).long().clamp(max=NUM_BINS - 1)
    gaps = torch.zeros(NUM_BINS, dtype=torch.double).index_add(0, bins, (scores - labels.float()).double())
    return float(gaps.abs().sum() / len(scores))

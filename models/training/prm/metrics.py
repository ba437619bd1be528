"""How well scores agree with labels."""

from math import sqrt

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


def area_error(auc: float, num_right: int, num_wrong: int) -> float:
    """Standard error of an area under the curve, as if steps were independent; of one problem they are not.

    Source: Hanley and McNeil 1982, The meaning and use of the area under a ROC curve.
    """
    two_right, two_wrong = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc)
    variance += (num_right - 1) * (two_right - auc**2) + (num_wrong - 1) * (two_wrong - auc**2)
    return sqrt(max(0.0, variance) / (num_right * num_wrong))


def calibration_error(scores: Tensor, labels: Tensor) -> float:
    """Expected calibration error: mean distance of score and label over ten bins of equal width."""
    sums = bin_sums(scores, labels)
    return float((sums[:, 1] - sums[:, 2]).abs().sum() / len(scores))


def bin_sums(scores: Tensor, labels: Tensor) -> Tensor:
    """What lies in each of ten bins of equal width: how many scores, their sum and the sum of their labels.

    Args:
        scores: In [0, 1], (N,).
        labels: In [0, 1] or true and false, (N,).

    Returns:
        One row a bin, (10, 3).
    """
    bins = (scores * NUM_BINS).long().clamp(max=NUM_BINS - 1)
    rows = torch.stack([torch.ones_like(scores), scores, labels.to(scores)], dim=1).double()
    return torch.zeros(NUM_BINS, 3, dtype=torch.double).index_add(0, bins, rows)

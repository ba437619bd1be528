"""What models are trained to make small: of the next tokens, and of the verdicts on steps."""

import torch
from torch import Tensor
from torch.nn import functional

from models.training.documents import IGNORED

LATER_WEIGHT = 0.25
"""Of steps after the first error, which are easy."""


def language_loss(
    hidden: Tensor, embedding: Tensor, next_tokens: Tensor, bias: Tensor | None = None, cap: float | None = None
) -> Tensor:
    """Mean cross-entropy of the next tokens, computed only where one is to be predicted.

    Args:
        hidden: States of the backbone, (B, T, H).
        embedding: Tied token embedding, (V, H).
        next_tokens: Token ids or `IGNORED`, (B, T).
        bias: Of the logits, (V,), if there is one.
        cap: What logits approach and never reach, in models that bound them so.
    """
    wanted = next_tokens != IGNORED
    logits = functional.linear(hidden[wanted], embedding, bias)  # (N, V)
    if cap is not None:
        logits = (logits / cap).tanh() * cap
    return functional.cross_entropy(logits.float(), next_tokens[wanted])


def next_token_loss(logits: Tensor, next_tokens: Tensor) -> Tensor:
    """Mean cross-entropy of the next tokens, where one is to be predicted.

    Args:
        logits: Of all tokens at every position, (B, T, V).
        next_tokens: Token ids or `IGNORED`, (B, T).
    """
    wanted = next_tokens != IGNORED
    return functional.cross_entropy(logits[wanted].float(), next_tokens[wanted])


def judgement_loss(logits: Tensor, verdicts: Tensor, is_first: Tensor) -> Tensor:
    """Weighted mean cross-entropy of the verdicts at step ends.

    Args:
        logits: Of the scorer at every position, (...).
        verdicts: How likely each step is right at step ends, elsewhere `IGNORED`, (...).
        is_first: True at step ends up to the first error, (...).
    """
    judged = verdicts != IGNORED
    weights = torch.where(is_first[judged], 1.0, LATER_WEIGHT)
    losses = functional.binary_cross_entropy_with_logits(
        logits[judged].float(), verdicts[judged].float(), weight=weights, reduction="sum"
    )
    return losses / weights.sum()

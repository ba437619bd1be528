"""Adaptation at test time: a few gradient steps of a verifier's fast weights on the candidates that it is to judge.

The lesson needs no labels. A model with TTT layers learns where these start (W_0), so that they reconstruct the
candidates' tokens; any other learns its norms and its last block's feed-forward layer, so that it predicts the
candidates' next tokens. Only these fast weights are copied; the adapted model shares all others with the one that it
came from, which is never changed. Knows token ids; knows nothing of problems, steps or requests.

Source: Sun et al. 2020 (test-time training, 1909.13231), for learning from the test input itself; Wang et al. 2021
(Tent, 2006.10726), for adapting norms.
Beyond the source: the fast weights and losses, chosen for what our models learn in training besides judging.
"""

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.prm.reward_model import RewardModel
from models.prm.test_time_compute import TestTimeCompute
from models.prm.ttt import Adaptation, TTTLinear, TTTState, adaptation

IGNORED = -100
BLOCK = re.compile(r"^model\.\w+\.(\d+)\.")
"""In the name of a weight: the number of the block that it belongs to."""

Judge = RewardModel | TestTimeCompute
"""Reads token ids: `encode` makes hidden states of them, and `judge` logits of these."""


MAX_STEPS = 5
LEARNING_RATES = (0.001, 0.1)
"""The least and the largest of an adaptation."""


@dataclass(frozen=True, slots=True)
class AdaptationPlan:
    """How much a verifier adapts to the candidates that it is to judge.

    Attributes:
        steps: Gradient steps, 1 to 5.
        learning_rate: Of each, .001 to .1.
    """

    steps: int
    learning_rate: float

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        if not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(f"steps is {self.steps}; allowed: 1 to {MAX_STEPS}")
        if not LEARNING_RATES[0] <= self.learning_rate <= LEARNING_RATES[1]:
            raise ValueError(
                f"learning_rate is {self.learning_rate}; allowed: {LEARNING_RATES[0]} to {LEARNING_RATES[1]}"
            )


@dataclass(frozen=True, slots=True)
class Adapted:
    """A model that has been adapted, and how that went."""

    model: Judge
    report: Adaptation


def adapt(model: Judge, prompt: Sequence[int], responses: Sequence[Sequence[int]], plan: AdaptationPlan) -> Adapted:
    """Take gradient steps of a copy of the model's fast weights on responses to one prompt.

    Args:
        model: Stays as it is, bit by bit.
        prompt: Token ids that all responses follow; the lesson is the responses alone.
        responses: Token ids, at least one of them not empty.
        plan: How many steps, and how large.

    Returns:
        The adapted model, and a loss before each step and after the last. Where anything is not finite, it is the
        model itself, and the report says so.
    """
    token_ids, is_lesson = _lesson(prompt, responses, next(model.parameters()).device)
    adapted, fast = _copy_fast_weights(model)
    starts = [weight.detach().clone() for weight in fast]
    losses = []
    for _ in range(plan.steps):
        loss = _loss(adapted, token_ids, is_lesson)
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, fast)
        with torch.no_grad():
            for weight, gradient in zip(fast, gradients, strict=True):
                weight.sub_(plan.learning_rate * gradient)
    for weight in fast:
        weight.requires_grad_(False)
    losses.append(_loss(adapted, token_ids, is_lesson).item())
    changes = [torch.sub(weight, start) for weight, start in zip(fast, starts, strict=True)]
    report = adaptation(tuple(losses), (_norm(changes) / _norm(starts)).item())
    return Adapted(adapted if report.is_finite else model, report)


def fast_weights(model: Judge) -> list[str]:
    """Names of the weights that adapt: of TTT layers their start, otherwise norms and the last block's MLP."""
    starts = [f"{name}.start" for name, module in model.named_modules() if isinstance(module, TTTLinear)]
    names = [name for name, _ in model.named_parameters()]
    last = max(int(block[1]) for name in names if (block := BLOCK.search(name)))
    return starts or [name for name in names if "norm" in name or f".{last}.mlp." in name]


def _copy_fast_weights(model: Judge) -> tuple[Judge, list[nn.Parameter]]:
    names = set(fast_weights(model))
    slow = [weight for name, weight in model.named_parameters() if name not in names]
    shared = {id(each): each for each in (*slow, *model.buffers())}  # what deepcopy finds here it does not copy
    adapted = copy.deepcopy(model, shared)
    fast = [weight for name, weight in adapted.named_parameters() if name in names]
    for weight in fast:
        weight.requires_grad_()
    return adapted, fast


def _lesson(prompt: Sequence[int], responses: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids, (B, T), padded on the right, and which of them are the responses'."""
    length = len(prompt) + max(map(len, responses))
    token_ids = torch.zeros(len(responses), length, dtype=torch.long)
    is_lesson = torch.zeros(len(responses), length, dtype=torch.bool)
    for row, response in enumerate(responses):
        end = len(prompt) + len(response)
        token_ids[row, :end] = torch.tensor([*prompt, *response])
        is_lesson[row, len(prompt) : end] = True
    return token_ids.to(device), is_lesson.to(device)


def _loss(model: Judge, token_ids: Tensor, is_lesson: Tensor) -> Tensor:
    if isinstance(model, TestTimeCompute):
        hidden, states = model.model(token_ids)
        losses = [state.losses[is_lesson].mean() for state in states if isinstance(state, TTTState)]
        if losses:
            return torch.stack(losses).mean()
    else:
        hidden = model.encode(token_ids)
    targets = token_ids.masked_fill(~is_lesson, IGNORED)[:, 1:]
    logits = hidden[:, :-1][targets != IGNORED] @ _vocabulary(model).T
    return functional.cross_entropy(logits.float(), targets[targets != IGNORED])


def _vocabulary(model: Judge) -> Tensor:
    """What predicts tokens from hidden states, (V, H): the embedding, through the input projection if there is one."""
    if isinstance(model, RewardModel):
        embedding: Tensor = model.model.get_input_embeddings().weight
        return embedding
    vocabulary: Tensor = model.get_parameter("model.embed_tokens.weight")
    if model.model.input_projection is not None:
        vocabulary = vocabulary @ model.model.input_projection.weight.T
    return vocabulary


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(torch.cat([tensor.float().flatten() for tensor in tensors]))
    return norm

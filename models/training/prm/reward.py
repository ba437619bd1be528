"""Training of a reward model: it starts from the policy's weights, and keeps predicting tokens beside its judgement."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from models.prm.reward_model import RewardModel
from models.training.documents import Batch, Batches
from models.training.losses import judgement_loss, language_loss
from models.training.optimization import Schedule, fit

SCORER_HIDDEN = 128
LEARNING_RATE = 2e-3
LANGUAGE_WEIGHT = 0.3


def from_policy(policy: PreTrainedModel, seed: int) -> RewardModel:
    """A reward model with the policy's backbone and a new scorer."""
    torch.manual_seed(seed)
    config = copy.deepcopy(policy.config)
    config.scorer_hidden = SCORER_HIDDEN
    model = RewardModel(config)
    model.model.load_state_dict(policy.base_model.state_dict())
    return model.float()


def freeze_below(model: RewardModel, num_layers: int) -> None:
    """Train the scorer and so many upper layers of the backbone alone, and keep the policy's weights in the rest."""
    layers = blocks_of(model)
    model.model.requires_grad_(False)
    for layer in layers[max(len(layers) - num_layers, 0) :]:
        layer.requires_grad_(True)


def blocks_of(model: RewardModel) -> nn.ModuleList:
    """The blocks of the backbone, whatever transformers calls them."""
    lists = (module for module in model.model.modules() if isinstance(module, nn.ModuleList))
    return next(each for each in lists if len(each) == model.config.num_hidden_layers)


@dataclass(frozen=True, slots=True)
class Unembedding:
    """How a policy makes logits of hidden states.

    Attributes:
        weight: From hidden states to tokens, (V, H), and not trained; None for a policy that uses its embedding.
        bias: Of the logits, (V,), if there is one.
        scale: Of the logits.
        cap: What logits approach and never reach, in models that bound them so.
    """

    weight: Tensor | None = None
    bias: Tensor | None = None
    scale: float = 1.0
    cap: float | None = None


def unembedding_of(policy: PreTrainedModel, device: str) -> Unembedding:
    """Read it off a causal model, which may be dropped then."""
    config: Any = policy.config
    head: Any = policy.get_output_embeddings()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    is_tied = head.weight is policy.get_input_embeddings().weight
    bias = getattr(head, "bias", None)
    return Unembedding(
        weight=None if is_tied else head.weight.detach().to(device),
        bias=None if bias is None else bias.detach().to(device),
        scale=getattr(config, "logit_scale", None) or 1 / (getattr(config, "logits_scaling", None) or 1),
        cap=getattr(config, "final_logit_softcapping", None),
    )


def fit_reward_model(
    model: RewardModel,
    batches: Batches,
    schedule: Schedule,
    checkpoint: Path,
    unembedding: Unembedding = Unembedding(),
    checkpoint_every: int = 100,
) -> None:
    """Train `model` in place to judge, and to go on predicting tokens.

    Args:
        model: What is trained: its parameters that require gradients.
        batches: One entry a step.
        schedule: Learning rate.
        checkpoint: Where an interrupted run goes on from.
        unembedding: The policy's.
        checkpoint_every: Steps after which it can go on.
    """

    def losses(batch: Batch) -> dict[str, Tensor]:
        hidden = model.encode(batch.token_ids)
        weight = model.model.get_input_embeddings().weight if unembedding.weight is None else unembedding.weight
        scaled = hidden * unembedding.scale
        language = language_loss(scaled, weight, batch.next_tokens, unembedding.bias, unembedding.cap)
        return {
            "judge": judgement_loss(model.judge(hidden), batch.verdicts, batch.is_first),
            "language": LANGUAGE_WEIGHT * language,
        }

    fit(model, batches, losses, schedule, checkpoint, checkpoint_every)

"""Training of a reward model: it starts from the policy's weights, and keeps predicting tokens beside its judgement."""

import copy
from pathlib import Path

import torch
from torch import Tensor
from transformers import LlamaForCausalLM, Qwen2ForCausalLM

from models.prm.reward_model import RewardModel
from models.training.documents import Batch, Batches
from models.training.losses import judgement_loss, language_loss
from models.training.optimization import Schedule, fit

SCORER_HIDDEN = 128
LEARNING_RATE = 2e-3
LANGUAGE_WEIGHT = 0.3


def from_policy(policy: LlamaForCausalLM | Qwen2ForCausalLM, seed: int) -> RewardModel:
    """A reward model with the policy's backbone and a new scorer."""
    torch.manual_seed(seed)
    config = copy.deepcopy(policy.config)
    config.scorer_hidden = SCORER_HIDDEN
    model = RewardModel(config)
    model.model.load_state_dict(policy.model.state_dict())
    return model.float()


def fit_reward_model(
    model: RewardModel,
    batches: Batches,
    schedule: Schedule,
    checkpoint: Path,
    unembedding: Tensor | None = None,
    checkpoint_every: int = 100,
) -> None:
    """Train `model` in place to judge, and to go on predicting tokens.

    Args:
        model: What is trained.
        batches: One entry a step.
        schedule: Learning rate.
        checkpoint: Where an interrupted run goes on from.
        unembedding: From hidden states to tokens, (V, H), and not trained; None for a policy that uses its embedding.
        checkpoint_every: Steps after which it can go on.
    """

    def losses(batch: Batch) -> dict[str, Tensor]:
        hidden = model.encode(batch.token_ids)
        weights = model.model.embed_tokens.weight if unembedding is None else unembedding
        language = language_loss(hidden, weights, batch.next_tokens)
        return {"judge": judgement_loss(model.judge(hidden), batch), "language": LANGUAGE_WEIGHT * language}

    fit(model, batches, losses, schedule, checkpoint, checkpoint_every)

"""Training of a reward model, and of the demo's: first the generator's solutions, then the policy's own samples.

It starts from the policy's weights, keeps predicting tokens beside its judgement, and ends on many fresh samples of the
policy it is to judge.
"""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase, Qwen2ForCausalLM

from models.prm.reward_model import RewardModel
from models.training.demo.policy import language_loss
from models.training.demo.samples import read_samples
from models.training.documents import IGNORED, Batch, Batches, Document, judged_document
from models.training.optimization import Schedule, fit

SCORER_HIDDEN = 128
BATCH_SIZE = 64
NUM_PARTS = 4
LEARNING_RATE = 2e-3
LANGUAGE_WEIGHT = 0.3
LATER_WEIGHT = 0.25
"""Of steps after the first error, which are easy."""
GENERATOR_SHARE = 0.35
"""Of the documents beside the policy's samples."""


def from_policy(policy: LlamaForCausalLM | Qwen2ForCausalLM, seed: int) -> RewardModel:
    """A reward model with the policy's backbone and a new scorer."""
    torch.manual_seed(seed)
    config = copy.deepcopy(policy.config)
    config.scorer_hidden = SCORER_HIDDEN
    model = RewardModel(config)
    model.model.load_state_dict(policy.model.state_dict())
    return model.float()


def train_on_solutions(
    model: RewardModel, tokenizer: PreTrainedTokenizerBase, num_steps: int, seed: int, checkpoint: Path
) -> None:
    """First phase: solutions and near misses of the generator, endless and exactly labelled."""

    def draw(rng: Random, step: int) -> Document:
        return judged_document(tokenizer, rng)

    _fit(model, draw, num_steps, f"solutions {seed}", checkpoint)


def train_on_samples(
    model: RewardModel,
    tokenizer: PreTrainedTokenizerBase,
    shards: Sequence[Path],
    num_steps: int,
    seed: int,
    checkpoint: Path,
) -> None:
    """Last phase: the policy's own samples, one shard after the other, with some of the generator's solutions."""

    def draw(rng: Random, step: int) -> Document:
        if rng.random() < GENERATOR_SHARE:
            return judged_document(tokenizer, rng)
        return rng.choice(read_samples(shards[step * len(shards) // num_steps])).document

    _fit(model, draw, num_steps, f"samples {seed}", checkpoint)


def judgement_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Weighted mean cross-entropy of the verdicts at step ends.

    Args:
        logits: Of the scorer at every position, (B, T).
        batch: Says where the steps end and how likely each is right.
    """
    judged = batch.verdicts != IGNORED
    weights = torch.where(batch.is_first[judged], 1.0, LATER_WEIGHT)
    losses = functional.binary_cross_entropy_with_logits(
        logits[judged].float(), batch.verdicts[judged].float(), weight=weights, reduction="sum"
    )
    return losses / weights.sum()


def _fit(
    model: RewardModel, draw: Callable[[Random, int], Document], num_steps: int, seed: str, checkpoint: Path
) -> None:
    batches = Batches(draw, BATCH_SIZE, NUM_PARTS, num_steps, seed)
    fit_reward_model(model, batches, Schedule(num_steps, LEARNING_RATE), checkpoint)


def fit_reward_model(
    model: RewardModel, batches: Batches, schedule: Schedule, checkpoint: Path, unembedding: Tensor | None = None
) -> None:
    """Train `model` in place to judge, and to go on predicting tokens.

    Args:
        model: What is trained.
        batches: One entry a step.
        schedule: Learning rate.
        checkpoint: Where an interrupted run goes on from.
        unembedding: From hidden states to tokens, (V, H), and not trained; None for a policy that uses its embedding.
    """

    def losses(batch: Batch) -> dict[str, Tensor]:
        hidden = model.encode(batch.token_ids)
        weights = model.model.embed_tokens.weight if unembedding is None else unembedding
        language = language_loss(hidden, weights, batch.next_tokens)
        return {"judge": judgement_loss(model.judge(hidden), batch), "language": LANGUAGE_WEIGHT * language}

    fit(model, batches, losses, schedule, checkpoint)

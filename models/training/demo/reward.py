"""Training of the demo's reward model: first the generator's solutions, then the policy's own samples.

It ends on many fresh samples of the policy that it is to judge.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from transformers import PreTrainedTokenizerBase

from models.prm.reward_model import RewardModel
from models.training.demo.documents import judged_document
from models.training.demo.samples import read_samples
from models.training.documents import Batches, Document
from models.training.optimization import Schedule
from models.training.prm.reward import LEARNING_RATE, fit_reward_model

BATCH_SIZE = 64
NUM_PARTS = 4
GENERATOR_SHARE = 0.35
"""Of the documents beside the policy's samples."""


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


def _fit(
    model: RewardModel, draw: Callable[[Random, int], Document], num_steps: int, seed: str, checkpoint: Path
) -> None:
    batches = Batches(draw, BATCH_SIZE, NUM_PARTS, num_steps, seed)
    fit_reward_model(model, batches, Schedule(num_steps, LEARNING_RATE), checkpoint)

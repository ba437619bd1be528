"""The demo policy: a small Llama that learns to solve, and to err, like the learner of the corpus."""

from pathlib import Path
from random import Random

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from models.training.demo.documents import drill_document, learner_document
from models.training.demo.tokenizer import CONTEXT
from models.training.documents import Batch, Batches, Document
from models.training.losses import language_loss
from models.training.optimization import Schedule, fit

BATCH_SIZE = 64
NUM_PARTS = 4
LEARNING_RATE = 4e-3
DRILL_SHARE = 0.5
"""At the first step; falls to nothing at half of the run."""


def policy_config(tokenizer: PreTrainedTokenizerBase) -> LlamaConfig:
    """Four layers of 192 with grouped queries; heads of 32, the smallest that vLLM's CPU attention takes."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def train_policy(tokenizer: PreTrainedTokenizerBase, num_steps: int, seed: int, checkpoint: Path) -> LlamaForCausalLM:
    """Train from random weights; goes on from `checkpoint` where there is one."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(policy_config(tokenizer))  # type: ignore[no-untyped-call]  # transformers leaves it untyped

    def draw(rng: Random, step: int) -> Document:
        drill_share = DRILL_SHARE * max(0.0, 1 - 2 * step / num_steps)
        return (drill_document if rng.random() < drill_share else learner_document)(tokenizer, rng)

    def losses(batch: Batch) -> dict[str, Tensor]:
        hidden = model.model(input_ids=batch.token_ids, use_cache=False).last_hidden_state
        return {"loss": language_loss(hidden, model.lm_head.weight, batch.next_tokens)}

    batches = Batches(draw, BATCH_SIZE, NUM_PARTS, num_steps, f"policy {seed}")
    fit(model, batches, losses, Schedule(num_steps, LEARNING_RATE), checkpoint)
    return model


def save_policy(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Write a checkpoint in bfloat16 that transformers and vLLM load."""
    model.to(torch.bfloat16).save_pretrained(directory)  # type: ignore[arg-type]
    tokenizer.save_pretrained(directory)

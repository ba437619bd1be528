"""Seeded tiny reward models of every architecture that a verifier's backbone may have, and how far a served one is off.

Weights are drawn wide, so that scores spread as a trained model's do. A window of 64 tokens is passed by nearly every
response, so that a cached prefix reaches back behind it.
"""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from models.checkpoints.checkpoint import read_config
from models.checkpoints.tokenizer import ChatTokenizer
from models.checkpoints.weights import read_weights
from models.interfaces import DELIMITER, Finish, Meter, Problem, Step, Verifier
from models.labels.response import LabelledResponse
from models.prm.reward_model import RewardModel, save_reward_model
from models.training.prm.labels import LabelFile
from models.training.prm.train import TrainingPlan, train_prm
from tests.models.tiny import NUM_TOKENS, tiny_tokenizer

WINDOW = 64
SIZES: dict[str, Any] = {
    "vocab_size": NUM_TOKENS,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 2048,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
    "scorer_hidden": 32,
}
ALTERNATING = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"] * 2}
MOE: dict[str, Any] = {"num_experts_per_tok": 2, "moe_intermediate_size": 64}
BACKBONES: dict[str, dict[str, Any]] = {
    "qwen3": {},
    "gemma3_text": ALTERNATING | {"query_pre_attn_scalar": 32},
    "phi3": {"sliding_window": WINDOW},
    "olmo3": ALTERNATING,
    "cohere2": ALTERNATING,
}
"""Those that every run of the tests serves: extra keys of config.json."""
OTHERS: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": WINDOW},
    "qwen2": {},
    "phi": {"num_key_value_heads": 2},
    "olmo": {},
    "olmo2": {},
    "gemma": {},
    "gemma2": ALTERNATING | {"query_pre_attn_scalar": 32},
    "granite": {"residual_multiplier": 0.5, "embedding_multiplier": 2.0},
    "cohere": {},
    "glm4": {},
    "smollm3": {},
    "stablelm": {},
    "starcoder2": {"sliding_window": None},
    "gpt_neox": {"num_key_value_heads": 2},
    "nemotron": {},
    "exaone4": ALTERNATING,
    "ministral3": {},
    "qwen3_moe": MOE | {"num_experts": 4},
    "mixtral": MOE | {"num_local_experts": 4},
    "olmoe": MOE | {"num_experts": 4},
    "gpt_oss": ALTERNATING | MOE | {"num_local_experts": 4},
}
"""Those that `python -m tests.bench.verifiers` serves, too."""
WORDS = ("## Step", "17 + 28 = 45.", "so", "- 3", r"$\frac{1}{2}$", "é", "数学", "x²", "🙂", "Add\n  it")

Encode = Callable[[str], tuple[int, ...]]
Plain = Callable[[list[int]], Tensor]


def save_backbone(model_type: str, directory: Path) -> Path:
    """Write our reward model with a backbone of this type."""
    model = RewardModel(config_of(model_type))
    draw_weights(model)
    save_reward_model(model, directory, torch.float32)
    tiny_tokenizer().save_pretrained(directory)
    return directory


def save_trained(model_type: str, directory: Path) -> Path:
    """Have `train-prm` train a reward model for a seeded policy of this type, for some steps."""
    policy, prm = directory / "policy", directory / "prm"
    model: Any = AutoModelForCausalLM.from_config(config_of(model_type))  # type: ignore[no-untyped-call]
    draw_weights(model)
    model.save_pretrained(policy)
    tiny_tokenizer().save_pretrained(policy)
    dice, tokenizer, labels = random.Random(0), ChatTokenizer(policy), LabelFile(directory / "labels.jsonl", 1)
    for number in range(40):
        steps = random_response(dice, tokenizer.encode)
        texts, token_ids = tuple(step.text for step in steps), tuple(step.token_ids for step in steps)
        shares = tuple(0.9 if "45" in text else 0.1 for text in texts)
        labels.append([LabelledResponse(f"What is {number} + 1?", "1", texts, token_ids, shares, is_complete=False)])
    plan = TrainingPlan(epochs=4, batch_size=8, num_parts=2, learning_rate=1e-2, held_out=0.25)
    train_prm(policy, [directory / "labels.jsonl"], prm, plan)
    return prm


def config_of(model_type: str) -> Any:
    return AutoConfig.for_model(model_type, **SIZES | (BACKBONES | OTHERS)[model_type])


def draw_weights(model: torch.nn.Module) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.5 / weight.shape[-1] ** 0.5 * (4 if name.startswith("scorer") else 1))
            elif "norm" not in name:
                weight.normal_(std=0.1)


def plain_scores(directory: Path) -> Plain:
    """What plain transformers and two matrices make of token ids: a score at each position."""
    model: Any = AutoModel.from_pretrained(directory, dtype=torch.float32)
    weights = {name: weight.tensor for name, weight in read_weights(directory).items()}
    assert read_config(directory)["architectures"] == ["WinnowRewardModel"]

    @torch.inference_mode()
    def scores(token_ids: list[int]) -> Tensor:
        hidden = model(torch.tensor([token_ids]), use_cache=False).last_hidden_state[0]
        inner = torch.nn.functional.silu(hidden @ weights["scorer.0.weight"].T + weights["scorer.0.bias"])
        return (inner @ weights["scorer.2.weight"].T + weights["scorer.2.bias"]).sigmoid()[:, 0]

    return scores


def random_response(dice: random.Random, encode: Encode) -> list[Step]:
    """One to eight steps, the longest of them responses of a few hundred tokens."""
    texts = [" ".join(dice.choices(WORDS, k=dice.randint(1, 12))) + DELIMITER for _ in range(dice.randint(1, 8))]
    return [Step(text, encode(text), Finish.STEP) for text in texts]


async def largest_difference(
    verifier: Verifier, plain: Plain, build: Callable[[Problem], tuple[int, ...]], encode: Encode
) -> tuple[float, float, Meter]:
    """Judge 100 responses, the first steps of each before the rest, which then comes behind a cached prefix.

    Returns:
        The largest difference from plain transformers, the spread of the scores, and the bill.
    """
    meter, expected = Meter(), []

    async def judge(seed: int) -> float:
        dice = random.Random(seed)
        problem, steps = Problem(f"What is {seed} + 1? 数"), random_response(dice, encode)
        token_ids, ends = list(build(problem)), []
        for step in steps:
            token_ids += step.token_ids
            ends.append(len(token_ids) - 1)
        wanted: list[float] = plain(token_ids)[ends].tolist()
        expected.extend(wanted)
        num_read = dice.randrange(len(steps))
        scores = [*(await verifier.score(problem, (), steps[:num_read], meter) if num_read else ())]
        scores += await verifier.score(problem, steps[:num_read], steps[num_read:], meter)
        return max(abs(score - other) for score, other in zip(scores, wanted, strict=True))

    differences = await asyncio.gather(*map(judge, range(100)))
    return max(differences), max(expected) - min(expected), meter

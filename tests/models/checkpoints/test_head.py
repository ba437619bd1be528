"""A format's description of its head reaches vLLM as it was, and makes the layers that the checkpoint has."""

from typing import Any

import torch
from transformers import LlamaConfig

from models.checkpoints.head import Head, scorer_head
from models.prm.reward_model import RewardModel
from models.vllm.reward_model import build_head
from tests.models.prm.test_reward_model import SIZES

OPTIONS: dict[str, Any] = {**SIZES}


def test_a_description_survives_the_configuration() -> None:
    head = Head((("score.0", 8), ("score.2", 2)), "silu")
    assert Head.from_json(head.to_json()) == head


def test_the_projects_own_head_has_the_shapes_of_the_plain_model() -> None:
    plain = RewardModel(LlamaConfig(**OPTIONS)).scorer.state_dict()
    expected = {f"scorer.{name}": tuple(weight.shape) for name, weight in plain.items()}
    assert scorer_head(SIZES["scorer_hidden"]).shapes(SIZES["hidden_size"]) == expected


def test_the_head_that_vllm_builds_gives_what_the_plain_one_gives() -> None:
    plain, hidden = RewardModel(LlamaConfig(**OPTIONS)), torch.randn(3, SIZES["hidden_size"])
    head = build_head(scorer_head(SIZES["scorer_hidden"]), SIZES["hidden_size"])
    head.load_state_dict(plain.scorer.state_dict())
    assert torch.equal(head(hidden), plain.scorer(hidden))

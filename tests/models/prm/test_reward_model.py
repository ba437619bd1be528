"""The reward model as a plain PyTorch module: shape, causality, checkpoints."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, LlamaConfig, Qwen2Config

from models.errors import CheckpointError
from models.prm.reward_model import RewardModel, load_reward_model, save_reward_model

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "scorer_hidden": 16,
}


@pytest.fixture(params=[LlamaConfig, Qwen2Config])
def model(request: pytest.FixtureRequest) -> RewardModel:
    torch.manual_seed(0)
    return RewardModel(request.param(**SIZES)).eval()


@pytest.fixture
def token_ids() -> torch.Tensor:
    return torch.randint(64, (3, 10), generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_scores_are_probabilities_one_a_position(model: RewardModel, token_ids: torch.Tensor) -> None:
    scores = model(token_ids)
    assert scores.shape == (3, 10)
    assert ((scores > 0) & (scores < 1)).all()


@torch.inference_mode()
def test_a_later_token_changes_no_earlier_score(model: RewardModel, token_ids: torch.Tensor) -> None:
    changed = token_ids.clone()
    changed[:, 6] = (changed[:, 6] + 1) % 64
    before, after = model(token_ids), model(changed)
    torch.testing.assert_close(before[:, :6], after[:, :6], atol=1e-6, rtol=0.0)
    assert (before[:, 6:] != after[:, 6:]).any(dim=1).all()


@torch.inference_mode()
def test_padding_on_the_right_changes_no_score(model: RewardModel, token_ids: torch.Tensor) -> None:
    padded = torch.nn.functional.pad(token_ids, (0, 5))
    torch.testing.assert_close(model(token_ids), model(padded)[:, :10], atol=1e-6, rtol=0.0)


@torch.inference_mode()
def test_a_saved_model_scores_the_same_up_to_bfloat16(
    model: RewardModel, token_ids: torch.Tensor, tmp_path: Path
) -> None:
    save_reward_model(model, tmp_path)
    torch.testing.assert_close(load_reward_model(tmp_path)(token_ids), model(token_ids), atol=0.01, rtol=0.0)


@torch.inference_mode()
def test_plain_transformers_loads_the_backbone(model: RewardModel, token_ids: torch.Tensor, tmp_path: Path) -> None:
    save_reward_model(model, tmp_path)
    backbone = AutoModel.from_pretrained(tmp_path, dtype=torch.float32)
    hidden = load_reward_model(tmp_path).encode(token_ids)
    torch.testing.assert_close(backbone(token_ids).last_hidden_state, hidden, atol=1e-5, rtol=0.0)


def test_a_missing_head_is_named(model: RewardModel, tmp_path: Path) -> None:
    save_reward_model(model, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file({name: weights[name] for name in weights if "scorer" not in name}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors.*scorer\.0\.weight"):
        load_reward_model(tmp_path)


def test_broken_weights_are_named(model: RewardModel, tmp_path: Path) -> None:
    model.scorer[2].bias.data.fill_(torch.nan)  # type: ignore[operator]  # nn.Sequential is not typed by place
    save_reward_model(model, tmp_path)
    with pytest.raises(CheckpointError, match=r"scorer\.2\.bias holds NaN"):
        load_reward_model(tmp_path)


def test_a_truncated_file_is_named(model: RewardModel, tmp_path: Path) -> None:
    save_reward_model(model, tmp_path)
    weights_file = tmp_path / "model.safetensors"
    weights_file.write_bytes(weights_file.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read"):
        load_reward_model(tmp_path)


def test_a_config_without_the_scorers_width_is_refused(model: RewardModel, tmp_path: Path) -> None:
    save_reward_model(model, tmp_path)
    config_file = tmp_path / "config.json"
    fields = json.loads(config_file.read_text())
    config_file.write_text(json.dumps({name: fields[name] for name in fields if name != "scorer_hidden"}))
    with pytest.raises(CheckpointError, match=r"config\.json: scorer_hidden is missing"):
        load_reward_model(tmp_path)

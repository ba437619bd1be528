"""A directory that cannot be served is refused before an engine starts, with the file and the field."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from models.checkpoint import check_causal_model, check_reward_model, find_model
from models.errors import CheckpointError
from tests.conftest import DEMO

Change = Callable[[Path], Any]


def config(**changes: Any) -> Change:
    def change(directory: Path) -> None:
        file = directory / "config.json"
        fields = json.loads(file.read_text()) | changes
        file.write_text(json.dumps({name: value for name, value in fields.items() if value is not None}))

    return change


def without(name: str) -> Change:
    return lambda directory: (directory / name).unlink()


def holding(name: str, text: str) -> Change:
    return lambda directory: (directory / name).write_text(text)


def weights(change: Callable[[dict[str, Any]], Any]) -> Change:
    def rewrite(directory: Path) -> None:
        tensors = load_file(directory / "model.safetensors")
        change(tensors)
        save_file(tensors, directory / "model.safetensors")

    return rewrite


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[[str, Change], Path]:
    def make(name: str, change: Change) -> Path:
        directory = shutil.copytree(DEMO / name, tmp_path / name, copy_function=shutil.copy)
        change(directory)
        return directory

    return make


def test_the_demo_pair_is_served() -> None:
    check_causal_model(DEMO / "policy")
    check_reward_model(DEMO / "prm")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("config.json"), r"config\.json: No such file"),
        (holding("config.json", "{"), r"config\.json: is not JSON"),
        (holding("config.json", "[]"), r"config\.json: is not a JSON object"),
        (config(architectures=None), r"config\.json: architectures is None"),
        (config(architectures=["BertModel"]), r"config\.json: architectures is \['BertModel'\], not \['WinnowReward"),
        (config(model_type="gpt2"), r"config\.json: model_type is 'gpt2', not llama or qwen2"),
        (config(scorer_hidden=None), r"config\.json: scorer_hidden is None"),
        (config(hidden_size="many"), r"config\.json: hidden_size is 'many'"),
        (config(scorer_hidden=7), r"scorer\.0\.weight is \(\d+, \d+\), not \(7, \d+\)"),
        (without("model.safetensors"), r"no \*\.safetensors file"),
        (holding("model.safetensors", "junk"), r"model\.safetensors: cannot be read"),
        (weights(lambda tensors: tensors.pop("scorer.2.bias")), r"scorer\.2\.bias is missing"),
        (holding("model.safetensors.index.json", "{}"), r"index\.json: weight_map"),
    ],
)
def test_a_broken_reward_model_is_named(
    checkpoint: Callable[[str, Change], Path], change: Change, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        check_reward_model(checkpoint("prm", change))


def test_a_reward_model_is_no_policy() -> None:
    with pytest.raises(CheckpointError, match=r"WinnowRewardModel.*not a causal language model"):
        check_causal_model(DEMO / "prm")


def test_a_policy_is_no_reward_model() -> None:
    with pytest.raises(CheckpointError, match="LlamaForCausalLM"):
        check_reward_model(DEMO / "policy")


def test_a_directory_is_found_by_its_path() -> None:
    assert find_model(str(DEMO / "policy")) == DEMO / "policy"


def test_a_path_that_leads_nowhere_is_not_asked_of_the_hub(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere: no such directory"):
        find_model(tmp_path / "nowhere")

"""A directory that cannot be served is refused before an engine starts, with the file and the field."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models.checkpoints.checkpoint import check_causal_model, find_model
from models.errors import CheckpointError
from tests.conftest import DEMO
from tests.models.damage import Change, config, halved, holding, lacking, resized, spoilt, without

Damage = Callable[[Change], Path]


@pytest.fixture
def damaged(tmp_path: Path) -> Damage:
    def make(change: Change) -> Path:
        directory = shutil.copytree(DEMO / "policy", tmp_path / "policy", copy_function=shutil.copy)
        change(directory)
        return directory

    return make


def test_the_demo_policy_is_served() -> None:
    check_causal_model(DEMO / "policy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("config.json"), r"config\.json: No such file"),
        (holding("config.json", "{"), r"config\.json: is not JSON"),
        (holding("config.json", "[]"), r"config\.json: is not a JSON object"),
        (config(architectures=None), r"config\.json: architectures is None"),
        (config(architectures=["BertModel"]), r"config\.json: BertModel is an encoder"),
        (config(hidden_size="many"), r"config\.json: .*'hidden_size'.*'many'"),
        (config(num_attention_heads=0), r"config\.json: "),
        (config(intermediate_size=7), r"model\.safetensors: .*proj\.weight is \(\d+, \d+\), not \(7, \d+\) as config"),
        (config(num_hidden_layers=9), r"policy: model\.layers\.\d\.\S+ is missing from the weights"),
        (without("model.safetensors"), r"policy: no \*\.safetensors file"),
        (holding("model.safetensors", "junk"), r"model\.safetensors: cannot be read"),
        (halved("model.safetensors"), r"model\.safetensors: cannot be read"),
        (lacking("model.norm.weight"), r"policy: model\.norm\.weight is missing"),
        (resized("model.norm.weight"), r"model\.safetensors: model\.norm\.weight is \(\d+,\), not"),
        (spoilt("model.norm.weight"), r"model\.safetensors: model\.norm\.weight holds NaN or infinity"),
        (spoilt("model.norm.weight", float("-inf")), r"model\.safetensors: model\.norm\.weight holds NaN or infinity"),
        (holding("model.safetensors.index.json", "{}"), r"index\.json: weight_map"),
    ],
)
def test_a_broken_policy_is_named(damaged: Damage, change: Change, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        check_causal_model(damaged(change))


def test_a_reward_model_is_no_policy() -> None:
    with pytest.raises(CheckpointError, match=r"WinnowRewardModel judges text.*name it as verifier_model"):
        check_causal_model(DEMO / "prm")


def test_a_directory_is_found_by_its_path() -> None:
    assert find_model(str(DEMO / "policy")) == DEMO / "policy"


def test_a_path_that_leads_nowhere_is_not_asked_of_the_hub(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere: no such directory"):
        find_model(tmp_path / "nowhere")

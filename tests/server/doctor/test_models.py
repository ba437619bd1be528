"""Whether the checkpoints can be served."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from server.doctor.finding import Verdict
from server.doctor.machine import GIB
from server.doctor.models import check_models, size_of
from server.settings import DEMO, Settings
from tests.server.doctor.machines import verdicts

FINE, CAUTION, STOPS = Verdict.FINE, Verdict.CAUTION, Verdict.STOPS
HERE = frozenset({"policy", "verifier"})


def examined(here: frozenset[str] = HERE, **settings: Any) -> list[Verdict]:
    return verdicts(check_models(Settings(**settings), here)[0])


def test_the_demo_pair_can_be_served() -> None:
    assert examined() == [FINE, FINE]


def test_weights_that_are_cut_short_stop(tmp_path: Path) -> None:
    broken = shutil.copytree(DEMO / "policy", tmp_path / "policy")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert examined(policy_model=str(broken), verifier_model=str(DEMO / "prm")) == [STOPS, FINE]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"policy_model": "nowhere"}, [STOPS, CAUTION]),
        ({"verifier_format": "none"}, [FINE, CAUTION]),
        ({"policy_model": "nowhere", "verifier_model": str(DEMO / "prm")}, [STOPS, CAUTION]),
        ({"policy_model": "nobody/nothing"}, [CAUTION, CAUTION]),
        ({"policy_model": "nowhere", "verifier_model": "nowhere"}, [STOPS, STOPS]),
        ({"verifier_model": "nobody/nothing"}, [FINE, CAUTION]),
        ({"verifier_model": str(DEMO / "policy")}, [FINE, STOPS]),
        ({"verifier_format": "skywork"}, [FINE, STOPS]),
        ({"verifier_format": "checker", "verifier_model": "arithmetic"}, [FINE, FINE]),
        ({"verifier_format": "checker", "verifier_model": "nothing"}, [FINE, STOPS]),
        ({"verifier_format": "torch"}, [FINE, FINE]),
        ({"verifier_format": "confidence"}, [FINE, FINE]),
    ],
)
def test_a_model_that_is_missing_or_of_another_kind_is_found(settings: dict[str, Any], expected: list[Verdict]) -> None:
    assert examined(**settings) == expected


def test_more_arguments_of_vllm_are_shown_and_wrong_ones_stop() -> None:
    given: dict[str, Any] = {"policy_engine_args": {"max_num_seqs": 8}, "verifier_engine_args": {"max_num_seq": 8}}
    shown, wrong, *models = check_models(Settings(**given), HERE)[0]
    assert (shown.check, shown.verdict, shown.seen) == ("policy_engine_args", FINE, "max_num_seqs 8")
    assert (wrong.check, wrong.verdict) == ("verifier_engine_args", STOPS)
    assert "did you mean max_num_seqs" in wrong.seen
    assert verdicts(models) == [FINE, FINE]


def test_of_models_on_servers_elsewhere_the_tokenizer_is_read(tmp_path: Path) -> None:
    remote = shutil.copytree(DEMO / "policy", tmp_path / "policy", ignore=shutil.ignore_patterns("*.safetensors"))
    nowhere: frozenset[str] = frozenset()
    assert examined(nowhere, policy_model=str(remote), verifier_model="nowhere") == [FINE]


def test_weights_take_what_their_type_takes() -> None:
    size = size_of("policy", DEMO / "policy", "auto", None)
    stored = (DEMO / "policy" / "model.safetensors").stat().st_size
    assert stored - 10_000 < size.weight_bytes < stored
    assert size_of("policy", DEMO / "policy", "float32", None).weight_bytes == 2 * size.weight_bytes


def test_the_cache_of_a_response_is_keys_and_values_of_every_layer(tmp_path: Path) -> None:
    llama = shutil.copytree(DEMO / "policy", tmp_path / "llama")
    shape = {"num_hidden_layers": 32, "num_key_value_heads": 8, "num_attention_heads": 32, "head_dim": 128}
    config = json.loads((llama / "config.json").read_text()) | shape | {"max_position_embeddings": 131072}
    (llama / "config.json").write_text(json.dumps(config))
    # Llama-3.1-8B: 128 KiB for a token, 16 GiB for its whole context, and a block of 32 tokens for vLLM
    assert size_of("policy", llama, "bfloat16", None).cache_bytes == 16 * GIB + (4 << 20)
    assert size_of("policy", llama, "bfloat16", 8192).cache_bytes == GIB + (4 << 20)


def test_the_cache_of_an_unknown_backbone_is_not_guessed(tmp_path: Path) -> None:
    other = shutil.copytree(DEMO / "policy", tmp_path / "other")
    config = json.loads((other / "config.json").read_text()) | {"model_type": "mamba"}
    (other / "config.json").write_text(json.dumps(config))
    assert size_of("policy", other, "auto", None).cache_bytes is None

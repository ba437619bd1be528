"""A calibration table belongs to models as they are served."""

from typing import Any

import pytest

from server.identity import identity_of
from server.settings import Settings

DEMO = identity_of(Settings())


@pytest.mark.parametrize("model", ["policy", "verifier"])
@pytest.mark.parametrize("arguments", [{"quantization": "fp8"}, {"hf_overrides": {"rope_theta": 5e5}}])
def test_arguments_of_vllm_make_another_model(model: str, arguments: dict[str, Any]) -> None:
    settings: dict[str, Any] = {f"{model}_engine_args": arguments}
    other = identity_of(Settings(**settings))
    assert getattr(other, model) != getattr(DEMO, model)
    assert identity_of(Settings(**settings)) == other


@pytest.mark.parametrize("model", ["policy", "verifier"])
def test_arguments_that_say_how_much_an_engine_does_at_a_time_do_not(model: str) -> None:
    """`winnow tune` writes them into recipes, whose tables still hold."""
    settings: dict[str, Any] = {f"{model}_engine_args": {"max_num_seqs": 64, "max_num_batched_tokens": 512}}
    assert identity_of(Settings(**settings)) == DEMO

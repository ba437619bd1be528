"""Reward models on backbones of vLLM's own registry, against plain transformers; and those that are refused by name.

The engine of each lasts as long as its test, some three seconds. `python -m tests.bench.verifiers` has more of them.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import CheckpointError
from models.prm.formats import open_verifier
from models.prm.served import RunningVerifier
from models.vllm.backbones import require_backbone
from models.vllm.launch import block_size
from models.vllm.settings import MIB, EngineSettings
from tests.models.backbones import BACKBONES, largest_difference, plain_scores, save_backbone, save_trained

TRAINED = ("qwen3", "gemma3_text")
"""Those that `train-prm` has made; the others are as they were drawn."""
TOLERANCE = 1e-4
"""Both sides compute in float32, alike but for the order of their sums."""


@pytest.fixture(params=BACKBONES)
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    save = save_trained if request.param in TRAINED else save_backbone
    return save(request.param, tmp_path / request.param)


@pytest.fixture
def own_prompts(checkpoint: Path) -> PromptBuilder:
    return PromptBuilder(ChatTokenizer(checkpoint))


@pytest.fixture
async def published(checkpoint: Path, own_prompts: PromptBuilder) -> AsyncIterator[RunningVerifier]:
    settings = EngineSettings(checkpoint, "verifier", dtype="float32", kv_cache_bytes=32 * MIB)
    async with open_verifier("winnow", settings, own_prompts) as verifier:
        yield verifier


async def test_100_responses_get_the_scores_of_plain_transformers_from_a_cached_prefix(
    published: RunningVerifier, checkpoint: Path, own_prompts: PromptBuilder
) -> None:
    """Three quarters of the responses are longer than the windows of those that have windows."""
    difference, spread, meter = await largest_difference(
        published, plain_scores(checkpoint), own_prompts.build, own_prompts.tokenizer.encode
    )
    assert difference < TOLERANCE
    assert spread > 0.3  # a wrong score would show
    assert meter.verifier_cached_tokens > 100 * block_size()


@pytest.mark.parametrize(
    ("model_type", "reason"),
    [
        ("bert", "is an encoder: "),
        ("roberta", "is an encoder: "),
        ("modernbert", "is an encoder: "),
        ("t5", "is an encoder with a decoder: "),
        ("bart", "is an encoder with a decoder: "),
        ("mamba", "is a state-space model: "),
        ("jamba", "is a state-space model: "),
        ("qwen3_next", "is a state-space model: "),
        ("gemma3", "reads more than text: "),
        ("rwkv", "has no causal model in the installed vLLM"),
        ("nobodys", "has no causal model in the installed vLLM"),
    ],
)
def test_a_backbone_that_cannot_judge_steps_is_refused_by_name(tmp_path: Path, model_type: str, reason: str) -> None:
    fields = {"architectures": ["WinnowRewardModel"], "model_type": model_type}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(CheckpointError, match=rf"config\.json: model_type '{model_type}' {reason}.*; use a verifier"):
        require_backbone(tmp_path)

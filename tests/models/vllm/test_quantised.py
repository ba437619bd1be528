"""Checkpoints that are quantised already, on the real engine: a verifier's scores against plain transformers.

`python -m tests.bench.quantised` serves the other formats, too.
"""

from pathlib import Path

import pytest

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import EngineUnavailableError
from models.prm.formats import open_verifier
from models.vllm.devices import has_kernels_of_4_bits
from models.vllm.settings import MIB, EngineSettings
from tests.models.backbones import largest_difference, plain_scores, save_backbone
from tests.models.quantised import save_quantised

TOLERANCE = 2e-2
"""The engine computes in bfloat16, and plain transformers in float32 with the weights that the file stands for."""

schemes = pytest.mark.parametrize("scheme", ["awq", "gptq"])


@pytest.mark.engine
@schemes
async def test_a_quantised_verifier_scores_as_the_weights_that_it_stands_for(tmp_path: Path, scheme: str) -> None:
    if not has_kernels_of_4_bits():
        pytest.skip("vLLM needs AVX-512 for it")
    stored, read_back = save_quantised(save_backbone("llama", tmp_path / "verifier"), scheme, tmp_path)
    prompts = PromptBuilder(ChatTokenizer(stored))
    settings = EngineSettings(stored, "verifier", dtype="bfloat16", kv_cache_bytes=32 * MIB)
    async with open_verifier("winnow", settings, prompts) as verifier:
        difference, spread, _ = await largest_difference(
            verifier, plain_scores(read_back), prompts.build, prompts.tokenizer.encode
        )
    assert difference < TOLERANCE
    assert spread > 10 * TOLERANCE  # a wrong score would show


@pytest.mark.engine
@schemes
async def test_a_processor_without_the_kernels_stops_the_start(
    tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.vllm.launch.has_kernels_of_4_bits", lambda: False)
    stored, _ = save_quantised(save_backbone("llama", tmp_path / "verifier"), scheme, tmp_path)
    settings = EngineSettings(stored, "verifier", dtype="bfloat16", kv_cache_bytes=32 * MIB)
    with pytest.raises(EngineUnavailableError, match="only on processors with AVX-512"):
        async with open_verifier("winnow", settings, PromptBuilder(ChatTokenizer(stored))):
            pass

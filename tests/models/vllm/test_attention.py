"""Attention in small blocks, by the heads of the published models; the demo pair's are in every other test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from models.generation import Generation
from models.policy.engine_policy import EnginePolicy
from models.vllm.engine import Engine, start_engine
from models.vllm.launch import block_size
from models.vllm.settings import EngineSettings
from tests.models.tiny import NUM_TOKENS, save_tiny_llama

IDS = list(range(20, 40))
TOLERANCE = 0.1
"""In log-probability, between bfloat16 and float32; the logits' standard deviation is 2 to 3."""
SOME = Generation(max_tokens=1, temperature=0, logprob_ids=tuple(IDS))


@pytest.fixture(params=[64, 128], ids=lambda head_dim: f"heads of {head_dim}")
async def wide(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Path, Engine]]:
    model = save_tiny_llama(tmp_path, request.param)
    async with start_engine(EngineSettings(model, "tiny", dtype="bfloat16"), "generate") as engine:
        yield model, engine


async def test_long_prompts_are_read_as_pytorch_reads_them(wide: tuple[Path, Engine]) -> None:
    """Computed, and from the cache."""
    model, engine = wide
    prompt = torch.randint(20, NUM_TOKENS, (1000,), generator=torch.Generator().manual_seed(0)).tolist()
    reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)(torch.tensor([prompt])).logits[0]
    expected = reference.log_softmax(-1)[:, IDS].detach()
    for length, num_known in ((500, 0), (900, 500), (905, 900)):
        output = await engine.complete(prompt[:length], SOME)
        assert output.num_cached_tokens == num_known
        logprobs = output.logprobs or {}
        told = torch.tensor([logprobs[token_id] for token_id in IDS])
        torch.testing.assert_close(told, expected[length - 1], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("num_blocks", [1, 2, 3])
async def test_a_prompt_is_read_again_from_the_last_whole_small_block(policy: EnginePolicy, num_blocks: int) -> None:
    prompt = [num_blocks, *range(20, 20 + num_blocks * block_size())]
    first, second = [await policy.engine.complete(prompt, Generation(max_tokens=1)) for _ in range(2)]
    assert (first.num_cached_tokens, second.num_cached_tokens) == (0, num_blocks * block_size())


def test_blocks_are_large_only_where_kernels_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def on(**cpu: object) -> int:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu)
        return block_size()

    assert on(architecture="x86_64", amx_tile=False) == 16
    assert on(architecture="x86_64", amx_tile=True) == 32
    assert on(architecture="aarch64") == 32

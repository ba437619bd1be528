"""How engines start, live beside each other, and die."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from vllm import SamplingParams

from models.engine import EngineSettings, engine_args, start_engine
from models.errors import CheckpointError, EngineUnavailableError
from models.interfaces import Meter
from models.policy.vllm_policy import VLLMPolicy
from models.prm.vllm_verifier import VLLMVerifier
from models.prompt import PromptBuilder
from models.tokenizer import ChatTokenizer
from tests.models.problems import PROBLEM, sampling


async def test_running_engines_answer(policy: VLLMPolicy, verifier: VLLMVerifier) -> None:
    await policy.check()
    await verifier.check()


async def test_each_engine_keeps_metrics_of_its_own(policy: VLLMPolicy, verifier: VLLMVerifier) -> None:
    for engine, name in ((policy.engine, "policy"), (verifier.engine, "verifier")):
        samples = [sample for family in engine.metrics.collect() for sample in family.samples]
        assert "vllm:num_requests_running" in {sample.name for sample in samples}
        assert {sample.labels["model_name"] for sample in samples if "model_name" in sample.labels} == {name}


async def test_a_killed_engine_is_unavailable_and_the_others_are_not(
    policy: VLLMPolicy, tiny_llama: Path, tiny_tokenizer: ChatTokenizer
) -> None:
    others = set(multiprocessing.active_children())
    async with start_engine(EngineSettings(tiny_llama, "victim"), "generate") as engine:
        victim = VLLMPolicy(engine, PromptBuilder(tiny_tokenizer))
        await victim.check()
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        with pytest.raises(EngineUnavailableError, match="victim engine is dead"):
            await victim.propose(PROBLEM, (), sampling(max_tokens=400), Meter())
        with pytest.raises(EngineUnavailableError, match="victim engine is dead"):
            await victim.check()
    await policy.check()


async def test_a_request_that_the_engine_refuses_says_so(policy: VLLMPolicy) -> None:
    with pytest.raises(EngineUnavailableError, match="policy engine refused the request"):
        await policy.engine.complete([10**6], SamplingParams(max_tokens=1))


async def test_a_context_longer_than_the_models_names_the_checkpoint(tiny_llama: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"(?s){tiny_llama}: .*max_model_len \(4096\)"):
        async with start_engine(EngineSettings(tiny_llama, "tiny", max_model_len=4096), "generate"):
            pass


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"device": "cuda"}, "built for cpu, not for cuda"), ({"tensor_parallel_size": 2}, "tensor_parallel_size 2")],
)
async def test_what_this_machine_cannot_do_stops_the_start(
    tiny_llama: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(EngineUnavailableError, match=message):
        async with start_engine(EngineSettings(tiny_llama, "tiny", **settings), "generate"):
            pass


def test_on_cuda_an_engine_compiles_and_takes_its_share_of_the_gpu(tiny_llama: Path) -> None:
    settings = EngineSettings(tiny_llama, "policy", gpu_memory_share=0.6, tensor_parallel_size=2)
    arguments = engine_args(settings, "generate", "cuda")
    assert (arguments.gpu_memory_utilization, arguments.tensor_parallel_size) == (0.6, 2)
    assert not arguments.enforce_eager
    assert arguments.kv_cache_memory_bytes is None


def test_on_a_cpu_an_engine_has_memory_of_its_own_and_small_blocks(tiny_llama: Path) -> None:
    arguments = engine_args(EngineSettings(tiny_llama, "policy", kv_cache_bytes=1 << 24), "generate", "cpu")
    assert (arguments.kv_cache_memory_bytes, arguments.block_size) == (1 << 24, 32)
    assert arguments.enforce_eager

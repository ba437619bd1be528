"""LoRA adapters, of a policy and of a verifier: every request gets them, and the plain interface too.

Compared with plain transformers, into whose weights the same adapter is merged by hand.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.engines.running import running_engine
from models.errors import CheckpointError
from models.generation import Generation
from models.prm.formats import open_verifier
from models.vllm.handlers import OpenAIHandlers
from models.vllm.settings import MIB, EngineSettings
from tests.models.backbones import largest_difference, plain_scores, save_backbone
from tests.models.tiny import NUM_TOKENS

RANK, ALPHA = 4, 8
PROJECTIONS = ("self_attn.q_proj", "mlp.down_proj")
IDS = tuple(range(20, 40))


def save_adapter(base: Path, directory: Path) -> Path:
    weights, generator = load_file(base / "model.safetensors"), torch.Generator().manual_seed(0)
    parts: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if any(projection in name for projection in PROJECTIONS):
            stem = f"base_model.model.{name.removesuffix('.weight')}"
            parts[f"{stem}.lora_A.weight"] = torch.randn(RANK, weight.shape[1], generator=generator) * 0.1
            parts[f"{stem}.lora_B.weight"] = torch.randn(weight.shape[0], RANK, generator=generator) * 0.1
    directory.mkdir()
    save_file(parts, directory / "adapter_model.safetensors")
    targets = [projection.split(".")[1] for projection in PROJECTIONS]
    fields = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": targets, "bias": "none"}
    (directory / "adapter_config.json").write_text(json.dumps(fields))
    return directory


def merge(base: Path, adapter: Path, directory: Path) -> Path:
    weights, parts = load_file(base / "model.safetensors"), load_file(adapter / "adapter_model.safetensors")
    for name in {part.split(".lora_")[0] for part in parts}:
        change = parts[f"{name}.lora_B.weight"] @ parts[f"{name}.lora_A.weight"] * ALPHA / RANK
        weights[f"{name.removeprefix('base_model.model.')}.weight"] += change
    directory.mkdir()
    for file in base.iterdir():
        (directory / file.name).write_bytes(file.read_bytes())
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


@pytest.mark.engine
async def test_a_policy_speaks_with_its_adapter_to_searches_and_to_plain_clients(
    tiny_llama: Path, tmp_path: Path
) -> None:
    adapter = save_adapter(tiny_llama, tmp_path / "adapter")
    model = AutoModelForCausalLM.from_pretrained(merge(tiny_llama, adapter, tmp_path / "merged"), dtype=torch.float32)
    prompt = torch.randint(20, NUM_TOKENS, (300,), generator=torch.Generator().manual_seed(0)).tolist()
    with torch.inference_mode():
        expected = model(torch.tensor([prompt])).logits[0, -1].log_softmax(-1)
    arguments = {"lora_modules": str(adapter)}
    settings = EngineSettings(tiny_llama, "policy", dtype="float32", kv_cache_bytes=64 * MIB, arguments=arguments)
    async with running_engine(settings, "generate") as engine:
        output = await engine.complete(prompt, Generation(max_tokens=1, temperature=0, logprob_ids=IDS))
        told = torch.tensor([(output.logprobs or {})[token_id] for token_id in IDS])
        torch.testing.assert_close(told, expected[list(IDS)], atol=1e-3, rtol=0)
        handlers = OpenAIHandlers(engine, ChatTokenizer(tiny_llama), "tiny")
        body = {"model": "tiny", "prompt": prompt, "max_tokens": 1, "temperature": 0, "return_token_ids": True}
        reply = await handlers.complete(body)
        assert isinstance(reply, dict)
        assert reply["choices"][0]["token_ids"] == [int(expected.argmax())]
        await handlers.stop()


@pytest.mark.engine
async def test_a_verifier_judges_with_its_adapter(tmp_path: Path) -> None:
    base = save_backbone("qwen3", tmp_path / "base")
    adapter = save_adapter(base, tmp_path / "adapter")
    plain, prompts = plain_scores(merge(base, adapter, tmp_path / "merged")), PromptBuilder(ChatTokenizer(base))
    arguments = {"lora_modules": str(adapter)}
    settings = EngineSettings(base, "verifier", dtype="float32", kv_cache_bytes=32 * MIB, arguments=arguments)
    async with open_verifier("winnow", settings, prompts) as verifier:
        difference, _, _ = await largest_difference(verifier, plain, prompts.build, prompts.tokenizer.encode)
        assert difference < 1e-4


@pytest.mark.engine
async def test_an_adapter_of_another_model_stops_the_start(tiny_llama: Path, tmp_path: Path) -> None:
    adapter = save_adapter(tiny_llama, tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").unlink()
    settings = EngineSettings(tiny_llama, "policy", arguments={"lora_modules": str(adapter)})
    with pytest.raises(CheckpointError, match=str(adapter)):
        async with running_engine(settings, "generate"):
            pass

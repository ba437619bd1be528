"""More arguments of vLLM in a recipe: what vLLM knows reaches engines and servers, what breaks us is refused."""

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.utils.argparse_utils import FlexibleArgumentParser

from models.errors import CheckpointError
from models.vllm.arguments import HEAD_FIELDS, MADE_AS_LOADED, REASONS, SETTINGS, check_arguments
from models.vllm.launch import block_size, engine_args
from models.vllm.releases import ARGUMENTS
from models.vllm.server import ServerSettings, server_flags
from models.vllm.settings import LARGE_BLOCK, EngineSettings

GIVEN: dict[str, Any] = {
    "quantization": "awq",
    "kv_cache_dtype": "fp8",
    "max_num_seqs": 8,
    "seed": 7,
    "cpu_offload_gb": 1.5,
    "enable_prefix_caching": True,
    "cudagraph_capture_sizes": [1, 2, 4],
    "hf_overrides": {"rope_theta": 5e5},
    "max_num_batched_tokens": 4096,
}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"quantisation": "fp8"}, r"quantisation is no argument of vLLM's engines; did you mean quantization"),
        (
            {"tokenizr": "x"},
            r"tokenizr is no argument of vLLM's engines; vllm serve --help=all",
        ),  # tokenizer is refused
        ({"nonsense": 1}, r"nonsense is no argument of vLLM's engines; vllm serve --help=all lists them"),
        ({"kv_cache_dtype": "float8"}, r"argument --kv-cache-dtype: invalid choice: 'float8' \(choose from .*fp8"),
        ({"max_num_seqs": "many"}, r"argument --max-num-seqs: invalid int value: 'many'"),
        ({"max_num_seqs": None}, r"max_num_seqs is null; leave it out"),
        ({"compilation_config": "fast"}, r"argument --compilation-config"),
        ({"enable_prefix_caching": False}, r"enable_prefix_caching is false; allowed: true: without it every step"),
        ({"enable_prefix_caching": "no"}, r"enable_prefix_caching is \"no\"; allowed: true"),
        ({"enforce_eager": False}, r"enforce_eager is false; allowed: true: to compile"),
        ({"disable_log_stats": True}, r"disable_log_stats is true; allowed: false"),
        (
            {"logprobs_mode": "processed_logprobs"},
            r"logprobs_mode is \"processed_logprobs\"; allowed: \"raw_logprobs\"",
        ),
        ({"enable_prefix_caching": 1}, r"enable_prefix_caching is 1; allowed: true"),
        ({"max_logprobs": 1}, r"max_logprobs is 1; allowed: 20 or more"),
        ({"hf_overrides": {"architectures": ["X"]}}, r"hf_overrides is .*; allowed: fields of config.json but archi"),
        ({"max_model_len": 512}, r"max_model_len is a setting of its own: set policy_context"),
        ({"data_parallel_size": 2}, r"data_parallel_size cannot be set: start several servers"),
        *[({"quantization": each}, rf"quantization is \"{each}\": vLLM's CPU build cannot") for each in MADE_AS_LOADED],
        ({"lora_modules": "nowhere"}, r"nowhere/adapter_config\.json: No such file"),
    ],
)
def test_an_argument_that_vllm_does_not_know_or_that_breaks_the_service_is_refused_by_name(
    arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(CheckpointError, match=f"policy_engine_args: {reason}|^{reason}"):
        check_arguments(arguments, "policy_engine_args")


def test_what_must_be_may_be_said() -> None:
    given = {"logprobs_mode": "".join(["raw_", "logprobs"]), "enable_prefix_caching": True, "enforce_eager": True}
    check_arguments(given, "policy_engine_args")


@pytest.mark.parametrize("name", [*SETTINGS, *REASONS])
def test_what_winnow_sets_itself_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(CheckpointError, match=rf"verifier_engine_args: {name} (cannot be set: \w+|is a setting of)"):
        check_arguments({name: "x"}, "verifier_engine_args")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_arguments_reach_the_engine_and_a_server_as_vllm_reads_them(tiny_llama: Path, device: str) -> None:
    check_arguments(GIVEN, "policy_engine_args")
    settings = EngineSettings(tiny_llama, "policy", arguments=GIVEN)
    here = engine_args(settings, "generate", device)
    parser = import_module(ARGUMENTS).make_arg_parser(FlexibleArgumentParser())  # type: ignore[no-untyped-call]
    there = AsyncEngineArgs.from_cli_args(parser.parse_args(server_flags(ServerSettings(settings), "generate", device)))
    for name, value in GIVEN.items():
        assert getattr(here, name) == getattr(there, name) == value, name


@pytest.mark.parametrize("kind", ["fp8", "fp8_e5m2"])
def test_a_cache_in_fp8_has_blocks_that_vllm_has_kernels_for(tiny_llama: Path, kind: str) -> None:
    """In blocks of 16 the engine starts, and dies of its first request."""
    settings = EngineSettings(tiny_llama, "policy", arguments={"kv_cache_dtype": kind})
    assert engine_args(settings, "generate", "cpu").block_size == LARGE_BLOCK
    assert engine_args(replace(settings, arguments={}), "generate", "cpu").block_size == block_size()


def test_overrides_leave_those_of_a_verifiers_head(tiny_llama: Path) -> None:
    settings = EngineSettings(tiny_llama, "verifier", arguments={"hf_overrides": {"rope_theta": 5e5}})
    overrides = engine_args(settings, "pooling", "cpu", {"winnow_head": "{}"}).hf_overrides
    assert overrides == {"rope_theta": 5e5, "winnow_head": "{}"}
    assert "winnow_head" in HEAD_FIELDS


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3', not 'LORA'"),
        ({"r": 1000}, "r is 1000, not a whole number from 1 to 512"),
        ({"modules_to_save": ["score"]}, r"modules_to_save is \['score'\], which vLLM does not load"),
    ],
)
def test_an_adapter_that_vllm_cannot_apply_is_refused(tmp_path: Path, fields: dict[str, Any], reason: str) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8} | fields))
    with pytest.raises(CheckpointError, match=reason):
        check_arguments({"lora_modules": str(tmp_path)}, "policy_engine_args")


def test_a_server_calls_the_adapter_what_the_model_would_be_called(tiny_llama: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 12}))
    settings = EngineSettings(tiny_llama, "policy", arguments={"lora_modules": str(tmp_path)})
    flags = server_flags(ServerSettings(settings), "generate", "cpu")
    assert {"--served-model-name=policy-base", "--enable-lora", "--max-lora-rank=16"} <= set(flags)
    assert f'--lora-modules={{"name": "policy", "path": "{tmp_path}"}}' in flags

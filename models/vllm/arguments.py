"""Arguments of vLLM that a recipe adds to those of `launch.py`: `policy_engine_args` and `verifier_engine_args`.

vLLM's own parser reads them, so that a name or a value that it does not know is refused before an engine starts, with
what is allowed. What would break this service is refused with the reason. The parser sees values one by one: what they
mean together and for the model vLLM says when it starts.
"""

import json
from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform
from vllm.utils.argparse_utils import FlexibleArgumentParser

from models.checkpoints.checkpoint import read_json
from models.errors import CheckpointError
from models.spelling import did_you_mean
from models.vllm.settings import ADAPTER

OTHER_SETTING = "{0} is a setting of its own: set {1}"
SETTINGS = {
    "model": "policy_model or verifier_model",
    "model_weights": "policy_model or verifier_model",
    "dtype": "dtype",
    "max_model_len": "policy_context or verifier_context",
    "gpu_memory_utilization": "policy_memory or verifier_memory",
    "kv_cache_memory_bytes": "policy_kv_cache_mib or verifier_kv_cache_mib; on CUDA policy_memory or verifier_memory",
    "log_level": "log_level",
    "otlp_traces_endpoint": "otlp_endpoint",
}
TOKENIZERS = "prompts and steps go to the engine as token ids of the tokenizer in the model's folder"
RUNNER = "verifier_format says whether an engine generates or judges, and how"
REPLICAS = "start several servers with winnow engine, and list them in policy_url or verifier_url"
DRAFTS = "with seeds, stops and the bill of tokens it was not tested: a seed would not promise the same tree"
PROCESSES = "winnow starts, watches and restarts the engine's one process on this machine"
LORA = "winnow sets it for the adapter: set lora_modules to the adapter's folder"
REASONS: dict[str, str] = {
    **dict.fromkeys(("tokenizer", "tokenizer_mode", "tokenizer_revision", "skip_tokenizer_init"), TOKENIZERS),
    **dict.fromkeys(("revision", "code_revision", "hf_config_path", "hf_token"), "models are read from folders"),
    **dict.fromkeys(("runner", "convert", "pooler_config", "model_class_overrides", "io_processor_plugin"), RUNNER),
    **dict.fromkeys(
        ("nnodes", "node_rank", "master_addr", "master_port", "worker_cls", "worker_extension_cls"), PROCESSES
    ),
    **dict.fromkeys(
        ("distributed_executor_backend", "scheduler_cls", "device_ids", "weight_transfer_config"), PROCESSES
    ),
    **dict.fromkeys(("speculative_config", "spec_method", "spec_model", "spec_tokens"), DRAFTS),
    **dict.fromkeys(("enable_lora", "max_loras", "max_cpu_loras", "default_mm_loras"), LORA),
    "served_model_name": "metrics, and the servers of policy and verifier, are told apart by it",
    "enable_chunked_prefill": "winnow sets it by device: on a CPU vLLM dies of seeded prompts that are read in pieces",
    "structured_outputs_config": "grammars of clients are tried with the backend that winnow sets before they are used",
    "logging_config": "winnow's log has the errors of engines",
    "logits_processors": "they would change what a policy says and the log-probabilities that are verdicts",
    "enable_prompt_embeds": "prompts are token ids",
    "tokens_only": "OpenAI's interface reads text",
    "enable_sleep_mode": "an engine that sleeps answers no request",
}
"""Arguments that are refused, and why."""
FAMILIES = {"data_parallel_": REPLICAS, "_api_process_": PROCESSES}
"""What the names of others begin with."""
MUST_BE: dict[str, tuple[Any, str]] = {
    "enable_prefix_caching": (True, "without it every step would be read and judged again from the beginning"),
    "disable_log_stats": (False, "/metrics and the engine's bill of cached tokens come from them"),
    "logprobs_mode": ("raw_logprobs", "verdicts and confidences are made of the model's own log-probabilities"),
}
"""Arguments that may be given, but with one value."""
MUST_BE_ON_A_CPU: dict[str, tuple[Any, str]] = {
    "enforce_eager": (True, "to compile a model takes a C++ compiler and 44 s at every start on a CPU"),
}
MADE_AS_LOADED = ("fp8", "fp8_per_tensor", "fp8_per_channel")
"""Values of `quantization` that quantise weights while they are loaded; vLLM's CPU build lacks the kernel for it
("static_scaled_fp8_quant() expected at most 0 argument(s)"), and its engine dies of that without saying so."""
MIN_LOGPROBS = 20
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks of LoRA adapters that vLLM makes room for."""
ADAPTER_FILE = "adapter_config.json"
OVERRIDES = "hf_overrides"
HEAD_FIELDS = ("architectures", "winnow_head", "scorer_hidden", "vocab_size")
"""Of config.json: what the checks of a checkpoint rest on."""


class _WrongError(Exception):
    """vLLM's parser refuses an argument; the message is the parser's."""


class _Parser(FlexibleArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _WrongError(message)


def check_arguments(arguments: Mapping[str, Any], setting: str) -> None:
    """See that vLLM knows the arguments, and that they leave this service as it is.

    Args:
        arguments: By vLLM's names, as they are in a recipe.
        setting: That holds them, for messages.

    Raises:
        CheckpointError: One is unknown, has a wrong value, or would break the service; the message says which and why.
    """
    for name, value in arguments.items():
        if reason := _reason_against(name, value):
            raise CheckpointError(f"{setting}: {reason}")
    try:
        parsed(arguments)
    except (_WrongError, ValueError, TypeError) as error:
        raise CheckpointError(f"{setting}: {' '.join(str(error).split())}") from error
    if ADAPTER in arguments:
        lora_rank(Path(str(arguments[ADAPTER])))


def parsed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as vLLM's parser reads them."""
    own = {name: value for name, value in arguments.items() if name != ADAPTER}
    namespace: Namespace = _parser().parse_args(flags(own))
    return {name: getattr(namespace, name) for name in own}


def flags(arguments: Mapping[str, Any]) -> list[str]:
    """Write arguments as flags of a command line."""
    words: list[str] = []
    for name, value in arguments.items():
        flag = name.replace("_", "-")
        match value:
            case None:
                continue
            case bool():
                words.append(f"--{flag}" if value else f"--no-{flag}")
            case dict():
                words.append(f"--{flag}={json.dumps(value)}")
            case list() | tuple() | set():
                words += [f"--{flag}", *map(str, value)]
            case _:
                words.append(f"--{flag}={value}")
    return words


def lora_rank(adapter: Path) -> int:
    """Return the rank of a LoRA adapter.

    Raises:
        CheckpointError: The folder holds none that vLLM can apply.
    """
    file = adapter / ADAPTER_FILE
    config = read_json(file)
    if config.get("peft_type") != "LORA":
        raise CheckpointError(f"{file}: peft_type is {config.get('peft_type')!r}, not 'LORA'")
    if config.get("modules_to_save"):
        names = config["modules_to_save"]
        raise CheckpointError(f"{file}: modules_to_save is {names}, which vLLM does not load; merge the adapter")
    rank = config.get("r")
    if not isinstance(rank, int) or not 1 <= rank <= RANKS[-1]:
        raise CheckpointError(f"{file}: r is {rank!r}, not a whole number from 1 to {RANKS[-1]}")
    return rank


@cache
def _names() -> frozenset[str]:
    return frozenset(field.name for field in fields(AsyncEngineArgs))


def _parser() -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False)  # type: ignore[no-untyped-call]  # vLLM leaves it untyped
    AsyncEngineArgs.add_cli_args(parser)
    return parser


def _reserved(name: str) -> str | None:
    """Say why an argument cannot be set whatever its value; None where it can."""
    family = next((reason for beginning, reason in FAMILIES.items() if name.startswith(beginning)), None)
    return REASONS.get(name) or family


def _reason_against(name: str, value: Any) -> str | None:
    if name in SETTINGS:
        return OTHER_SETTING.format(name, SETTINGS[name])
    if reason := _reserved(name):
        return f"{name} cannot be set: {reason}"
    if name not in _names() | {ADAPTER}:
        free = {each for each in _names() | {ADAPTER} if each not in SETTINGS and _reserved(each) is None}
        hint = did_you_mean(name, free) or "vllm serve --help=all lists them"
        return f"{name} is no argument of vLLM's engines; {hint}"
    if value is None:
        return f"{name} is null; leave it out"
    fixed = MUST_BE | (MUST_BE_ON_A_CPU if current_platform.device_type == "cpu" else {})
    if name in fixed and (type(value), value) != (type(fixed[name][0]), fixed[name][0]):
        must, reason = fixed[name]
        return f"{name} is {json.dumps(value)}; allowed: {json.dumps(must)}: {reason}"
    if name == "quantization" and value in MADE_AS_LOADED and current_platform.device_type == "cpu":
        return (
            f"quantization is {json.dumps(value)}: vLLM's CPU build cannot make FP8 weights; leave it out and take a "
            "checkpoint that is quantised already (AWQ, GPTQ, compressed-tensors), or serve the model on a GPU"
        )
    if name == "max_logprobs" and isinstance(value, int) and value < MIN_LOGPROBS:
        return f"max_logprobs is {value}; allowed: {MIN_LOGPROBS} or more, which verdicts and OpenAI's interface need"
    if name == OVERRIDES and (not isinstance(value, dict) or not set(HEAD_FIELDS).isdisjoint(value)):
        return f"{OVERRIDES} is {value!r}; allowed: fields of config.json but {_listed(HEAD_FIELDS)}"
    return None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)

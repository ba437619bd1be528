"""Whether the models can be read, and what they take.

Checkpoints are read as `winnow serve` reads them before it starts an engine: nothing is downloaded, no engine starts.
Models on servers elsewhere are looked at as far as their tokenizers.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from models.checkpoints.checkpoint import BACKBONES, TEXTS, WEIGHTS, check_causal_model, find_model, read_config
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import ModelError
from models.prm.formats import open_verifier
from models.vllm.settings import LARGE_BLOCK
from server.composition import verifier_engine
from server.doctor.finding import Finding, caution, fine, stops
from server.doctor.memory import Size
from server.settings import Settings

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


class NotHereError(Exception):
    """A model of the Hub was not downloaded yet; says its name."""


def check_models(settings: Settings, here: frozenset[str]) -> tuple[list[Finding], list[Size]]:
    """Read the checkpoints.

    Args:
        settings: Of the service.
        here: Which of policy and verifier run in this service.

    Returns:
        What was found, and what the models that run here take.
    """
    findings, sizes, prompts = [], [], None
    try:
        directory = find_here(settings.policy_model)
        prompts = PromptBuilder(ChatTokenizer(directory), settings.system_prompt)
        if "policy" in here:
            check_causal_model(directory)
            sizes.append(size_of("policy", directory, settings.dtype, settings.policy_context))
        findings.append(fine("policy", f"{directory} can be read"))
    except (ModelError, NotHereError) as error:
        findings.append(_trouble("policy", error))
    if "verifier" in here:
        findings.append(_verifier(settings, prompts, sizes))
    return findings, sizes


def _verifier(settings: Settings, prompts: PromptBuilder | None, sizes: list[Size]) -> Finding:
    name = settings.verifier_model
    try:
        if settings.verifier_format != "checker":
            directory = find_here(name)
            settings = settings.model_copy(update={"verifier_model": str(directory)})
            sizes.append(size_of("verifier", directory, settings.dtype, settings.verifier_context))
        if prompts is None:
            return caution(
                "verifier", f"{name} was not read: that takes the policy's tokenizer", "mend the policy first"
            )
        open_verifier(settings.verifier_format, verifier_engine(settings), prompts)
    except (ModelError, NotHereError) as error:
        return _trouble("verifier", error)
    return fine("verifier", f"{settings.verifier_model} can be read as {settings.verifier_format}")


def _trouble(name: str, error: ModelError | NotHereError) -> Finding:
    if isinstance(error, NotHereError):
        remedy = "the start downloads it, which takes its time; winnow fetch does so before"
        return caution(name, f"{error} is not on this machine", remedy)
    return stops(name, str(error), f"mend the file, or name another checkpoint with {name}_model")


def find_here(name: str) -> Path:
    """Return where a checkpoint lies on this machine.

    Raises:
        CheckpointError: It is neither a folder nor a name of the Hub.
        NotHereError: The Hub may have it.
    """
    if Path(name).is_dir() or not HUB_NAME.fullmatch(name):
        return find_model(name)
    try:
        return Path(snapshot_download(name, local_files_only=True, allow_patterns=[*TEXTS, WEIGHTS]))
    except LocalEntryNotFoundError:
        raise NotHereError(name) from None


def size_of(name: str, directory: Path, dtype: str, context: int | None) -> Size:
    """Add up what a model takes.

    Args:
        name: Of the model: policy or verifier.
        directory: Of the checkpoint.
        dtype: As in the settings.
        context: Longest response, in tokens; None takes the checkpoint's.

    Raises:
        CheckpointError: It cannot be read.
    """
    config = read_config(directory)
    from models.checkpoints.weights import size_of_weights  # torch, which a gateway does without

    weight_bytes, itemsize = size_of_weights(directory, dtype)
    length = context or config.get("max_position_embeddings")
    per_token = _cache_bytes(config, itemsize)
    if per_token is None or not isinstance(length, int):
        return Size(name, weight_bytes, None)
    num_blocks = -(-length // LARGE_BLOCK) + 1  # vLLM keeps one for itself
    return Size(name, weight_bytes, per_token * LARGE_BLOCK * num_blocks)


def _cache_bytes(config: Mapping[str, Any], itemsize: int) -> int | None:
    """Keys and values of one token in all layers; None for a model that is not of the usual backbones."""
    if config.get("model_type") not in BACKBONES or config.get("use_sliding_window"):
        return None
    num_heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // num_heads
    return int(2 * config["num_hidden_layers"] * (config.get("num_key_value_heads") or num_heads) * head_dim * itemsize)

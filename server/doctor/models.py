"""Checks whether the models can be read, and how much memory they need.

Checkpoints are read as `winnow serve` reads them before it starts an engine: nothing is downloaded, no engine starts.
Of models on remote servers only the tokenizers are checked.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from models.checkpoints.checkpoint import TEXTS, WEIGHTS, check_causal_model, find_model, read_config
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import ModelError
from models.prm.formats import check_on_policy, open_verifier
from models.vllm.settings import LARGE_BLOCK
from search.strategies import ALONE
from server.composition import verifier_engine
from server.doctor.finding import Finding, caution, fine, stops
from server.doctor.memory import Size
from server.settings import Settings
from server.solving.planning import VERIFIER_ALONE
from server.system_prompt import system_prompt_of

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


class NotHereError(Exception):
    """A model of the Hub has not been downloaded yet; the message is its name."""


def check_models(settings: Settings, here: frozenset[str]) -> tuple[list[Finding], list[Size]]:
    """Read the checkpoints.

    Args:
        settings: Of the service.
        here: Those of policy and verifier that run in this service.

    Returns:
        The findings, and the memory for the models that run here.
    """
    findings, sizes, prompts = [], [], None
    for name in sorted(here):
        findings += _arguments(settings, name)
    settings = settings.model_copy(update={f"{name}_engine_args": {} for name in here})
    try:
        directory = find_here(settings.tokenizer_model)
        named = {"policy_model": str(directory)} if settings.has_policy else {}
        prompt = system_prompt_of(settings.model_copy(update=named))
        prompts = PromptBuilder(ChatTokenizer(directory), prompt.text)
        if "policy" in here:
            check_causal_model(directory)
            sizes.append(size_of("policy", directory, settings.dtype, settings.policy_context))
        if settings.has_policy:
            findings.append(fine("policy", f"{directory} can be read; system prompt: {prompt}"))
        else:
            findings.append(caution("policy", "there is none, and half of the memory is needed", VERIFIER_ALONE))
    except (ModelError, NotHereError) as error:
        findings.append(_trouble("policy", error))
    if not settings.has_verifier:
        findings.append(caution("verifier", "there is none, and half of the memory is needed", ALONE))
    elif settings.asks_policy:
        findings.append(_on_policy(settings.verifier_format, prompts))
    elif "verifier" in here:
        findings.append(_verifier(settings, prompts, sizes))
    return findings, sizes


def _arguments(settings: Settings, name: str) -> list[Finding]:
    """Check the arguments of vLLM that a recipe adds for an engine here."""
    setting = f"{name}_engine_args"
    arguments: dict[str, Any] = getattr(settings, setting)
    if not arguments:
        return []
    from models.vllm.arguments import check_arguments  # vLLM, which a gateway does without

    try:
        check_arguments(arguments, setting)
    except ModelError as error:
        return [stops(setting, str(error), f"correct {setting}, or leave the argument out")]
    return [fine(setting, ", ".join(f"{argument} {json.dumps(value)}" for argument, value in arguments.items()))]


def _verifier(settings: Settings, prompts: PromptBuilder | None, sizes: list[Size]) -> Finding:
    name = settings.verifier_model
    try:
        if settings.verifier_has_checkpoint:
            directory = find_here(name)
            settings = settings.model_copy(update={"verifier_model": str(directory)})
            sizes.append(size_of("verifier", directory, settings.dtype, settings.verifier_context))
        if prompts is None:
            return caution(
                "verifier", f"{name} was not read: that needs the policy's tokenizer", "fix the policy first"
            )
        open_verifier(settings.verifier_format, verifier_engine(settings), prompts)
    except (ModelError, NotHereError) as error:
        return _trouble("verifier", error)
    return fine("verifier", f"{settings.verifier_model} can be read as {settings.verifier_format}")


def _on_policy(format_name: str, prompts: PromptBuilder | None) -> Finding:
    try:
        if prompts is not None:
            check_on_policy(format_name, prompts)
    except ModelError as error:
        return stops("verifier", str(error), "set verifier_model to a model whose digits are tokens")
    return fine("verifier", f"{format_name} asks the policy's engine: no second model")


def _trouble(name: str, error: ModelError | NotHereError) -> Finding:
    if isinstance(error, NotHereError):
        remedy = "winnow serve downloads it, which takes time; to do it now: winnow fetch"
        return caution(name, f"{error} is not on this machine", remedy)
    return stops(name, str(error), f"fix the file, or set {name}_model to another checkpoint")


def find_here(name: str) -> Path:
    """Return the path of a checkpoint on this machine.

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
    """Add up the memory for a model.

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
        return Size(name, weight_bytes, None, itemsize)
    num_blocks = -(-length // LARGE_BLOCK) + 1  # vLLM keeps one for itself
    return Size(name, weight_bytes, per_token * LARGE_BLOCK * num_blocks, itemsize)


def _cache_bytes(config: Mapping[str, Any], itemsize: int) -> int | None:
    """Return the bytes of keys and values for one token in all layers; None for unusual backbones."""
    from models.vllm.backbones import keeps_every_token  # vLLM, which a gateway does without

    if not keeps_every_token(config):
        return None
    num_heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // num_heads
    return int(2 * config["num_hidden_layers"] * (config.get("num_key_value_heads") or num_heads) * head_dim * itemsize)

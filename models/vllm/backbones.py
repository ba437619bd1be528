"""Which of vLLM's causal models is the backbone of a checkpoint, whatever head the checkpoint has.

transformers knows the causal architecture of a `model_type`, and vLLM's registry the class that runs it. A backbone is
refused by name where a score of each step cannot be had from it, or not from the prefix cache.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)
from vllm import ModelRegistry
from vllm.config import ModelConfig, VllmConfig
from vllm.model_executor.models.config import MODELS_CONFIG_MAP, VerifyAndUpdateConfig
from vllm.model_executor.models.interfaces import has_inner_state, is_attention_free, is_hybrid

from models.checkpoints.checkpoint import CONFIG_FILE, read_config
from models.errors import CheckpointError

INSTEAD = "use a verifier whose backbone reads from left to right with attention (Llama, Qwen, Gemma, Phi, OLMo, ...)"

LONGER_WINDOWS = ("cohere2", "cohere2_moe")
"""Whose windows vLLM makes a token longer than config.json says, and than transformers has them, where verifiers are
trained: on tiny models that moves scores by up to 0.02."""


@contextmanager
def as_trained(config: Any) -> Iterator[None]:
    """Have vLLM's class of a backbone take the windows that the backbone is trained with."""
    window, is_longer = getattr(config, "sliding_window", None), config.model_type in LONGER_WINDOWS
    if window is None or not is_longer:
        yield
        return
    config.sliding_window = window - 1
    try:
        yield
    finally:
        config.sliding_window = window


class BackboneConfig(VerifyAndUpdateConfig):
    """Has vLLM set up a reward model as it sets up the backbone."""

    @staticmethod
    def verify_and_update_config(vllm_config: VllmConfig) -> None:
        """Do what vLLM does for the backbone's architecture."""
        _config_of(vllm_config.model_config).verify_and_update_config(vllm_config)

    @staticmethod
    def verify_and_update_model_config(model_config: ModelConfig) -> None:
        """Do what vLLM does for the backbone's architecture."""
        _config_of(model_config).verify_and_update_model_config(model_config)


def _config_of(model_config: ModelConfig) -> type[VerifyAndUpdateConfig]:
    architecture = causal_architecture(model_config.hf_config.model_type)
    return MODELS_CONFIG_MAP.get(architecture, VerifyAndUpdateConfig)


def causal_architecture(model_type: str) -> str:
    """Return the name of a backbone's causal architecture; empty where vLLM has none."""
    name = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(model_type, "")
    return name if name in ModelRegistry.get_supported_archs() else ""


def causal_class(model_type: str) -> type[nn.Module]:
    """Return vLLM's class for a backbone.

    Raises:
        CheckpointError: vLLM has none.
    """
    architecture = causal_architecture(model_type)
    if not architecture:
        raise CheckpointError(f"vLLM has no causal model for model_type {model_type!r}")
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # that there is no Triton it says when imported
    return ModelRegistry.models[architecture].load_model_cls()


def require_backbone(directory: Path) -> None:
    """See that vLLM can judge steps with the backbone of a checkpoint.

    Raises:
        CheckpointError: It cannot; the message says why, and what to do.
    """
    config = read_config(directory)
    if (reason := _reason_against(config)) is not None:
        raise CheckpointError(f"{directory / CONFIG_FILE}: model_type {config.get('model_type')!r} {reason}; {INSTEAD}")


def keeps_every_token(config: Mapping[str, Any]) -> bool:
    """Whether a model's cache holds keys and values of every token for every layer and head, as config.json says."""
    has_window = config.get("sliding_window") and config.get("use_sliding_window", True)
    has_sizes = {"num_hidden_layers", "num_attention_heads", "hidden_size"} <= config.keys()
    return has_sizes and not has_window and "kv_lora_rank" not in config and _reason_against(config) is None


def _reason_against(config: Mapping[str, Any]) -> str | None:
    kind = str(config.get("model_type"))
    if config.get("is_encoder_decoder") or kind in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        return "is an encoder with a decoder: it does not read problem and response as one text"
    if kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES or "text_config" in config:
        return "reads more than text: save its language model alone, a causal model of a type of its own"
    if not causal_architecture(kind):
        if kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
            return "is an encoder: what follows a step would change the step's score"
        return "has no causal model in the installed vLLM"
    backbone = causal_class(kind)
    if is_hybrid(backbone) or is_attention_free(backbone) or has_inner_state(backbone):
        return "is a state-space model: its state after a step is not in the prefix cache"
    return None

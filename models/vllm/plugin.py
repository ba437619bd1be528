"""What each process of vLLM learns of this project: the entry point `vllm.general_plugins`.

Reward models have one name of our own for every format with a head, so that vLLM's classes for published architectures
stay as they are.
"""

from vllm import ModelRegistry
from vllm.model_executor.models.config import MODELS_CONFIG_MAP
from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend

from models.vllm.backbones import BackboneConfig
from models.vllm.orphans import end_with_parent
from models.vllm.settings import ARCHITECTURE


def register() -> None:
    """Name our classes, which vLLM imports when it needs them, and have a spawned process end with who started it."""
    ModelRegistry.register_model(ARCHITECTURE, "models.vllm.reward_model:VLLMRewardModel")
    MODELS_CONFIG_MAP[ARCHITECTURE] = BackboneConfig
    register_backend(AttentionBackendEnum.CPU_ATTN, "models.vllm.attention.SmallBlockAttention")
    end_with_parent()

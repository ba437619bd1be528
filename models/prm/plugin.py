"""Tells vLLM of the project's reward model: the entry point `vllm.general_plugins`, called in each of its processes."""

from vllm import ModelRegistry

from models.checkpoint import REWARD_ARCHITECTURE


def register() -> None:
    """Name the class that serves the architecture; vLLM imports it when a checkpoint asks for it."""
    ModelRegistry.register_model(REWARD_ARCHITECTURE, "models.prm.vllm_model:VLLMRewardModel")

"""Tells vLLM of the project's reward model: the entry point `vllm.general_plugins`, called in each of its processes.

One name of our own for every format with a head, so that vLLM's classes for published architectures stay as they are.
"""

from vllm import ModelRegistry

ARCHITECTURE = "WinnowRewardModel"


def register() -> None:
    """Name the class that serves the architecture; vLLM imports it when a checkpoint asks for it."""
    ModelRegistry.register_model(ARCHITECTURE, "models.prm.vllm_model:VLLMRewardModel")

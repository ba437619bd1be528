"""Tells vLLM of the project's reward model: the entry point `vllm.general_plugins`, called in each of its processes.

Here each spawned process also learns to end with the one that started it.

One name of our own for every format with a head, so that vLLM's classes for published architectures stay as they are.
"""

from vllm import ModelRegistry

from models.orphans import end_with_parent

ARCHITECTURE = "WinnowRewardModel"


def register() -> None:
    """Name the class that serves the architecture: vLLM imports it when a checkpoint asks for it."""
    ModelRegistry.register_model(ARCHITECTURE, "models.prm.vllm_model:VLLMRewardModel")
    end_with_parent()

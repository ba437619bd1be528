"""The formats of process reward models, by the name that a recipe gives them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from models.checkpoints.prompt import PromptBuilder
from models.embedded import EmbeddedEngine
from models.engines.running import ModelSettings
from models.errors import CheckpointError
from models.interfaces import Verifier
from models.prm import checker, math_shepherd, outcome, qwen_math, rlhflow, skywork, torch_verifier, trl
from models.prm import winnow as vllm_verifier
from models.vllm.launch import EngineSettings


class EmbeddedVerifier(Verifier, Protocol):
    """A verifier, and what runs it."""

    @property
    def engine(self) -> EmbeddedEngine:
        """What runs it."""


Open = Callable[[ModelSettings, PromptBuilder], AbstractAsyncContextManager[EmbeddedVerifier]]
OpenHere = Callable[[EngineSettings, PromptBuilder], AbstractAsyncContextManager[EmbeddedVerifier]]

FORMATS: dict[str, Open] = {
    "winnow": vllm_verifier.open_verifier,
    "rlhflow": rlhflow.open_verifier,
    "math_shepherd": math_shepherd.open_verifier,
    "skywork": skywork.open_verifier,
    "qwen_math": qwen_math.open_verifier,
    "trl": trl.open_verifier,
    "outcome": outcome.open_verifier,
}
"""Those that vLLM runs, here or elsewhere."""

FORMATS_HERE: dict[str, OpenHere] = {"checker": checker.open_verifier, "torch": torch_verifier.open_verifier}
"""Those that this service runs by itself."""


def open_verifier(
    format_name: str, settings: ModelSettings, prompts: PromptBuilder
) -> AbstractAsyncContextManager[EmbeddedVerifier]:
    """Check the checkpoint now; run the verifier while the returned context lasts.

    Args:
        format_name: Of `FORMATS` or `FORMATS_HERE`.
        settings: Of the verifier's engine.
        prompts: The policy's.

    Raises:
        CheckpointError: The checkpoint cannot be served in this format.
        EngineUnavailableError: The engine did not start (raised on entering the context).
    """
    if format_name in FORMATS:
        return FORMATS[format_name](settings, prompts)
    if not isinstance(settings, EngineSettings):
        allowed = ", ".join(FORMATS)
        raise CheckpointError(f"verifier_format {format_name} runs in this service alone; on servers: {allowed}")
    return FORMATS_HERE[format_name](settings, prompts)

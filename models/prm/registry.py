"""The formats of process reward models, by the name that a recipe gives them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from models.embedded import EmbeddedEngine
from models.interfaces import Verifier
from models.launch import EngineSettings
from models.prm import checker, math_shepherd, outcome, qwen_math, rlhflow, skywork, torch_verifier, trl, vllm_verifier
from models.prompt import PromptBuilder


class EmbeddedVerifier(Verifier, Protocol):
    """A verifier that runs in this service."""

    @property
    def engine(self) -> EmbeddedEngine:
        """What runs it."""


Open = Callable[[EngineSettings, PromptBuilder], AbstractAsyncContextManager[EmbeddedVerifier]]

FORMATS: dict[str, Open] = {
    "winnow": vllm_verifier.open_verifier,
    "rlhflow": rlhflow.open_verifier,
    "math_shepherd": math_shepherd.open_verifier,
    "skywork": skywork.open_verifier,
    "qwen_math": qwen_math.open_verifier,
    "trl": trl.open_verifier,
    "outcome": outcome.open_verifier,
    "checker": checker.open_verifier,
    "torch": torch_verifier.open_verifier,
}


def open_verifier(
    format_name: str, settings: EngineSettings, prompts: PromptBuilder
) -> AbstractAsyncContextManager[EmbeddedVerifier]:
    """Check the checkpoint now; run the verifier while the returned context lasts.

    Args:
        format_name: Of `FORMATS`.
        settings: Of the verifier's engine.
        prompts: The policy's.

    Raises:
        CheckpointError: The checkpoint cannot be served in this format.
        EngineUnavailableError: The engine did not start (raised on entering the context).
    """
    return FORMATS[format_name](settings, prompts)

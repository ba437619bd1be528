"""The system prompt of a service: the settings', or what suits the policy; none for the demo, which needs none."""

from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

from models.checkpoints.checkpoint import find_model
from models.checkpoints.system_prompt import suggest_system_prompt
from server.settings import DEMO, Settings

MAX_SHOWN = 120
"""Characters of it in logs and findings."""


class SystemPrompt(NamedTuple):
    """What the policy is told where a request does not say, and why, in words."""

    text: str | None
    reason: str

    def __str__(self) -> str:
        return f'"{shorten(self.text, MAX_SHOWN)}" ({self.reason})' if self.text else f"none ({self.reason})"


def system_prompt_of(settings: Settings) -> SystemPrompt:
    """Return the system prompt of a service.

    Raises:
        CheckpointError: The policy is not there, or its files cannot be read.
    """
    if settings.system_prompt is not None:
        return SystemPrompt(settings.system_prompt or None, "as system_prompt says")
    if not settings.has_policy:
        return SystemPrompt(None, "the verifier is alone")
    if DEMO.resolve() in Path(settings.policy_model).resolve().parents:
        return SystemPrompt(None, "the demo was trained without one")
    text, origin = suggest_system_prompt(find_model(settings.policy_model, with_weights=False))
    return SystemPrompt(text, f'{origin}; system_prompt: "" turns it off' if text else origin)

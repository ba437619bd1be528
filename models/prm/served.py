"""What a format of reward models makes of a checkpoint: a verifier, as soon as an engine runs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from models.checkpoints.prompt import PromptBuilder
from models.engine_client import EngineClient, RunningModel
from models.interfaces import Verifier
from models.vllm.settings import Runner


class RunningVerifier(Verifier, Protocol):
    """A verifier, and what runs it."""

    @property
    def engine(self) -> RunningModel:
        """What runs it."""


class RunningPolicy(Protocol):
    """A policy, of which a verifier may ask the engine."""

    @property
    def engine(self) -> EngineClient:
        """What runs it."""

    @property
    def prompts(self) -> PromptBuilder:
        """What makes its prompts."""


@dataclass(frozen=True, slots=True)
class Served:
    """A checkpoint that was checked, and is ready for an engine.

    Attributes:
        runner: Whether the engine generates or pools.
        build: Makes the verifier around the engine.
        overrides: Fields that come before those of the checkpoint's config.json; of an engine here.
    """

    runner: Runner
    build: Callable[[EngineClient], RunningVerifier]
    overrides: Mapping[str, Any] = field(default_factory=dict)

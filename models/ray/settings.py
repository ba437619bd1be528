"""Which deployment runs a model. Imports nothing of Ray: it is read where Ray is not installed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class DeploymentSettings:
    """A model that the replicas of a deployment run.

    Attributes:
        model: Directory with the model's tokenizer and config.json; its weights are not read.
        name: What metrics and errors call the engine.
        handle: The deployment's `ray.serve.handle.DeploymentHandle`, behind which are `EngineReplica`s.
        silence_s: A request of which nothing comes for so long is lost; also how long a replica is waited for.
        max_thoughts: Most tokens of a verifier's thoughts before a verdict, of those that think.
        options: Of the verifier's format; None for one that has none.
        has_weights: They are where the replicas are.
    """

    model: Path
    name: str
    handle: Any
    silence_s: float = 60.0
    max_thoughts: int = 2048
    options: object = None

    has_weights: ClassVar[bool] = False

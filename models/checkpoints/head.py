"""The head of a reward model: a few linear layers behind a causal backbone, described by their names on disk.

A format says what its head is; from that come the shapes that the checkpoint must have and the module that vLLM builds.
Knows nothing of tokenizers, steps or engines.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from models.checkpoints.checkpoint import CONFIG_FILE, read_config
from models.errors import CheckpointError

Activation = Literal["relu", "silu"]


@dataclass(frozen=True, slots=True)
class Head:
    """Linear layers with bias.

    Attributes:
        layers: The name of each in the checkpoint, and the numbers that it gives. The last gives one, whose sigmoid is
            the score, or two, the classes wrong and right, whose softmax is.
        activation: Between two layers.
    """

    layers: tuple[tuple[str, int], ...]
    activation: Activation = "relu"

    def shapes(self, hidden_size: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights, by their names in the checkpoint."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, size in self.layers:
            shapes |= {f"{name}.weight": (size, hidden_size), f"{name}.bias": (size,)}
            hidden_size = size
        return shapes

    def to_json(self) -> str:
        """The head in one line, for a model's configuration."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Head":
        """The head of `to_json`."""
        fields = json.loads(text)
        return cls(tuple((name, size) for name, size in fields["layers"]), fields["activation"])


def scorer_head(scorer_hidden: int) -> Head:
    """The project's own head, `models.prm.reward_model.RewardModel.scorer`."""
    return Head((("scorer.0", scorer_hidden), ("scorer.2", 1)), "silu")


def read_size(directory: Path, field: str) -> int:
    """Read a width from config.json.

    Raises:
        CheckpointError: It is missing or not a positive whole number.
    """
    size = read_config(directory).get(field)
    if not isinstance(size, int) or size < 1:
        raise CheckpointError(f"{directory / CONFIG_FILE}: {field} is {size!r}, not a positive whole number")
    return size


def check_headed_model(directory: Path, head: Head, *, with_weights: bool = True) -> None:
    """See that a directory holds a backbone and the whole of `head`, and no NaN or infinity.

    Without `with_weights` it need not hold weights: servers elsewhere do.

    Raises:
        CheckpointError: It does not; the message names the file and the field.
    """
    config = read_config(directory)
    hidden_size = read_size(directory, "hidden_size")
    if not with_weights:
        return
    from models.checkpoints.backbone import check_weights  # torch, which a gateway does without

    check_weights(config, directory, head.shapes(hidden_size))

"""What trainings on data that somebody brought have in common: a plan, a folder that holds one, and lines left out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from rich.console import Console

from models.checkpoints.fingerprint import TRAINING_FILE
from models.files import UnreadableFileError
from models.glyphs import spelt_out
from models.training.optimization import Schedule

CHECKPOINT_FOLDER = "checkpoint"
"""In the folder of a training, what it goes on from; it is removed last."""
WARMUP_SHARE = 0.1
MAX_WARMUP_STEPS = 50
NUM_SHOWN = 5


class DataError(UnreadableFileError):
    """What is to be learnt from cannot be used, or a folder holds another training."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model is trained.

    Attributes:
        epochs: How often each response is seen, on average.
        batch_size: Responses a step.
        num_parts: Parts that a batch is computed in, one after the other; more take less memory.
        learning_rate: At its peak.
        held_out: Share of problems that are measured on, in (0, 1).
        seed: Of the batches, and of weights that are new.
    """

    epochs: float
    batch_size: int
    num_parts: int = 4
    learning_rate: float = 1e-4
    held_out: float = 0.1
    seed: int = 0

    def schedule(self, num_documents: int) -> Schedule:
        """Learning rate over the whole training."""
        num_steps = max(1, round(self.epochs * num_documents / self.batch_size))
        return Schedule(num_steps, self.learning_rate, min(MAX_WARMUP_STEPS, round(WARMUP_SHARE * num_steps)))


def claim(
    out: Path,
    plan: Plan,
    files: Sequence[Path],
    error: type[UnreadableFileError] = DataError,
    **others: Any,
) -> bool:
    """See that a training in `out` is this one, from which it can go on; or say there that it is.

    Args:
        out: Folder of the training.
        plan: How the model is trained.
        files: What it learns from.
        error: Raised where another training is there.
        others: What else makes it this training, such as the policy.

    Returns:
        Whether it was begun before.

    Raises:
        UnreadableFileError: Another training is there.
    """
    digests = [blake2b(file.read_bytes(), digest_size=8).hexdigest() for file in files]
    training: Mapping[str, Any] = {**others, "labels": digests, **asdict(plan)}
    file = out / TRAINING_FILE
    if file.exists():
        other = json.loads(file.read_text())
        if changed := sorted(name for name in training if other.get(name) != training[name]):
            raise error(f"{file}: another training is in this folder, with another {', '.join(changed)}")
        return True
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(training, indent=2) + "\n")
    return False


def is_done(out: Path, product: str) -> bool:
    """Tell whether the training that was begun in `out` has ended, and left the file `product`."""
    return (out / product).exists() and not (out / CHECKPOINT_FOLDER).exists()


def show_skipped(skipped: Sequence[str], console: Console) -> None:
    """Name the first lines that are left out, and count the others."""
    for line in skipped[:NUM_SHOWN]:
        console.print(spelt_out(f"{line}; left out"), style="yellow", markup=False)
    if len(skipped) > NUM_SHOWN:
        console.print(f"and {len(skipped) - NUM_SHOWN:,} more are left out", style="yellow")

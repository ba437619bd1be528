"""The folder of a training: it holds one, which goes on there when it was interrupted."""

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from models.files import UnreadableFileError

TRAINING_FILE = "training.json"


class DataError(UnreadableFileError):
    """What is to be learnt from cannot be used, or a folder holds another training."""


def claim(out: Path, plan: Mapping[str, Any], files: Sequence[Path]) -> bool:
    """See that a training in `out` is this one, from which it can go on; or say there that it is.

    Args:
        out: Folder of the training.
        plan: What makes it this one.
        files: What it learns from.

    Returns:
        Whether it was begun before.

    Raises:
        DataError: Another training is there.
    """
    digests = [blake2b(file.read_bytes(), digest_size=8).hexdigest() for file in files]
    training = {**plan, "labels": digests}
    file = out / TRAINING_FILE
    if file.exists():
        other = json.loads(file.read_text())
        if changed := sorted(name for name in training if other.get(name) != training[name]):
            raise DataError(f"{file}: another training is in this folder, with another {', '.join(changed)}")
        return True
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(training, indent=2) + "\n")
    return False

"""Tells one checkpoint from another, quickly: what is measured with one model must not be believed of another.

Reads names and sizes of the files and the ends of the weights, not all of them: a model that is trained further differs
there too. Knows nothing of what the files mean.
"""

from hashlib import blake2b
from pathlib import Path

ENDS_BYTES = 1 << 20
PATTERNS = ("*.json", "*.jinja", "*.model", "*.safetensors", "*.bin")
TRAINING_FILE, REPORT_FILE = "training.json", "report.json"
"""What `winnow train-prm` leaves beside a model: how it was trained, and what was measured. Both say nothing of it."""


def fingerprint(directory: Path) -> str:
    """Return 16 hexadecimal digits that another model, tokenizer or chat template would not have.

    Raises:
        OSError: A file cannot be read.
    """
    digest = blake2b(digest_size=8)
    files = {file for pattern in PATTERNS for file in directory.glob(pattern)}
    for file in sorted(files - {directory / TRAINING_FILE, directory / REPORT_FILE}):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as content:
            digest.update(content.read(ENDS_BYTES))
            content.seek(max(size - ENDS_BYTES, 0))
            digest.update(content.read(ENDS_BYTES))
    return digest.hexdigest()

"""Models on the Hub: which of their files are needed, what of them is on this disk, and how the rest gets here.

`huggingface_hub` does the work: `HF_TOKEN`, `HF_HOME`, `HF_ENDPOINT` and `HF_HUB_OFFLINE` are read by it.
"""

import shutil
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import DryRunFileInfo, constants, snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

from models.checkpoints.checkpoint import PICKLE_PATTERN, TEXTS, WEIGHTS
from models.errors import CheckpointError

UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a model that are needed.

    Attributes:
        commit: Of the Hub.
        num_files: All of them.
        num_bytes: Of all of them.
        missing_bytes: Of those that are not on this disk.
    """

    commit: str
    num_files: int
    num_bytes: int
    missing_bytes: int


def list_files(
    name: str, *, revision: str | None = None, folder: Path | None = None, with_weights: bool = True
) -> Listing:
    """Ask the Hub which files a model has, and compare them with this disk. Downloads none.

    Args:
        name: `owner/model`.
        revision: Branch, tag or commit; None is the main branch.
        folder: Where the files are to be; None is the Hub's cache.
        with_weights: Whether weights are needed.

    Raises:
        CheckpointError: The Hub does not answer, has no such model or revision, or does not give it to this account.
    """
    wanted = [*TEXTS, *([WEIGHTS, PICKLE_PATTERN] if with_weights else [])]
    disable_progress_bars()
    try:
        files = snapshot_download(name, revision=revision, local_dir=folder, allow_patterns=wanted, dry_run=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(_reason(name, revision, error)) from error
    finally:
        enable_progress_bars()
    if any(fnmatch(file.filename, WEIGHTS) and "/" not in file.filename for file in files):
        needed = [file for file in files if not fnmatch(file.filename, PICKLE_PATTERN)]  # the same weights again
    else:
        needed = files
    if not needed:
        raise CheckpointError(f"{name}: has none of the files {', '.join(wanted)}")
    return Listing(
        needed[0].commit_hash,
        len(needed),
        sum(file.file_size or 0 for file in needed),
        sum(file.file_size or 0 for file in needed if _is_missing(file, folder)),
    )


def download_model(
    name: str, *, revision: str | None = None, folder: Path | None = None, with_weights: bool = True
) -> Path:
    """Download the files of a model that are not on this disk, and return the directory of all.

    Whole files are kept, so that a download that was interrupted goes on with the others.

    Args:
        name: `owner/model`.
        revision: Branch, tag or commit; None is the main branch.
        folder: Where to; None is the Hub's cache.
        with_weights: Whether weights are needed.

    Raises:
        CheckpointError: The Hub does not answer, has no such model or revision, or does not give it to this account.
    """
    wanted = [*TEXTS, *([WEIGHTS] if with_weights else [])]
    try:
        directory = Path(snapshot_download(name, revision=revision, local_dir=folder, allow_patterns=wanted))
        if with_weights and not list(directory.glob(WEIGHTS)):
            wanted.append(PICKLE_PATTERN)
            snapshot_download(name, revision=revision, local_dir=folder, allow_patterns=wanted)
    except (OSError, ValueError) as error:
        raise CheckpointError(_reason(name, revision, error)) from error
    return directory


def is_offline() -> bool:
    """Say whether `HF_HUB_OFFLINE` forbids to ask the Hub."""
    return constants.is_offline_mode()


def place(folder: Path | None) -> tuple[Path, int]:
    """Return where files of the Hub are kept, and the free bytes there."""
    kept = (folder or Path(constants.HF_HUB_CACHE)).absolute()
    there = next(parent for parent in (kept, *kept.parents) if parent.exists())
    return kept, shutil.disk_usage(there).free


def _is_missing(file: DryRunFileInfo, folder: Path | None) -> bool:
    """A file of the cache that is wanted in a folder is copied."""
    return file.will_download or (folder is not None and not Path(file.local_path).exists())


def _reason(name: str, revision: str | None, error: Exception) -> str:
    """Say why the Hub did not give a model, and what to do."""
    page = f"{constants.ENDPOINT}/{name}"
    if is_offline():
        return (
            f"{name}: not all of its files are on this disk, and HF_HUB_OFFLINE forbids to ask the Hub; unset it, or "
            "carry them here (deploy/README.md, Without a network)"
        )
    cause = error.__cause__ if isinstance(error, (DryRunError, LocalEntryNotFoundError)) else error
    match cause:
        case GatedRepoError():
            return (
                f"{name} is gated: accept its licence at {page}, and set HF_TOKEN to a token of the account that did "
                f"({constants.ENDPOINT}/settings/tokens)"
            )
        case RepositoryNotFoundError():
            return (
                f"{name}: neither a directory nor a model of the Hub that this account may see; check the name, or set "
                "HF_TOKEN if it is private"
            )
        case RevisionNotFoundError():
            return f"{name} has no revision {revision}; {page} lists them"
        case HfHubHTTPError() if cause.response.status_code == UNAUTHORIZED:
            return f"{name}: the Hub refuses HF_TOKEN; make a new one at {constants.ENDPOINT}/settings/tokens"
    told = " ".join(str(cause or error).split())
    return (
        f"{name}: cannot be had from the Hub, {constants.ENDPOINT} ({told or type(cause).__name__}); check the network"
    )

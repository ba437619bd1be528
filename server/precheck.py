"""Checks of the settings that need no engine's libraries, so that a mistake is reported at once.

Reads the calibration table and the files of checkpoints, but no weights. Downloads nothing: Hub names are not checked.
"""

from models.checkpoints.checkpoint import check_causal_model, find_directory, require_files
from models.checkpoints.pretrained import require_chat_template
from search.calibration.table import read_calibration
from server.identity import load_calibration
from server.settings import Settings


def check_models(settings: Settings) -> None:
    """Check that the models exist and that their calibration table can be read.

    Raises:
        CheckpointError: A directory is missing, or lacks a file.
        SettingsError: The table cannot be used.
    """
    if check_checkpoints(settings):
        load_calibration(settings)
    elif settings.calibration is not None:
        read_calibration(settings.calibration)


def check_checkpoints(settings: Settings) -> bool:
    """Check that the models exist; False if one is a Hub name, which is not checked.

    Raises:
        CheckpointError: A directory is missing, or lacks a file.
    """
    is_here = check_checkpoint(settings.policy_model, is_causal=True, with_weights=not settings.policy_url)
    if settings.verifier_has_checkpoint:
        is_here &= check_checkpoint(settings.verifier_model, with_weights=not settings.verifier_url)
    return is_here


def check_checkpoint(name: str, *, is_causal: bool = False, with_weights: bool = True) -> bool:
    """Check that a checkpoint has the files it needs; False for a Hub name, which is not checked.

    Raises:
        CheckpointError: It lacks one.
    """
    if (directory := find_directory(name)) is None:
        return False
    require_files(directory, with_weights=with_weights)
    if is_causal:
        check_causal_model(directory, with_weights=False)
        require_chat_template(directory)
    return True

"""Finds the calibration table of a service, and checks that it belongs to its models and prompt."""

from pathlib import Path

from models.checkpoints.checkpoint import find_model
from models.checkpoints.fingerprint import fingerprint
from search.calibration.table import UNCALIBRATED, Calibrated, Identity, read_calibration
from server.settings import Settings, SettingsError
from server.system_prompt import system_prompt_of

FILE_NAME = "calibration.yaml"


def identity_of(settings: Settings) -> Identity:
    """Return the identity of tables made with these settings.

    Raises:
        CheckpointError: A model is not there.
    """
    is_checker = settings.verifier_format == "checker"
    verifier = settings.verifier_model
    return Identity(
        policy=fingerprint(find_model(settings.policy_model)),
        verifier=verifier if is_checker else fingerprint(find_model(verifier)),
        verifier_format=settings.verifier_format,
        system_prompt=system_prompt_of(settings).text,
        steps=settings.steps.shown(),
        thinking=list(settings.marks.texts) if settings.marks else None,
    )


def calibration_file(settings: Settings) -> Path:
    """Return the path of the table: from the settings, or beside the policy's folder."""
    return settings.calibration or find_model(settings.policy_model, with_weights=False).parent / FILE_NAME


def load_calibration(settings: Settings) -> Calibrated:
    """Return the table of a service.

    Raises:
        SettingsError: A table that the settings name cannot be used.
    """
    path = calibration_file(settings)
    if not path.exists() and settings.calibration is None:
        return UNCALIBRATED
    table = read_calibration(path)
    ours = identity_of(settings)
    if table.identity == ours:
        return Calibrated(table)
    others = [name for name in Identity.model_fields if getattr(table.identity, name) != getattr(ours, name)]
    reason = f"{path.name} was made with another {' and '.join(others)}; `winnow calibrate` makes one for these"
    if settings.calibration is not None:
        raise SettingsError(f"calibration {path}: {reason}")
    return Calibrated(None, reason)

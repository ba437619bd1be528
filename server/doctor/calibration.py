"""Checks the calibration table: whether there is one for these models, and what it says. Downloads nothing."""

from collections.abc import Iterator

from models.errors import ModelError
from models.files import UnreadableFileError
from search.calibration.table import Calibration
from server.doctor.finding import Finding, caution, fine, stops
from server.doctor.models import NotHereError, find_here
from server.identity import load_calibration
from server.settings import Settings, SettingsError


def check_calibration(settings: Settings) -> Iterator[Finding]:
    """Read the table of policy and verifier; models that cannot be read are the findings of others."""
    if not (settings.has_policy and settings.has_verifier):
        return
    try:
        calibrated = load_calibration(_here(settings))
    except (ModelError, NotHereError):
        return
    except (SettingsError, UnreadableFileError) as error:
        yield stops("calibration", str(error), "name another table, or run winnow calibrate")
        return
    if calibrated.table is None:
        yield caution("calibration", f"auto and confidence are not calibrated: {calibrated.reason}", "winnow calibrate")
    else:
        yield _about(calibrated.table)


def _here(settings: Settings) -> Settings:
    """Return the settings with the folders of models that the Hub has names for.

    Raises:
        CheckpointError: A model is neither a folder nor a name of the Hub.
        NotHereError: One is not on this machine.
    """
    names = ["policy_model", *["verifier_model"] * settings.verifier_has_checkpoint]
    return settings.model_copy(update={name: str(find_here(getattr(settings, name))) for name in names})


def _about(table: Calibration) -> Finding:
    budgets = f"for auto with N = {', '.join(str(budget.n) for budget in table.budgets)}"
    if table.familiarity is None:
        seen = f"{budgets}; it does not tell which problems are unlike its own, where confidence does not hold"
        return caution("calibration", seen, "winnow calibrate --only familiarity")
    rate = f"{table.familiarity.false_alarms:.0%} false alarms at most"
    return fine("calibration", f"{budgets}; it tells which problems are unlike its own ({rate})")

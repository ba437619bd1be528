"""Finds the calibration table of a service, and checks that it belongs to its models and prompt."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from models.checkpoints.checkpoint import find_model
from models.checkpoints.fingerprint import fingerprint
from models.vllm.settings import ADAPTER
from search.calibration.table import ALONE, UNCALIBRATED, Calibrated, Identity, read_calibration
from server.settings import Settings, SettingsError
from server.system_prompt import system_prompt_of

FILE_NAME = "calibration.yaml"
OF_SPEED = {"block_size", "long_prefill_token_threshold", "max_num_batched_tokens", "max_num_seqs"}
"""Arguments of an engine that change how fast it is, and not what the model says."""


def identity_of(settings: Settings) -> Identity:
    """Return the identity of tables made with these settings.

    Raises:
        CheckpointError: A model is not there.
    """
    return Identity(
        policy=_served(fingerprint(find_model(settings.policy_model)), settings.policy_engine_args),
        verifier=_verifier(settings),
        verifier_format=settings.verifier_format,
        system_prompt=system_prompt_of(settings).text,
        steps=settings.steps.shown(),
        thinking=list(settings.marks.texts) if settings.marks else None,
    )


def _verifier(settings: Settings) -> str:
    if settings.verifier_has_checkpoint:
        model = _served(fingerprint(find_model(settings.verifier_model)), settings.verifier_engine_args)
        return model if settings.verifier_options is None else f"{model}: {settings.verifier_options}"
    return settings.verifier_name or "none"


def _served(model: str, arguments: Mapping[str, Any]) -> str:
    """The fingerprint of a model as an engine serves it: quantised or with an adapter it is another."""
    arguments = {name: value for name, value in arguments.items() if name not in OF_SPEED}
    if not arguments:
        return model
    told = json.dumps(arguments, sort_keys=True)
    adapter = arguments.get(ADAPTER)
    return blake2b(
        f"{model} {told} {fingerprint(Path(adapter)) if adapter else ''}".encode(), digest_size=8
    ).hexdigest()


def calibration_file(settings: Settings) -> Path:
    """Return the path of the table: from the settings, or beside the policy's folder."""
    return settings.calibration or find_model(settings.policy_model, with_weights=False).parent / FILE_NAME


def load_calibration(settings: Settings) -> Calibrated:
    """Return the table of a service.

    Raises:
        SettingsError: A table that the settings name cannot be used.
    """
    if not (settings.has_policy and settings.has_verifier):
        if settings.calibration is not None:
            raise SettingsError("calibration: a table is for a policy and its verifier; name both, or omit it")
        return ALONE
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

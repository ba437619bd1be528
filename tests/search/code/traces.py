"""What a run may have left on this machine."""

import tempfile
from pathlib import Path

import psutil


def processes_with(argument: str) -> list[int]:
    """Return the processes that have this word on their command line."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if argument in (process.info["cmdline"] or ()):
            found.append(process.pid)
    return found


def mounts() -> list[str]:
    return sorted(Path("/proc/self/mountinfo").read_text().splitlines())


def files() -> list[str]:
    """Return what lies where programs like to leave things."""
    return sorted(str(path) for folder in (tempfile.gettempdir(), "/dev/shm", "/") for path in Path(folder).iterdir())

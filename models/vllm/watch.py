"""Tells an engine that is busy from one that hangs.

An engine answers between two steps, and a step that reads a long prompt takes as long as it takes. What hangs is
silent, too, but its processes use no CPU time and want none: they are stopped, or wait for each other. One that gets no
CPU because others have it is left alone. One that only turns in circles is found by a limit that no step comes near.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

LOOK_EVERY_S = 2.0
STILL_LOOKS = 3
"""Looks in a row without an answer, and without CPU time or a wish for it: 6 to 10 s."""
SILENT_LOOKS = 300
"""Looks in a row without an answer: 10 minutes."""
MIN_CPU_S = 0.02
"""CPU time between two looks that is work; an engine that waits uses a tenth of it."""


READY = "R"
"""State of a thread that runs, or would if it had a CPU (proc(5))."""


class Activity(NamedTuple):
    """What processes do.

    Attributes:
        cpu_s: CPU time that they have used, in seconds.
        is_ready: Whether one of their threads runs, or waits for a CPU; False where the system is not Linux.
    """

    cpu_s: float
    is_ready: bool


def activity(pids: Iterable[int]) -> Activity:
    """Return what processes and their children do."""
    cpu_s, is_ready = 0.0, False
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    times = each.cpu_times()
                    cpu_s += times.user + times.system
                    is_ready = is_ready or _is_ready(each.pid)
    return Activity(cpu_s, is_ready)


def _is_ready(pid: int) -> bool:
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):  # the thread has ended
            if stat.read_text().rpartition(") ")[2].startswith(READY):
                return True
    return False


class Watch:
    """Looks at one engine.

    Args:
        read: Returns what the engine's processes do.
    """

    def __init__(self, read: Callable[[], Activity]) -> None:
        self._read = read
        self._activity: Activity | None = None
        self._num_silent = 0
        self._num_still = 0

    @property
    def is_still(self) -> bool:
        """Whether the engine neither answered nor worked at the last look."""
        return self._num_still > 0

    @property
    def trouble(self) -> str | None:
        """Why the engine must be started again; None for one that answers, or is busy."""
        if self._num_still >= STILL_LOOKS:
            return f"has done nothing for {self._num_still * LOOK_EVERY_S:.0f} s"
        if self._num_silent >= SILENT_LOOKS:
            return f"has been in one step for {self._num_silent * LOOK_EVERY_S:.0f} s"
        return None

    def look(self, *, has_answered: bool) -> None:
        """Look once; `LOOK_EVERY_S` lies between two looks.

        Args:
            has_answered: Whether the engine has answered the last question.
        """
        if has_answered:
            self._activity, self._num_silent, self._num_still = None, 0, 0
            return
        before, self._activity = self._activity, self._read()
        self._num_silent += 1
        is_still = before is not None and _is_still(before, self._activity)
        self._num_still = self._num_still + 1 if is_still else 0


def _is_still(before: Activity, now: Activity) -> bool:
    return now.cpu_s - before.cpu_s < MIN_CPU_S and not now.is_ready

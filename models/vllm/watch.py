"""Tells an engine that is busy from one that hangs.

An engine answers between two steps, and a step that reads a long prompt takes as long as it takes. What hangs is
silent, too, but its processes use no CPU time: they are stopped, or wait for each other. One that only turns in circles
is found by a limit that no step comes near.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

LOOK_EVERY_S = 2.0
STILL_LOOKS = 3
"""Looks in a row without an answer and without CPU time: 6 to 10 s."""
SILENT_LOOKS = 300
"""Looks in a row without an answer: 10 minutes."""
MIN_CPU_S = 0.02
"""CPU time between two looks that is work; an engine that waits uses a tenth of it."""


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time that processes and their children have used."""
    seconds = 0.0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    times = each.cpu_times()
                    seconds += times.user + times.system
    return seconds


class Watch:
    """Looks at one engine.

    Args:
        used: Returns the CPU time that the engine has used, in seconds.
    """

    def __init__(self, used: Callable[[], float]) -> None:
        self._used = used
        self._seconds: float | None = None
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
            self._seconds, self._num_silent, self._num_still = None, 0, 0
            return
        before, self._seconds = self._seconds, self._used()
        self._num_silent += 1
        is_still = before is not None and self._seconds - before < MIN_CPU_S
        self._num_still = self._num_still + 1 if is_still else 0

"""Simulated time: an event loop whose clock jumps to whatever is due next, so that waiting costs nothing.

What runs on it is ordinary asyncio, the project's own search code included; it only must not wait for anything outside
the process. The loop's heap of timers is the simulation's queue of events.
"""

import asyncio
from collections.abc import Coroutine
from selectors import SelectorKey, SelectSelector
from typing import Any, TypeVar

T = TypeVar("T")


class DeadlockError(RuntimeError):
    """Everything waits, and nothing is due."""


class _Leap(SelectSelector):
    """Passes the time until the next timer at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if timeout is None:
            raise DeadlockError("the simulation waits for something that never comes")
        self.now += timeout
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop in simulated time, which begins at 0."""

    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        """Seconds since the beginning of the simulation."""
        return self._leap.now


def simulate(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end in simulated time."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(work)

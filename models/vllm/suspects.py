"""Which requests may have taken an engine down, and which one has.

A request whose engine dies is repeated when the engine is back: one that kills it would kill it again, with all that
runs beside it. So a death is held against requests that were in flight, first of all against those whose prompt was
being read: a request that has a token already has survived what kills most engines. Suspects are then read one at a
time (`guarded.py`), so that a second death has one cause alone, which is refused from then on.

Knows keys of requests; knows no engine.
"""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

FORGET_AFTER_S = 3600.0
MOST = 1024
"""Suspects remembered, the latest."""


class InFlight(NamedTuple):
    """A request that was in flight when its engine died.

    Attributes:
        key: The same for the same prompt.
        is_read: Whether its prompt had been read.
    """

    key: bytes
    is_read: bool


class Suspects:
    """Remembers who was there when an engine died.

    Args:
        clock: In seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deaths: dict[bytes, int] = {}
        self._died_at: dict[bytes, float] = {}
        self._deadly: set[bytes] = set()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._deaths)

    def num_deaths(self, key: bytes) -> int:
        """Return how many deaths are held against a request."""
        return self._deaths.get(key, 0)

    def is_deadly(self, key: bytes) -> bool:
        """Tell whether a request has taken its engine down twice, once of them alone."""
        return key in self._deadly

    def may_run(self, key: bytes, others: Iterable[InFlight]) -> bool:
        """Tell whether a request may start beside those that run: a suspect may not while another's prompt is read.

        Suspects of two deaths have survived that, and run one at a time to their ends.
        """
        deaths = self.num_deaths(key)
        return not deaths or not any(
            other.key != key
            and (their_deaths := self.num_deaths(other.key))
            and (not other.is_read or max(deaths, their_deaths) > 1)
            for other in others
        )

    def blame(self, in_flight: Iterable[InFlight]) -> None:
        """Hold a death against the requests that are the likeliest to have caused it."""
        self._forget()
        there = list(in_flight)
        known = [each for each in there if self.num_deaths(each.key)]
        likeliest = (
            [each for each in known if not each.is_read],
            [each for each in known if self.num_deaths(each.key) > 1],
            [each for each in there if not each.is_read],
            known,
            there,
        )
        blamed = {each.key for each in next(filter(None, likeliest), [])}
        for key in blamed:
            self._deaths[key] = self.num_deaths(key) + 1
            self._died_at[key] = self._clock()
            if len(blamed) == 1 and self._deaths[key] > 1:
                self._deadly.add(key)

    def _forget(self) -> None:
        latest = sorted(self._died_at, key=lambda key: self._died_at[key])[-MOST:]
        kept = {key for key in latest if self._clock() - self._died_at[key] < FORGET_AFTER_S}
        self._deaths = {key: number for key, number in self._deaths.items() if key in kept}
        self._died_at = {key: when for key, when in self._died_at.items() if key in kept}
        self._deadly &= kept

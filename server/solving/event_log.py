"""The events of one search: numbered from 1, encoded once, kept within a bound, and read by any number of followers.

A follower reads from any number on; events that wait go out together, since to send costs more than to write. A full
log drops its oldest events, but never its latest, which in the end is the result. A follower that asks for a dropped
event is told so by an error, and never left with a gap. Knows nothing of searches.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from server.errors import RequestError
from server.http.errors import reply_to

READ_ONCE_BYTES = 16_777_216
"""Unread by a follower that is the only one: with as much unread its connection would be cut off."""


class EventLog:
    """The events of one search.

    Args:
        max_bytes: Of the events that are kept, encoded, besides the latest, which may have any size.
        is_read_once: Whether to drop what a follower has read, since nobody else will come.
        on_change: Called with the bytes by which the log has grown.

    Attributes:
        first: Number of the oldest event that is kept.
        last: Number of the latest event; 0 before the first.
        num_bytes: Of the events that are kept.
        is_concluded: Whether no event follows.
    """

    def __init__(
        self,
        max_bytes: int = READ_ONCE_BYTES,
        *,
        is_read_once: bool = False,
        on_change: Callable[[int], None] = lambda change: None,
    ) -> None:
        self.first, self.last, self.num_bytes = 1, 0, 0
        self.is_concluded = False
        self._max_bytes = max_bytes
        self._is_read_once = is_read_once
        self._on_change = on_change
        self._events: dict[int, bytes] = {}
        self._news = asyncio.Event()

    def append(self, name: str, data: str) -> None:
        """Add an event with its data, JSON on one line."""
        self._drop_until(lambda: self.num_bytes <= self._max_bytes)
        self.last += 1
        self._events[self.last] = encoded(name, data, self.last)
        self._count(len(self._events[self.last]))
        self._wake()

    def conclude(self) -> None:
        """Let followers end once they have read everything."""
        self.is_concluded = True
        self._wake()

    def drop(self) -> None:
        """Drop all events but the latest."""
        self._drop_until(lambda: False)

    @property
    def latest(self) -> bytes:
        """The data of the latest event."""
        return self._events[self.last].partition(b"data: ")[2].rstrip()

    def require(self, after: int, param: str) -> None:
        """Require that `follow(after)` has everything behind that event.

        Raises:
            RequestError: An event is gone, or there never was one with the number; the message names `param`.
        """
        require_kept(after, self.first, self.last, param)

    def behind(self, after: int) -> bytes:
        """Return the events behind number `after` that are kept."""
        return b"".join(self._events[number] for number in range(max(after + 1, self.first), self.last + 1))

    async def follow(self, after: int = 0) -> AsyncIterator[bytes]:
        """Yield the events behind number `after`, and wait for more until the log is concluded."""
        while after < self.last or not self.is_concluded:
            if after + 1 < self.first:
                yield encoded("error", reply_to(gone(self.first, "starting_after")).json())
                return
            if after == self.last:
                await self._news.wait()
                continue
            waiting, after = self.behind(after), self.last
            if self._is_read_once:
                self.drop()
            yield waiting

    def _drop_until(self, is_enough: Callable[[], bool]) -> None:
        while self.first < self.last and not is_enough():
            self._count(-len(self._events.pop(self.first)))
            self.first += 1

    def _count(self, change: int) -> None:
        self.num_bytes += change
        self._on_change(change)

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def require_kept(after: int, first: int, last: int, param: str) -> None:
    """Require that everything behind event `after` is kept, of events of which `first` to `last` are.

    Raises:
        RequestError: An event is gone, or there never was one with the number; the message names `param`.
    """
    if after > last:
        raise RequestError(f"{param}: {after} is beyond the latest event, which is {last}", param)
    if after + 1 < first:
        raise gone(first, param)


def gone(first: int, param: str) -> RequestError:
    """Return the error for events of which `first` is the oldest that is kept."""
    dropped = first - 1
    message = (
        f"{param}: events 1 to {dropped} were dropped to save memory; start after {dropped}, or ask without stream"
    )
    return RequestError(message, param, 410, "events_gone")


def encoded(name: str, data: str, number: int | None = None) -> bytes:
    """Return an event as it crosses the wire; its data is JSON, which has no line breaks."""
    id = "" if number is None else f"id: {number}\r\n"
    return f"{id}event: {name}\r\ndata: {data}\r\n\r\n".encode()

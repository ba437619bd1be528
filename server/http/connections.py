"""All connections of a service: how many, how long each may take to send a request, how much it may leave unread.

A new connection is always accepted, since it may be the health check. If there are too many, the address with the most
idle connections loses the one that has waited longest without a whole request. If all are being answered, a new
connection of the same address must show a key (`Standing.CROWDED`), and one beyond the limit of the whole service may
only check health (`Standing.SPARE`).

The service never waits for a slow reader: an engine cannot be slowed down, and a place in the queue must end with its
work. Unread data is kept up to a bound, beyond which the client is cut off. So is a client that reads nothing for
`send_timeout_s`. Knows sockets and time; knows nothing of HTTP.
"""

import asyncio
import logging
import resource
from enum import Enum
from typing import Protocol

import psutil

from server.http.addresses import is_among, name_of, read_address
from server.settings import Settings

logger = logging.getLogger(__name__)

STATE = "connection"
"""Where a request finds its connection in the state of its scope."""
MAX_SPARE = 64
"""Connections past the most, for `/healthz` and `/readyz`."""
MAX_SWEEP_S = 0.5
"""How often all connections are looked at, at least."""
UNLIMITED = 1 << 20


class Standing(Enum):
    """What a connection may request."""

    WELCOME = "everything"
    CROWDED = "everything with a key: its address has as many connections without one as it may have"
    SPARE = "whether the service lives: all other connections are taken"


class Guarded(Protocol):
    """The protocol's side of a connection."""

    def check(self, now: float) -> None:
        """Enforce the time limits."""

    def cut_off(self, why: str) -> None:
        """Close the connection at once and discard unsent data."""


class Connection:
    """One connection.

    Attributes:
        address: What its client is called; "" for one without an address, or a trusted proxy.
        standing: What it may ask for.
        has_key: Whether it has shown a good key.
    """

    def __init__(self, guarded: Guarded, address: str, connections: "Connections") -> None:
        self.guarded = guarded
        self.address = address
        self.standing = Standing.WELCOME
        self.has_key = False
        self._connections = connections

    def show_key(self) -> None:
        """Stop counting the connection to its address: it belongs to the holder of a key."""
        self._connections.note_key(self)


class Connections:
    """The connections of a service.

    Args:
        settings: Their limits.
        num_free: Descriptors that connections may take.
    """

    def __init__(self, settings: Settings, num_free: int) -> None:
        self.settings = settings
        self.most = min(settings.max_connections or num_free, num_free)
        if settings.max_connections is not None and settings.max_connections > num_free:
            logger.warning(
                "max_connections is %d, but the limit of descriptors (ulimit -n) allows %d connections",
                settings.max_connections,
                num_free,
            )
        timeouts = (settings.header_timeout_s, settings.body_idle_s, settings.send_timeout_s)
        self._num_spare = min(MAX_SPARE, max(1, num_free // 6))
        self._sweep_s = min(MAX_SWEEP_S, min(timeouts) / 4)
        self._all: dict[Connection, None] = {}
        self._spare: dict[Connection, None] = {}
        self._waiting: dict[str, dict[Connection, None]] = {}  # by address, who has waited longest first
        self._num_without_key: dict[str, int] = {}
        self._unread: dict[Connection, int] = {}
        self._num_unread = 0
        self._sweeping: asyncio.TimerHandle | None = None

    def open(self, guarded: Guarded, host: str | None) -> Connection:
        """Accept a connection, closing another if there are too many."""
        connection = Connection(guarded, self._address(host), self)
        self._make_room(connection)
        self._all[connection] = None
        self.wait(connection)
        if len(self._spare) > self._num_spare:
            self._drop(next(iter(self._spare)), "all connections are taken")
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(self._sweep_s, self._sweep)
        return connection

    def close(self, connection: Connection) -> None:
        if connection not in self._all:
            return
        del self._all[connection]
        self._spare.pop(connection, None)
        self.stop_waiting(connection)
        self.note_unread(connection, 0)
        if not connection.has_key:
            self._uncount(connection)

    def note_key(self, connection: Connection) -> None:
        """Stop counting a connection to its address: it belongs to the holder of a key."""
        if connection in self._all and not connection.has_key:
            connection.has_key = True
            self._uncount(connection)

    def _uncount(self, connection: Connection) -> None:
        left = self._num_without_key.get(connection.address, 0) - 1
        if left > 0:
            self._num_without_key[connection.address] = left
        else:
            self._num_without_key.pop(connection.address, None)

    def wait(self, connection: Connection) -> None:
        """Record that the service is waiting for a request on this connection."""
        if connection in self._all and connection not in self._spare:
            self._waiting.setdefault(connection.address, {})[connection] = None

    def stop_waiting(self, connection: Connection) -> None:
        """Record that a connection has sent a whole request."""
        waiting = self._waiting.get(connection.address, {})
        waiting.pop(connection, None)
        if not waiting:
            self._waiting.pop(connection.address, None)

    def note_unread(self, connection: Connection, num_bytes: int) -> None:
        """Record how much a client has not read; if all together exceed the limit, cut off the one with the most."""
        self._num_unread += num_bytes - self._unread.pop(connection, 0)
        if num_bytes and connection in self._all:
            self._unread[connection] = num_bytes
        else:
            self._num_unread -= num_bytes
        if self._num_unread > self.settings.max_unread_bytes_in_all:
            self._drop(max(self._unread, key=self._unread.__getitem__), "all clients leave too much unread")

    def _make_room(self, connection: Connection) -> None:
        address = connection.address
        if address:
            if self._num_without_key.get(address, 0) >= self.settings.max_connections_per_client:
                self._evict(address)
            count = self._num_without_key.get(address, 0)
            self._num_without_key[address] = count + 1
            if count >= self.settings.max_connections_per_client:
                connection.standing = Standing.CROWDED
        if len(self._all) >= self.most:
            self._evict(max(self._waiting, key=lambda address: len(self._waiting[address]), default=""))
        if len(self._all) >= self.most:
            connection.standing = Standing.SPARE
            self._spare[connection] = None

    def _drop(self, connection: Connection, why: str) -> None:
        self.close(connection)
        connection.guarded.cut_off(why)

    def _evict(self, address: str) -> None:
        """Close the longest-waiting connection of an address, if any."""
        if waiting := self._waiting.get(address):
            self._drop(next(iter(waiting)), "its place is needed for another connection")

    def _address(self, host: str | None) -> str:
        address = read_address(host or "")
        if address is None or is_among(address, self.settings.trusted_proxies or ()):
            return ""
        return name_of(address)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in list(self._all):
            connection.guarded.check(loop.time())
        self._sweeping = loop.call_later(self._sweep_s, self._sweep) if self._all else None


def free_descriptors() -> int:
    """Return how many descriptors connections may take: three quarters of those that are free.

    The rest is kept for connections to engines, for engines that restart, and for health checks.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = UNLIMITED if soft == resource.RLIM_INFINITY else soft
    return max(1, (soft - psutil.Process().num_fds()) * 3 // 4)

"""The sockets that the service listens on, bound before an engine starts: an address in use is reported at once.

Clients that connect while the models start wait for them. The engines are forks of the service and close the sockets,
so that connections are refused once the service has stopped listening.
"""

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from server.settings import SettingsError

BACKLOG = 2048
REASONS = {
    errno.EADDRINUSE: "is in use: stop what listens there (ss -ltnp shows it), or choose another port",
    errno.EACCES: "may not be used: choose a port above 1023",
    errno.EADDRNOTAVAIL: "cannot be listened on: that is not an address of this machine",
}
NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


@contextmanager
def listening(host: str, port: int, *, is_shared: bool = False) -> Iterator[list[socket.socket]]:
    """Listen while the context lasts.

    Args:
        host: Name or address; empty for all addresses.
        port: 0 takes a free one.
        is_shared: Whether others that say the same may listen on the same port; each connection goes to one of them.

    Raises:
        SettingsError: The address cannot be used.
    """
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        missing: OSError | None = None
        for family, address in _addresses(host, port):
            taken = sockets[0].getsockname()[1] if sockets else port  # all of them on the one that was free
            try:
                made = socket.create_server((address, taken), family=family, backlog=BACKLOG, reuse_port=is_shared)
            except OSError as error:
                if error.errno not in NOT_HERE:
                    raise _refused(address, taken, error) from error
                missing = error  # a name may stand for an IPv6 address on a machine that has none
                continue
            sockets.append(stack.enter_context(_listener(made.detach())))
        if not sockets and missing:
            raise _refused(host, port, missing) from missing
        yield sockets


@contextmanager
def listening_together(host: str, port: int, number: int) -> Iterator[list[list[socket.socket]]]:
    """Listen on one address with sockets for each of several processes, between which the system spreads connections.

    Raises:
        SettingsError: The address cannot be used, or is in use by another service.
    """
    with listening(host, port) as alone:
        free = alone[0].getsockname()[1]
    with ExitStack() as stack:
        yield [stack.enter_context(listening(host, free, is_shared=True)) for _ in range(number)]


def inherited(descriptors: Sequence[int]) -> list[socket.socket]:
    """Return the sockets of a fork, from copies of their descriptors: the fork has closed the others."""
    return [_listener(descriptor) for descriptor in descriptors]


def _listener(descriptor: int) -> socket.socket:
    listener = socket.socket(fileno=descriptor)  # knows that it is TCP, or asyncio leaves Nagle's algorithm on
    os.register_at_fork(after_in_child=listener.close)
    return listener


def _refused(address: str, port: int, error: OSError) -> SettingsError:
    code = error.errno or 0
    reason = REASONS.get(code, f"cannot be listened on: {os.strerror(code)}")
    return SettingsError(f"port {port} of {address or 'all addresses'} {reason}")


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"host {host!r} is neither an address nor a known name") from error
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))

"""The sockets that the service listens on, bound before an engine starts: an address in use is reported at once.

Clients that connect while the models start wait for them. The engines are forks of the service and close the sockets,
so that connections are refused once the service has stopped listening.
"""

import errno
import os
import socket
from collections.abc import Iterator
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
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Listen while the context lasts.

    Args:
        host: Name or address; empty for all addresses.
        port: 0 takes a free one.

    Raises:
        SettingsError: The address cannot be used.
    """
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        missing: OSError | None = None
        for family, address in _addresses(host, port):
            taken = sockets[0].getsockname()[1] if sockets else port  # all of them on the one that was free
            try:
                made = socket.create_server((address, taken), family=family, backlog=BACKLOG)
            except OSError as error:
                if error.errno not in NOT_HERE:
                    raise _refused(address, taken, error) from error
                missing = error  # a name may stand for an IPv6 address on a machine that has none
                continue
            listener = socket.socket(
                fileno=made.detach()
            )  # knows that it is TCP, or asyncio leaves Nagle's algorithm on
            os.register_at_fork(after_in_child=listener.close)
            sockets.append(stack.enter_context(listener))
        if not sockets and missing:
            raise _refused(host, port, missing) from missing
        yield sockets


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

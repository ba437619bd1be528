"""Who may ask: every route but the two that a load balancer asks needs a key, once there are keys.

Guards by default: what is not named in `OPEN` is closed, the documentation, the metrics and addresses that do not exist
included. Says who asks in the scope's state, which is where admission and logs read it.
"""

import ipaddress

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from server.errors import error_response
from server.keys import Client, Keyring
from server.settings import Settings, SettingsError

OPEN = frozenset({"/healthz", "/readyz"})
"""Routes that need no key."""

ALLOWED = "allowed: Authorization: Bearer KEY"
LINK_BITS = 64
"""An IPv6 peer has a whole network of this prefix to itself: one client, whatever address it takes."""


class AccessMiddleware:
    """Answers 401 to requests without a good key, and names the client of all others.

    Args:
        app: What is guarded.
        keys: Those that are good; none lets everybody in.
    """

    def __init__(self, app: ASGIApp, keys: Keyring) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        connection = HTTPConnection(scope)
        client = _peer(connection)
        if self._keys and scope["path"] not in OPEN:
            holder = self._holder(connection)
            if isinstance(holder, str):
                headers = {"WWW-Authenticate": "Bearer"}
                refusal = error_response(401, f"authorization: {holder}; {ALLOWED}", None, "invalid_api_key", headers)
                return await refusal(scope, receive, send)
            client = holder
        connection.state.client = client
        return await self._app(scope, receive, send)

    def _holder(self, connection: HTTPConnection) -> Client | str:
        """The holder of the key, or what is wrong with it."""
        values = connection.headers.getlist("authorization")
        if not values:
            return "no API key was sent"
        scheme, _, key = values[0].partition(" ")
        if len(values) > 1 or scheme.lower() != "bearer" or not key.strip():
            return "the header is malformed"
        return self._keys.holder(key.strip().encode("latin-1")) or "the API key is not known"


def client_of(connection: HTTPConnection) -> Client:
    """Return who asks."""
    client = connection.state.client
    assert isinstance(client, Client)  # noqa: S101 - set by AccessMiddleware
    return client


def require_safe_exposure(settings: Settings, keys: Keyring) -> None:
    """See that a service without keys is seen by this machine alone.

    Raises:
        SettingsError: It would listen on a public address, and nobody said that it may.
    """
    if not keys and not settings.allow_public_without_keys and not _is_loopback(settings.host):
        raise SettingsError(
            f"host {settings.host or '(all)'} is not loopback, and without API keys anybody there could use the "
            "service: set api_keys or api_keys_file, or allow_public_without_keys"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _peer(connection: HTTPConnection) -> Client:
    host = connection.client.host if connection.client else "local"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return Client(host)
    if address.version == 6 and address.ipv4_mapped is None:
        return Client(str(ipaddress.ip_network((address.packed, LINK_BITS), strict=False)))
    return Client(host)

"""Access control: once there are keys, every route needs one but those that load balancers probe, and the page's files.

Closed by default: whatever is not named needs a key, including the documentation, the metrics and paths that do not
exist. Puts the client into the scope's state, where admission and logs read it. A connection accepted beyond the
limit may request only what its standing allows.
"""

import ipaddress
from collections.abc import Sequence, Set

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from server.http.addresses import Network, forwarded_client, name_of, read_address
from server.http.connections import STATE, Connection, Standing
from server.http.errors import ErrorReply
from server.http.headers import CLOSE
from server.keys import Client, Keyring
from server.settings import Settings, SettingsError

OPEN = frozenset({"/healthz", "/readyz"})
"""Routes that need neither a key nor room for a connection."""

REMEDY = "send Authorization: Bearer KEY"
RETRY_AFTER_S = 1
"""Seconds until there may be room for a connection."""


class AccessMiddleware:
    """Answers 401 to requests without a valid key, and identifies the client of all others.

    Args:
        app: The app to guard.
        keys: Valid keys; an empty ring lets everyone in.
        trusted_proxies: Networks whose X-Forwarded-For is trusted.
        without_key: More paths that need no key: the files of the page.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: Keyring,
        trusted_proxies: Sequence[Network] = (),
        without_key: Set[str] = frozenset(),
    ) -> None:
        self._app = app
        self._keys = keys
        self._trusted_proxies = trusted_proxies
        self._without_key = without_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        connection = HTTPConnection(scope)
        connection.state.client = self._peer(connection)
        if scope["path"] not in OPEN and (refusal := self._refuse(connection, scope["path"])):
            return await refusal.response()(scope, receive, send)
        return await self._app(scope, receive, send)

    def _refuse(self, connection: HTTPConnection, path: str) -> ErrorReply | None:
        guarded: Connection | None = getattr(connection.state, STATE, None)
        standing = Standing.WELCOME if guarded is None else guarded.standing
        if standing is Standing.SPARE:
            message = f"all connections are taken; try again in {RETRY_AFTER_S} s"
            return ErrorReply(503, message, None, "too_many_connections", RETRY_AFTER_S, CLOSE)
        if self._keys and path not in self._without_key:
            holder = self._holder(connection)
            if isinstance(holder, str):
                message = f"authorization: {holder}; {REMEDY}"
                return ErrorReply(401, message, None, "invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
            connection.state.client = holder
            if guarded is not None:
                guarded.show_key()
        elif standing is Standing.CROWDED:
            message = f"your address has too many connections; try again in {RETRY_AFTER_S} s"
            return ErrorReply(429, message, None, "too_many_connections", RETRY_AFTER_S, CLOSE)
        return None

    def _holder(self, connection: HTTPConnection) -> Client | str:
        """Return the holder of the key, or what is wrong with it."""
        values = connection.headers.getlist("authorization")
        if not values:
            return "no API key was sent"
        scheme, _, key = values[0].partition(" ")
        if len(values) > 1 or scheme.lower() != "bearer" or not key.strip():
            return "the header is malformed"
        return self._keys.holder(key.strip().encode("latin-1")) or "the API key is not known"

    def _peer(self, connection: HTTPConnection) -> Client:
        """Return the client by its address, or by the one that a trusted proxy forwards."""
        host = connection.client.host if connection.client else "local"
        address = read_address(host)
        if address is None:
            return Client(host)
        forwarded = connection.headers.getlist("x-forwarded-for")
        return Client(name_of(forwarded_client(address, forwarded, self._trusted_proxies)))


def client_of(connection: HTTPConnection) -> Client:
    """Return the client of a request."""
    client = connection.state.client
    assert isinstance(client, Client)  # noqa: S101 - set by AccessMiddleware
    return client


def require_safe_exposure(settings: Settings, keys: Keyring) -> None:
    """Require that a service without keys listens on this machine only.

    Raises:
        SettingsError: It would listen on a public address, and `allow_public_without_keys` is not set.
    """
    if not keys and not settings.allow_public_without_keys and not _is_loopback(settings.host):
        raise SettingsError(
            f"host {settings.host or '(all)'} is not loopback, and without API keys anyone there could use the "
            "service: set api_keys or api_keys_file, or allow_public_without_keys"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

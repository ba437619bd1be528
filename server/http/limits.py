"""How large a request may be, and how long it may take to arrive.

Bytes are counted as they come: a body of unknown length is cut off where it becomes too large, and never kept whole.
Knows nothing of what a request asks for.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.errors import DISCONNECTED, ErrorReply
from server.http.headers import CLOSE
from server.settings import Settings

WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
RETRY_AFTER_S = 1
"""Seconds until there may be room for a body."""

LINGER_S = 1.0
"""Seconds that a client may continue to send a body after its reply."""


class BodiesMiddleware:
    """Reads each body before the app sees it, and refuses those that are too large or too slow.

    When all unfinished bodies together hold too much, the oldest is refused. If the app read the body, it would keep
    what it has while it is refused.

    Args:
        app: Receives the bodies.
        settings: Time for a body, bytes for one and for all.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._on_their_way: dict[Body, None] = {}  # the oldest first
        self._num_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in WITH_BODY:
            return await self._app(scope, receive, send)
        body = Body()
        self._on_their_way[body] = None
        try:
            refusal = await self._read(body, receive)
            content = bytes(body.content)
        finally:
            self._forget(body)
        if refusal is not None:
            is_large = refusal.status == 413  # its client may still be sending, and not yet be reading
            lingers = lingering(receive, send, self._settings.max_body_bytes)
            return await refusal.response()(scope, receive, lingers if is_large else send)
        return await self._app(scope, _first(content, receive), send)

    async def _read(self, body: "Body", receive: Receive) -> ErrorReply | None:
        settings, loop = self._settings, asyncio.get_running_loop()
        latest, is_whole = loop.time() + settings.body_timeout_s, False
        while not is_whole:
            try:
                async with asyncio.timeout_at(min(latest, loop.time() + settings.body_idle_s)) as body.waiting:
                    message = await receive()
            except TimeoutError:
                if body not in self._on_their_way:
                    return _crowded_out()
                allowed = f"{settings.body_timeout_s:g} s in all, pauses of {settings.body_idle_s:g} s"
                return ErrorReply(408, f"body: arrives too slowly; allowed: {allowed}", "body", headers=CLOSE)
            if message["type"] == "http.disconnect":
                return DISCONNECTED
            is_whole = not message.get("more_body")
            self._hold(body, message.get("body", b""))
            if body not in self._on_their_way:
                return _crowded_out()
            if len(body.content) > settings.max_body_bytes:
                return _body_too_large(settings)
        return None

    def _hold(self, body: "Body", piece: bytes) -> None:
        if body in self._on_their_way:
            body.content += piece
            self._num_bytes += len(piece)
        while self._num_bytes > self._settings.max_unfinished_body_bytes:
            oldest = next(iter(self._on_their_way))
            self._forget(oldest)
            if oldest is not body and not oldest.waiting.expired():
                oldest.waiting.reschedule(asyncio.get_running_loop().time())

    def _forget(self, body: "Body") -> None:
        if body in self._on_their_way:
            del self._on_their_way[body]
            self._num_bytes -= len(body.content)
        body.content = bytearray()


@dataclass(eq=False, slots=True)
class Body:
    """An unfinished body.

    Attributes:
        content: The part that has arrived.
        waiting: Timeout of its next piece.
    """

    content: bytearray = field(default_factory=bytearray)
    waiting: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))


def _first(content: bytes, receive: Receive) -> Receive:
    """Replay a body that was read already, then pass on what the client sends next."""
    pending: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive_again() -> Message:
        return pending.pop() if pending else await receive()

    return receive_again


def _crowded_out() -> ErrorReply:
    message = f"body: unfinished bodies hold too much; try again in {RETRY_AFTER_S} s"
    return ErrorReply(503, message, "body", retry_after_s=RETRY_AFTER_S, headers=CLOSE)


class LimitsMiddleware:
    """Refuses heads that are too large, announce too large a body, or give two lengths.

    Args:
        app: Receives the other requests.
        settings: The limits.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if refusal := self._refuse_head(scope):
            return await refusal.response()(scope, receive, send)
        if _content_length(scope) > self._settings.max_body_bytes:
            response = _body_too_large(self._settings).response()
            return await response(scope, receive, lingering(receive, send, self._settings.max_body_bytes))
        return await self._app(scope, receive, send)

    def _refuse_head(self, scope: Scope) -> ErrorReply | None:
        settings, names = self._settings, {name for name, _ in scope["headers"]}
        if sum(len(name) + len(value) for name, value in scope["headers"]) > settings.max_header_bytes:
            return headers_too_large(settings)
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > settings.max_url_bytes:
            message = f"url: too long; allowed: {settings.max_url_bytes:,} bytes"
            return ErrorReply(414, message, "url", headers=CLOSE)
        if {b"content-length", b"transfer-encoding"} <= names:
            message = "content-length: sent together with transfer-encoding; send one of the two"
            return ErrorReply(400, message, "content-length", headers=CLOSE)
        return None


def _body_too_large(settings: Settings) -> ErrorReply:
    return ErrorReply(413, f"body: too large; allowed: {settings.max_body_bytes:,} bytes", "body", headers=CLOSE)


def headers_too_large(settings: Settings) -> ErrorReply:
    """Return the error for headers above the limit, which h11 or the middleware may find."""
    message = f"headers: too large; allowed: {settings.max_header_bytes:,} bytes"
    return ErrorReply(431, message, "headers", headers=CLOSE)


def lingering(receive: Receive, send: Send, max_bytes: int) -> Send:
    """Send a reply, and only then close the connection on a client that is still sending.

    Closing at once would reset it and lose the reply. Up to `max_bytes` that still arrive are discarded.
    """

    async def send_and_linger(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await send({**message, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await _throw_away(receive, max_bytes)
            message = {"type": "http.response.body"}
        await send(message)

    return send_and_linger


async def _throw_away(receive: Receive, max_bytes: int) -> None:
    num_bytes = 0
    while num_bytes <= max_bytes:
        message = await receive()
        num_bytes += len(message.get("body", b""))
        if not message.get("more_body"):
            return


def _content_length(scope: Scope) -> int:
    """Return the announced length of the body; 0 if it is missing or not a number. 18 digits are enough."""
    said = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(said[:18]) if said.isdigit() else 0

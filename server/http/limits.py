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
"""When there may be room for a body again."""

LINGER_S = 1.0
"""How long a client may go on sending a body that was answered before its end."""


class BodiesMiddleware:
    """Reads bodies whole before the app sees them, and refuses those that are too large or too slow.

    What is on its way is counted: where all bodies hold too much together, the oldest is refused. An app that read for
    itself would keep what it has while it is told no.

    Args:
        app: What gets the bodies.
        settings: How long a body may take, and how much one and all may hold.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._on_their_way: dict[Body, None] = {}  # the oldest first
        self._num_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body of a request, and let the app answer."""
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
    """A body on its way.

    Attributes:
        content: What has come of it.
        waiting: The time that its next piece has.
    """

    content: bytearray = field(default_factory=bytearray)
    waiting: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))


def _first(content: bytes, receive: Receive) -> Receive:
    """Give the app a body that was read before, and then whatever else its client does."""
    pending: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive_again() -> Message:
        return pending.pop() if pending else await receive()

    return receive_again


def _crowded_out() -> ErrorReply:
    message = f"body: unfinished bodies hold too much; try again in {RETRY_AFTER_S} s"
    return ErrorReply(503, message, "body", retry_after_s=RETRY_AFTER_S, headers=CLOSE)


class LimitsMiddleware:
    """Refuses requests whose heads are too large, or announce a body that is, or two lengths.

    Args:
        app: What the others reach.
        settings: The limits.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in as far as it is small enough."""
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
            message = "content-length: stands beside transfer-encoding; allowed: one of the two"
            return ErrorReply(400, message, "content-length", headers=CLOSE)
        return None


def _body_too_large(settings: Settings) -> ErrorReply:
    return ErrorReply(413, f"body: too large; allowed: {settings.max_body_bytes:,} bytes", "body", headers=CLOSE)


def headers_too_large(settings: Settings) -> ErrorReply:
    """Return what a client reads whose headers are larger than the limit, whoever finds that out."""
    message = f"headers: too large; allowed: {settings.max_header_bytes:,} bytes"
    return ErrorReply(431, message, "headers", headers=CLOSE)


def lingering(receive: Receive, send: Send, max_bytes: int) -> Send:
    """Send a reply, and only then close the connection on a client that is still sending.

    Closed at once, it would be reset, and the reply be lost. What still comes is thrown away, up to `max_bytes`.
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
    """The length that the client says the body has; 0 where it says none that is a number. 18 digits are enough."""
    said = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(said[:18]) if said.isdigit() else 0

"""How much a request may be: bytes on the way in, the time that they take, and the work that it may ask for.

Bytes are counted while they come: a body of unknown length is cut where it becomes too large, and never kept whole.
Limits that hold for every service stand in the schema; those here are a service's own, and narrower.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.strategies import strategies
from server.http.errors import CLIENT_CLOSED_REQUEST, RequestError, error_response
from server.schemas import SolveRequest
from server.settings import Settings
from server.solving.planning import is_read, values_of

CLOSE = {"Connection": "close"}
"""The rest of the body is not read, so that nothing can follow on the connection."""

WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
RETRY_AFTER_S = 1
"""When there may be room for a body again."""

LINGER_S = 1.0
"""How long a client may go on sending what it was told is too large."""

LIMITS: Mapping[str, str] = {
    "n": "max_n",
    "max_tokens": "max_tokens",
    "max_steps": "max_steps",
    "deadline_s": "max_deadline_s",
}
"""The setting that bounds a field."""


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
            is_large = refusal.status_code == 413  # its client may still be sending, and not yet be reading
            lingers = lingering(receive, send, self._settings.max_body_bytes)
            return await refusal(scope, receive, lingers if is_large else send)
        return await self._app(scope, _first(content, receive), send)

    async def _read(self, body: "Body", receive: Receive) -> JSONResponse | None:
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
                return error_response(408, f"body: arrives too slowly; allowed: {allowed}", "body", headers=CLOSE)
            if message["type"] == "http.disconnect":
                return error_response(CLIENT_CLOSED_REQUEST, "the client closed the connection")
            is_whole = not message.get("more_body")
            self._hold(body, message.get("body", b""))
            if body not in self._on_their_way:
                return _crowded_out()
            if len(body.content) > settings.max_body_bytes:
                return error_response(413, too_large(settings), "body", headers=CLOSE)
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


def _crowded_out() -> JSONResponse:
    message = f"body: unfinished bodies hold too much; try again in {RETRY_AFTER_S} s"
    return error_response(503, message, "body", headers=CLOSE | {"Retry-After": str(RETRY_AFTER_S)})


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
            return await refusal(scope, receive, send)
        if _content_length(scope) > self._settings.max_body_bytes:
            refusal = error_response(413, too_large(self._settings), "body", headers=CLOSE)
            return await refusal(scope, receive, lingering(receive, send, self._settings.max_body_bytes))
        return await self._app(scope, receive, send)

    def _refuse_head(self, scope: Scope) -> JSONResponse | None:
        settings, names = self._settings, {name for name, _ in scope["headers"]}
        if sum(len(name) + len(value) for name, value in scope["headers"]) > settings.max_header_bytes:
            message = f"headers: too large; allowed: {settings.max_header_bytes:,} bytes"
            return error_response(431, message, "headers", headers=CLOSE)
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > settings.max_url_bytes:
            message = f"url: too long; allowed: {settings.max_url_bytes:,} bytes"
            return error_response(414, message, "url", headers=CLOSE)
        if {b"content-length", b"transfer-encoding"} <= names:
            message = "content-length: stands beside transfer-encoding; allowed: one of the two"
            return error_response(400, message, "content-length", headers=CLOSE)
        return None


def too_large(settings: Settings) -> str:
    """Say that a body is."""
    return f"body: too large; allowed: {settings.max_body_bytes:,} bytes"


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


def within(request: SolveRequest, settings: Settings) -> SolveRequest:
    """Return the request as this service may run it: what it leaves open is made to fit.

    Raises:
        RequestError: It asks for more than is allowed.
    """
    fitting = {}
    for name, setting in LIMITS.items():
        asked, most = getattr(request, name), getattr(settings, setting)
        default = SolveRequest.model_fields[name].default
        if not is_read(request, name):
            if asked == most < default:  # which is the default that the document of this service shows
                fitting[name] = default
            continue
        if asked is not None and asked <= most:
            continue
        if asked is not None and name in request.model_fields_set:
            raise RequestError(f"{name}: {asked:,} is more than this service allows; allowed: at most {most:,}", name)
        fitting[name] = most
    return request.model_copy(update=fitting)


def cost_of(request: SolveRequest, context: int, settings: Settings) -> int:
    """Return the most tokens that a search may generate: N responses, and k rolled out for every step of theirs.

    Args:
        request: What is asked.
        context: Longest prompt and response of the policy, in tokens.
        settings: Of the service.

    Raises:
        RequestError: It is more than is allowed.
    """
    num_responses = strategies()[request.strategy].cost(request.n, values_of(request))
    cost = num_responses * min(request.max_tokens, context)
    if cost > settings.max_cost:
        raise RequestError(
            f"n: n x max_tokens x (1 + lookahead) is {cost:,} tokens (max_tokens counts as {context:,} at most, the "
            f"context of the policy); allowed: at most {settings.max_cost:,}",
            "n",
        )
    return cost


def _content_length(scope: Scope) -> int:
    """The length that the client says the body has; 0 where it says none that is a number. 18 digits are enough."""
    said = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(said[:18]) if said.isdigit() else 0

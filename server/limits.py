"""How much a request may be: bytes on the way in, the time that they take, and the work that it may ask for.

Bytes are counted while they come: a body of unknown length is cut where it becomes too large, and never kept whole.
Limits that hold for every service stand in the schema; those here are a service's own, and narrower.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import CLIENT_CLOSED_REQUEST, RequestError, error_response
from server.planning import UNUSED_FIELDS
from server.schemas import SolveRequest
from server.settings import Settings

CLOSE = {"Connection": "close"}
"""The rest of the body is not read, so that nothing can follow on the connection."""

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


class Bodies:
    """All bodies that are on their way; where they hold too much together, the oldest is refused.

    Args:
        settings: How long a body may take, and how much one and all may hold.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._num_bytes = 0
        self._on_their_way: dict[Body, None] = {}  # the oldest first

    def hold(self, body: "Body", num_bytes: int) -> None:
        """Count what has come of a body."""
        self._on_their_way[body] = None
        self._num_bytes += num_bytes
        while self._num_bytes > self.settings.max_unfinished_body_bytes:
            oldest = next(iter(self._on_their_way))
            self.release(oldest)
            oldest.crowd_out()

    def release(self, body: "Body") -> None:
        """Forget a body that is whole, or will not be."""
        if body in self._on_their_way:
            del self._on_their_way[body]
            self._num_bytes -= body.num_bytes


class Body:
    """The body of one request, as it arrives.

    Attributes:
        num_bytes: Of it that have come.
        is_refused: Whether the client was told that it is too much or too slow.
    """

    def __init__(self, bodies: Bodies, receive: Receive) -> None:
        self.num_bytes = 0
        self.is_refused = False
        self._bodies = bodies
        self._receive = receive
        self._started = time.monotonic()
        self._is_whole = self._is_crowded_out = False
        self._waiting: asyncio.Timeout | None = None

    async def receive(self) -> Message:
        """Return the next piece, or, when all have come, whatever else the client does.

        Raises:
            HTTPException: It is too large, too slow, or needs room that others need.
        """
        if self._is_whole:
            return await self._receive()
        settings = self._bodies.settings
        message = await self._next_piece()
        if message["type"] == "http.disconnect":
            raise HTTPException(CLIENT_CLOSED_REQUEST, "the client closed the connection")
        num_bytes = len(message.get("body", b""))
        self.num_bytes += num_bytes
        if self.num_bytes > settings.max_body_bytes:
            raise self._refusal(413, _too_large(settings))
        if message.get("more_body"):
            self._bodies.hold(self, num_bytes)
        else:
            self._is_whole = True
            self._bodies.release(self)
        return message

    def crowd_out(self) -> None:
        """Refuse the rest."""
        self._is_crowded_out = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def _next_piece(self) -> Message:
        settings = self._bodies.settings
        left_s = self._started + settings.body_timeout_s - time.monotonic()
        try:
            async with asyncio.timeout(min(left_s, settings.body_idle_s)) as self._waiting:
                if not self._is_crowded_out:
                    return await self._receive()
        except TimeoutError:
            pass
        finally:
            self._waiting = None
        if self._is_crowded_out:
            message = f"body: unfinished bodies hold too much; try again in {RETRY_AFTER_S} s"
            raise self._refusal(503, message, {"Retry-After": str(RETRY_AFTER_S)})
        allowed = f"{settings.body_timeout_s:g} s in all, pauses of {settings.body_idle_s:g} s"
        raise self._refusal(408, f"body: arrives too slowly; allowed: {allowed}")

    def _refusal(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> HTTPException:
        self.is_refused = True
        return HTTPException(status, message, CLOSE | dict(headers or {}))


class LimitsMiddleware:
    """Refuses requests that are too large, too slow, or of two lengths.

    Args:
        app: What the others reach.
        settings: The limits.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._bodies = Bodies(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in as far as it is small enough."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if refusal := self._refuse_head(scope):
            return await refusal(scope, receive, send)
        if _content_length(scope) > self._settings.max_body_bytes:
            refusal = error_response(413, _too_large(self._settings), "body", headers=CLOSE)
            return await refusal(scope, receive, self._lingering(receive, send))
        body = Body(self._bodies, receive)

        async def send_and_linger(message: Message) -> None:
            await (self._lingering(receive, send) if body.is_refused else send)(message)

        try:
            await self._app(scope, body.receive, send_and_linger)
        finally:
            self._bodies.release(body)

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

    def _lingering(self, receive: Receive, send: Send) -> Send:
        """Send a reply, and only then close the connection on a client that is still sending.

        Closed at once, it would be reset, and the reply be lost. What still comes is thrown away.
        """

        async def send_and_linger(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                await send({**message, "more_body": True})
                with suppress(TimeoutError):
                    async with asyncio.timeout(LINGER_S):
                        await self._throw_away(receive)
                message = {"type": "http.response.body"}
            await send(message)

        return send_and_linger

    async def _throw_away(self, receive: Receive) -> None:
        num_bytes = 0
        while num_bytes <= self._settings.max_body_bytes:
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
        if name in UNUSED_FIELDS.get(request.strategy, ()):
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
    cost = request.n * min(request.max_tokens, context) * (1 + request.lookahead)
    if cost > settings.max_cost:
        raise RequestError(
            f"n: n x max_tokens x (1 + lookahead) is {cost:,} tokens (max_tokens counts as {context:,} at most, the "
            f"context of the policy); allowed: at most {settings.max_cost:,}",
            "n",
        )
    return cost


def _too_large(settings: Settings) -> str:
    return f"body: too large; allowed: {settings.max_body_bytes:,} bytes"


def _content_length(scope: Scope) -> int:
    """The length that the client says the body has; 0 where it says none that is a number. 18 digits are enough."""
    said = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(said[:18]) if said.isdigit() else 0

"""How much a request may be: bytes on the way in, and the work that it may ask for.

Bytes are counted while they come: a body of unknown length is cut where it becomes too large, and never kept whole.
Limits that hold for every service stand in the schema; those here are a service's own, and narrower.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.strategies import strategies
from server.errors import RequestError, error_response
from server.planning import is_read, values_of
from server.schemas import SolveRequest
from server.settings import Settings

CLOSE = {"Connection": "close"}
"""The rest of the body is not read, so that nothing can follow on the connection."""

LINGER_S = 1.0
"""How long a client may go on sending what it was told is too large."""

LIMITS: Mapping[str, str] = {
    "n": "max_n",
    "max_tokens": "max_tokens",
    "max_steps": "max_steps",
    "deadline_s": "max_deadline_s",
}
"""The setting that bounds a field."""


class LimitsMiddleware:
    """Answers 431 to headers and 413 to bodies that are too large.

    Args:
        app: What the others reach.
        max_body_bytes: Largest body.
        max_header_bytes: Largest sum of the names and values of all headers.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, max_header_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_header_bytes = max_header_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in as far as it is small enough."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > self._max_header_bytes:
            message = f"headers: too large; allowed: {self._max_header_bytes:,} bytes"
            return await error_response(431, message, "headers", headers=CLOSE)(scope, receive, send)
        if _content_length(scope) > self._max_body_bytes:
            refusal = error_response(413, self._too_large, "body", headers=CLOSE)
            return await refusal(scope, receive, self._lingering(receive, send))
        num_bytes = 0

        async def receive_within() -> Message:
            nonlocal num_bytes
            message = await receive()
            num_bytes += len(message.get("body", b""))
            if num_bytes > self._max_body_bytes:
                raise HTTPException(413, self._too_large, CLOSE)
            return message

        async def send_and_linger(message: Message) -> None:
            is_cut = num_bytes > self._max_body_bytes
            await (self._lingering(receive, send) if is_cut else send)(message)

        await self._app(scope, receive_within, send_and_linger)

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
        while num_bytes <= self._max_body_bytes:
            message = await receive()
            num_bytes += len(message.get("body", b""))
            if not message.get("more_body"):
                return

    @property
    def _too_large(self) -> str:
        return f"body: too large; allowed: {self._max_body_bytes:,} bytes"


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

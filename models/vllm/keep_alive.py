"""Comments in streams that have nothing to say, so that what stands between notices in time that a client has left.

A proxy that passes a stream on may learn that its client is gone only when it writes to it: vllm-router does with all
policies but `cache_aware`. Until then a request that waits in the engine's queue stays there. A line that begins with a
colon says nothing in Server-Sent Events, and every reader of them passes over it. Knows ASGI; knows nothing of vLLM.
"""

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

COMMENT = b":\n\n"
EVENTS = b"text/event-stream"
EVERY_S = 1.0


class KeepAlive:
    """Middleware for vLLM's server, which takes it by its name (`--middleware`).

    Args:
        app: The server.
        every_s: A stream that has said nothing for so long, or up to twice that, gets a comment.
    """

    def __init__(self, app: ASGIApp, every_s: float = EVERY_S) -> None:
        self._app = app
        self._every_s = every_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stream = _Stream(send, self._every_s)
        try:
            await self._app(scope, receive, stream.send)
        finally:
            stream.end()


class _Stream:
    def __init__(self, send: Send, every_s: float) -> None:
        self._send = send
        self._every_s = every_s
        self._has_spoken = False
        self._commenting: asyncio.Task[None] | None = None

    async def send(self, message: Message) -> None:
        self._has_spoken = True
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.end()
        await self._send(message)
        if message["type"] == "http.response.start" and _is_stream(message):
            self._commenting = asyncio.create_task(self._comment())

    async def _comment(self) -> None:
        with suppress(OSError):  # the client has left
            while True:
                self._has_spoken = False
                await asyncio.sleep(self._every_s)
                if not self._has_spoken:
                    await self._send({"type": "http.response.body", "body": COMMENT, "more_body": True})

    def end(self) -> None:
        if self._commenting is not None:
            self._commenting.cancel()


def _is_stream(start: Message) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(EVENTS) for name, value in start["headers"])

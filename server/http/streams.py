"""The events of a search as a reply. The search is a task of its own, so that a slow reader does not hold it up."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from server.http.disconnect import stop

HEARTBEAT_S = 15
"""Seconds of silence after which a comment keeps the connection open."""
EVENT_STREAM: dict[str, Any] = {
    "text/event-stream": {
        "itemSchema": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
            "required": ["data"],
        }
    }
}
"""What a document says of a stream, in the words of OpenAPI 3.2, as FastAPI does."""


class SearchStream(EventSourceResponse):
    """Server-Sent Events; a client that closes the connection, or is cut off, stops the search.

    Args:
        events: Of the search.
        search: That runs.
    """

    def __init__(self, events: AsyncIterator[ServerSentEvent], search: asyncio.Task[Any]) -> None:
        super().__init__(events, ping=HEARTBEAT_S, sep="\n")
        self._search = search

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events as they come."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await stop(self._search)

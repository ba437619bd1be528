"""A search as a stream of events. It runs in a task of its own, so that a slow reader does not delay it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pydantic import BaseModel
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from server.http.disconnect import stop

SCHEMAS = "#/components/schemas/"
HEARTBEAT_S = 15
"""Seconds between comments that keep a silent connection open."""
EVENT_STREAM: dict[str, Any] = {
    "text/event-stream": {
        "itemSchema": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
            "required": ["data"],
        }
    }
}
"""A stream in OpenAPI 3.2's terms, as FastAPI describes it."""


def event_stream(events: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """Describe a stream in the same terms, with the data of each event by its name."""
    shapes = [
        {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "event": {"const": name},
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {"$ref": f"{SCHEMAS}{model.__name__}"},
                },
            },
            "required": ["id", "event", "data"],
        }
        for name, model in events.items()
    ]
    return {"text/event-stream": {"itemSchema": {"oneOf": shapes}}}


class SearchStream(EventSourceResponse):
    """Server-Sent Events; the search stops when the client disconnects or is cut off.

    Args:
        events: Of the search.
        search: The running search; of one that outlives its connection, what waits for its end.
        headers: Of the reply.
    """

    def __init__(
        self,
        events: AsyncIterator[ServerSentEvent | bytes],
        search: asyncio.Task[Any],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(events, headers=headers, ping=HEARTBEAT_S, sep="\n")
        self._search = search

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await stop(self._search)

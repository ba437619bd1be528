"""Streams a search in the dialect of its route: its progress while it runs, then the answer.

Progress comes as `reasoning_content`, which chat clients show apart from the answer; other routes have no place for it.
The thoughts of the chosen response follow it there, and stand alone in `reasoning`.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import ExitStack, aclosing
from itertools import count
from typing import Any

from fastapi.responses import StreamingResponse
from sse_starlette import ServerSentEvent
from starlette.types import Receive, Scope, Send

from models.errors import ModelError
from server.errors import RequestError
from server.http.errors import reply_to
from server.http.streams import SearchStream
from server.openai.dialects import Chunk, Dialect
from server.openai.progress import Progress
from server.solving.searching import Outcome, Search


async def stream(search: Search, dialect: Dialect[Any]) -> SearchStream:
    """Answer a planned search with a stream.

    Raises:
        FullError: The queue is full.
        ContextOverflowError: The problem leaves no room for a response.
    """
    progress = Progress()
    task = await search.begin(progress)
    return SearchStream(_events(task, progress, dialect), task)


async def _events(
    search: asyncio.Task[Outcome], progress: Progress, dialect: Dialect[Any]
) -> AsyncGenerator[ServerSentEvent, None]:
    numbers = count()

    def events(chunks: Iterable[Chunk]) -> Iterable[ServerSentEvent]:
        return (dialect.event(chunk, next(numbers)) for chunk in chunks)

    search.add_done_callback(lambda _: progress.close())
    for event in events(dialect.opening()):
        yield event
    while (line := await progress.lines.get()) is not None:
        for event in events(dialect.progress(line)):
            yield event
    error = search.exception()
    last = [dialect.failure(reply_to(error))] if isinstance(error, Exception) else dialect.answer(search.result())
    for event in events(last):
        yield event
    for event in dialect.ends:
        yield event


class PlainStream(StreamingResponse):
    """The policy's own reply, streamed as it is generated; an error comes last if it breaks off.

    Args:
        events: As vLLM writes them.
        dialect: Of the route.
        place: In the queue; left when the stream ends.
    """

    def __init__(self, events: AsyncGenerator[str, None], dialect: type[Dialect[Any]], place: ExitStack) -> None:
        self._events = _ended(events, dialect)
        super().__init__(self._events, media_type="text/event-stream")
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; sending does not wait for the reader, so the place is left when the generation ends."""
        with self._place:
            async with aclosing(self._events):
                await super().__call__(scope, receive, send)


def with_thoughts(reply: dict[str, Any]) -> dict[str, Any]:
    """Return a reply of vLLM's, or a chunk of one, in which thoughts have both names that clients know."""
    for choice in reply.get("choices") or ():
        for said in (choice.get("message"), choice.get("delta")):
            if said and said.get("reasoning") is not None:
                said.setdefault("reasoning_content", said["reasoning"])
    return reply


def _told_twice(event: str) -> str:
    if not event.startswith("data: {") or '"reasoning":' not in event:
        return event
    return f"data: {json.dumps(with_thoughts(json.loads(event.removeprefix('data: '))))}\n\n"


async def _ended(events: AsyncGenerator[str, None], dialect: type[Dialect[Any]]) -> AsyncGenerator[str, None]:
    number = 0
    try:
        async with aclosing(events):
            async for event in events:
                yield _told_twice(event)
                number += event.count("\n\n")
    except (ModelError, RequestError) as error:
        for last in (dialect.event(dialect.failure(reply_to(error)), number), *dialect.ends):
            yield last.encode().decode()

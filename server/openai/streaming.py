"""Streams a search in OpenAI's chunks: its progress while it runs, then the chosen responses, then `[DONE]`.

Progress comes as `reasoning_content`, which chat clients show apart from the answer; a completion has no place for it.
The thoughts of the chosen response follow it there, and stand alone in `reasoning`.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, aclosing
from typing import Any

from fastapi.responses import StreamingResponse
from sse_starlette import ServerSentEvent
from starlette.types import Receive, Scope, Send

from models.errors import ModelError
from server.errors import RequestError
from server.http.errors import reply_to
from server.http.streams import SearchStream
from server.openai.chunks import Chunk, Chunks
from server.openai.progress import Progress
from server.openai.replies import bill, choose
from server.solving.searching import Outcome, Search


async def stream(search: Search, n: int, chunks: Chunks, *, with_usage: bool) -> SearchStream:
    """Answer a planned search with a stream of `n` choices.

    Raises:
        FullError: The queue is full.
        ContextOverflowError: The problem leaves no room for a response.
    """
    progress = Progress()
    task = await search.begin(progress)
    return SearchStream(_events(task, progress, n, chunks, with_usage), task)


async def _events(
    search: asyncio.Task[Outcome], progress: Progress, n: int, chunks: Chunks, with_usage: bool
) -> AsyncGenerator[ServerSentEvent, None]:
    search.add_done_callback(lambda _: progress.close())
    for chunk in chunks.opening(0):
        yield _event(chunk)
    while (line := await progress.lines.get()) is not None:
        for chunk in chunks.progress(line):
            yield _event(chunk)
    if isinstance(error := search.exception(), Exception):
        yield ServerSentEvent(reply_to(error).json(), sep="\n")
    else:
        for chunk in _answer(search.result(), n, chunks, with_usage):
            yield _event(chunk)
    yield ServerSentEvent("[DONE]", sep="\n")


class PlainStream(StreamingResponse):
    """The policy's own reply, streamed as it is generated; an error comes last if it breaks off.

    Args:
        events: As vLLM writes them.
        place: In the queue; left when the stream ends.
    """

    def __init__(self, events: AsyncGenerator[str, None], place: ExitStack) -> None:
        self._events = _ended(events)
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


async def _ended(events: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    try:
        async with aclosing(events):
            async for event in events:
                yield _told_twice(event)
    except (ModelError, RequestError) as error:
        yield f"data: {reply_to(error).json()}\n\n"
        yield "data: [DONE]\n\n"


def _answer(outcome: Outcome, n: int, chunks: Chunks, with_usage: bool) -> Iterator[Chunk]:
    """Yield the choices, the evidence in the last chunk, and the bill if requested."""
    choices = choose(outcome.result, n)
    for index, candidate in enumerate(choices):
        if index:
            yield from chunks.opening(index)
        yield from chunks.thoughts(index, candidate)
        yield from chunks.text(index, candidate)
        is_last = index == len(choices) - 1
        evidence = {"search": outcome.reply.model_dump(mode="json")} if is_last else {}
        yield chunks.end(index, candidate) | evidence
    if with_usage:
        yield chunks.bill(bill(outcome.reply, choices))


def _event(chunk: Chunk) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(chunk), sep="\n")

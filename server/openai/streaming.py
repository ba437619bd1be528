"""Streams a search in OpenAI's chunks: its progress while it runs, then the chosen responses, then `[DONE]`.

Progress comes as `reasoning_content`, which chat clients show apart from the answer; a completion has no place for it.
The search is a task of its own, so that a slow reader does not hold it up; closing the stream cancels it.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator

from sse_starlette import EventSourceResponse, ServerSentEvent

from server.errors import failure_response
from server.openai.chunks import Chunk, Chunks
from server.openai.planning import Plan
from server.openai.progress import Progress
from server.openai.replies import bill, choose
from server.openai.running import Outcome, run

PING_S = 15.0
"""Seconds of silence after which a comment keeps the connection open."""


def stream(plan: Plan, n: int, chunks: Chunks, *, with_usage: bool) -> EventSourceResponse:
    """Answer a planned search with a stream of `n` choices."""
    return EventSourceResponse(_events(plan, n, chunks, with_usage), ping=PING_S, sep="\n")


async def _events(plan: Plan, n: int, chunks: Chunks, with_usage: bool) -> AsyncGenerator[ServerSentEvent, None]:
    progress = Progress()
    search = asyncio.create_task(run(plan, progress))
    search.add_done_callback(lambda _: progress.close())
    try:
        for chunk in chunks.opening():
            yield _event(chunk)
        while (line := await progress.lines.get()) is not None:
            for chunk in chunks.progress(line):
                yield _event(chunk)
        if error := search.exception():
            yield ServerSentEvent(bytes(failure_response(error).body).decode(), sep="\n")
        else:
            for chunk in _answer(search.result(), n, chunks, with_usage):
                yield _event(chunk)
        yield ServerSentEvent("[DONE]", sep="\n")
    finally:
        search.cancel()


def _answer(outcome: Outcome, n: int, chunks: Chunks, with_usage: bool) -> Iterator[Chunk]:
    """Yield the choices, the evidence in the last chunk of the last, and the bill where it is asked for."""
    choices = choose(outcome.result, n)
    for index, candidate in enumerate(choices):
        yield from chunks.choice(index, candidate)
        is_last = index == len(choices) - 1
        evidence = {"search": outcome.evidence.model_dump(mode="json")} if is_last else {}
        yield chunks.end(index, candidate) | evidence
    if with_usage:
        yield chunks.bill(bill(outcome.evidence, choices))


def _event(chunk: Chunk) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(chunk), sep="\n")

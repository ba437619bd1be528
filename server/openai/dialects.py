"""How a route writes an answer that was searched for: in one piece, or as the events of a stream.

A route has a dialect: chats and completions share theirs but for a few words (`chunks.py`), `/v1/responses` has its own
(`responses.py`). Knows what a search found; knows nothing of how it is run or sent.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel
from sse_starlette import ServerSentEvent

from search.candidate import Candidate
from server.http.errors import ErrorReply
from server.openai.requests import OpenAIRequest
from server.schemas import SolveRequest
from server.solving.searching import Outcome

Chunk = dict[str, Any]
"""The data of an event."""

R = TypeVar("R", bound=OpenAIRequest)


class Dialect(ABC, Generic[R]):
    """Writes the answer to one request.

    Args:
        body: The request.
        search: What is searched for.
    """

    ends: ClassVar[tuple[ServerSentEvent, ...]] = (ServerSentEvent("[DONE]", sep="\n"),)
    """What every stream ends with."""

    def __init__(self, body: R, search: SolveRequest) -> None:
        self._body = body
        self._search = search

    @abstractmethod
    def reply(self, outcome: Outcome) -> BaseModel:
        """Return the whole answer."""

    def opening(self) -> Iterator[Chunk]:
        """Yield what comes while the search still runs."""
        yield from ()

    def progress(self, line: str) -> Iterator[Chunk]:
        """Yield a line of progress, if clients can tell it from the text."""
        yield from ()

    @abstractmethod
    def answer(self, outcome: Outcome) -> Iterator[Chunk]:
        """Yield the answer."""

    @classmethod
    def failure(cls, error: ErrorReply) -> Chunk:
        """Return what comes in place of an answer, also of the policy's own."""
        return error.whole.model_dump()

    @classmethod
    def event(cls, chunk: Chunk, number: int) -> ServerSentEvent:
        """Return a chunk as the event of a stream.

        Args:
            chunk: Its data.
            number: Of events before it.
        """
        return ServerSentEvent(json.dumps(chunk), sep="\n")


def pieces_of(candidate: Candidate) -> Iterator[str]:
    """Yield the steps of a response; behind thoughts, without the space that it begins with."""
    has_begun = not candidate.num_thoughts
    for step in candidate.steps[candidate.num_thoughts :]:
        text = step.text if has_begun else step.text.lstrip()
        has_begun = has_begun or bool(text)
        if text:
            yield text

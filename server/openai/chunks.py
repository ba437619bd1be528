"""OpenAI's chunks, of a chat and of a completion: what each part of a searched answer looks like in a stream."""

from collections.abc import Iterator
from typing import Any, Protocol

from search.candidate import Candidate
from server.openai.replies import OpenAIUsage, finish_reason, head

Chunk = dict[str, Any]


class Chunks(Protocol):
    """Makes the chunks of one reply."""

    def opening(self) -> Iterator[Chunk]:
        """Yield what comes first."""

    def progress(self, line: str) -> Iterator[Chunk]:
        """Yield a line of progress."""

    def choice(self, index: int, candidate: Candidate | None) -> Iterator[Chunk]:
        """Yield a response step by step."""

    def end(self, index: int, candidate: Candidate | None) -> Chunk:
        """Return how a response ended."""

    def bill(self, usage: OpenAIUsage) -> Chunk:
        """Return the bill, which belongs to no choice."""


class ChatChunks:
    """Chunks of a chat.

    Args:
        model: As the request names it.
    """

    def __init__(self, model: str) -> None:
        self._head = head(model, "chatcmpl") | {"object": "chat.completion.chunk"}

    def opening(self) -> Iterator[Chunk]:
        """Yield what comes first."""
        yield self._chunk(0, {"role": "assistant", "content": ""})

    def progress(self, line: str) -> Iterator[Chunk]:
        """Yield a line of progress, where clients look for reasoning."""
        yield self._chunk(0, {"reasoning_content": line})

    def choice(self, index: int, candidate: Candidate | None) -> Iterator[Chunk]:
        """Yield a response step by step."""
        if index:
            yield self._chunk(index, {"role": "assistant", "content": ""})
        for step in candidate.steps if candidate else ():
            if step.text:
                yield self._chunk(index, {"content": step.text})

    def end(self, index: int, candidate: Candidate | None) -> Chunk:
        """Return how a response ended."""
        return self._chunk(index, {}, finish_reason(candidate))

    def bill(self, usage: OpenAIUsage) -> Chunk:
        """Return the bill, which belongs to no choice."""
        return self._head | {"choices": [], "usage": usage.model_dump()}

    def _chunk(self, index: int, delta: dict[str, str], reason: str | None = None) -> Chunk:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self._head | {"choices": [choice]}


class CompletionChunks:
    """Chunks of a completion.

    Args:
        model: As the request names it.
    """

    def __init__(self, model: str) -> None:
        self._head = head(model, "cmpl") | {"object": "text_completion"}

    def opening(self) -> Iterator[Chunk]:
        """Yield nothing: the text comes first."""
        yield from ()

    def progress(self, line: str) -> Iterator[Chunk]:
        """Yield nothing: a client would take it for the text."""
        yield from ()

    def choice(self, index: int, candidate: Candidate | None) -> Iterator[Chunk]:
        """Yield a response step by step."""
        for step in candidate.steps if candidate else ():
            if step.text:
                yield self._chunk(index, step.text)

    def end(self, index: int, candidate: Candidate | None) -> Chunk:
        """Return how a response ended."""
        return self._chunk(index, "", finish_reason(candidate))

    def bill(self, usage: OpenAIUsage) -> Chunk:
        """Return the bill, which belongs to no choice."""
        return self._head | {"choices": [], "usage": usage.model_dump()}

    def _chunk(self, index: int, text: str, reason: str | None = None) -> Chunk:
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
        return self._head | {"choices": [choice]}

"""OpenAI's chunks, of a chat and of a completion: what each part of a searched answer looks like in a stream."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from search.candidate import Candidate
from server.openai.replies import OpenAIUsage, finish_reason, head

Chunk = dict[str, Any]


class Chunks(ABC):
    """Makes the chunks of one reply.

    Args:
        head: What every chunk begins with.
    """

    def __init__(self, head: Chunk) -> None:
        self._head = head

    def opening(self, index: int) -> Iterator[Chunk]:
        """Yield what comes before the text of a choice."""
        yield from ()

    def progress(self, line: str) -> Iterator[Chunk]:
        """Yield a line of progress, if clients can tell it from the text."""
        yield from ()

    def thoughts(self, index: int, candidate: Candidate | None) -> Iterator[Chunk]:
        """Yield the thoughts before a response, if clients can tell them from the text."""
        yield from ()

    def text(self, index: int, candidate: Candidate | None) -> Iterator[Chunk]:
        """Yield a response step by step."""
        if candidate is None:
            return
        pieces = [step.text for step in candidate.steps[candidate.num_thoughts :]]
        for text in without_lead(pieces) if candidate.num_thoughts else pieces:
            if text:
                yield self._chunk(index, self._part(text))

    def end(self, index: int, candidate: Candidate | None) -> Chunk:
        """Return how a response ended."""
        return self._chunk(index, self._part(""), finish_reason(candidate))

    def bill(self, usage: OpenAIUsage) -> Chunk:
        """Return the bill, which belongs to no choice."""
        return self._head | {"choices": [], "usage": usage.model_dump()}

    @abstractmethod
    def _part(self, text: str) -> dict[str, Any]: ...

    def _chunk(self, index: int, part: dict[str, Any], reason: str | None = None) -> Chunk:
        return self._head | {"choices": [{"index": index, **part, "logprobs": None, "finish_reason": reason}]}


def without_lead(pieces: Sequence[str]) -> Iterator[str]:
    """Yield the pieces of a text without the space that it begins with."""
    has_begun = False
    for piece in pieces:
        text = piece if has_begun else piece.lstrip()
        has_begun = has_begun or bool(text)
        yield text


class ChatChunks(Chunks):
    def __init__(self, model: str) -> None:
        super().__init__(head(model, "chatcmpl") | {"object": "chat.completion.chunk"})

    def opening(self, index: int) -> Iterator[Chunk]:
        yield self._chunk(index, {"delta": {"role": "assistant", "content": ""}})

    def progress(self, line: str) -> Iterator[Chunk]:
        yield self._chunk(0, {"delta": {"reasoning_content": line}})

    def thoughts(self, index: int, candidate: Candidate | None) -> Iterator[Chunk]:
        if candidate is not None and (thinking := candidate.thinking):
            yield self._chunk(index, {"delta": {"reasoning": thinking, "reasoning_content": thinking}})

    def _part(self, text: str) -> dict[str, Any]:
        return {"delta": {"content": text} if text else {}}


class CompletionChunks(Chunks):
    def __init__(self, model: str) -> None:
        super().__init__(head(model, "cmpl") | {"object": "text_completion"})

    def _part(self, text: str) -> dict[str, Any]:
        return {"text": text}

"""How a searched answer is written for clients of chats and completions: choices, or chunks of them."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, TypeVar

from search.candidate import Candidate
from server.openai.calls import Said, say
from server.openai.dialects import Chunk, Dialect, pieces_of
from server.openai.replies import (
    ChatReply,
    CompletionReply,
    OpenAIUsage,
    bill,
    chat_reply,
    choose,
    completion_reply,
    head,
)
from server.openai.requests import ChatRequest, CompletionRequest
from server.schemas import SolveRequest
from server.solving.searching import Outcome

R = TypeVar("R", bound=ChatRequest | CompletionRequest)


class Chunks(Dialect[R]):
    """The dialect of choices.

    Args:
        body: The request.
        search: What is searched for.
        head: What every chunk begins with.
    """

    def __init__(self, body: R, search: SolveRequest, head: Chunk) -> None:
        super().__init__(body, search)
        self._head = head

    def opening(self) -> Iterator[Chunk]:
        yield from self._begin(0)

    def answer(self, outcome: Outcome) -> Iterator[Chunk]:
        """Yield the choices, the evidence in the last chunk, and the bill if requested."""
        choices = self._choose(outcome)
        for index, candidate in enumerate(choices):
            if index:
                yield from self._begin(index)
            yield from self._thoughts(index, candidate)
            said = say(candidate, outcome.form)
            yield from self._text(index, candidate, said)
            is_last = index == len(choices) - 1
            evidence = {"search": outcome.reply.model_dump(mode="json")} if is_last else {}
            yield self._chunk(index, self._part(""), said.finish_reason) | evidence
        if self._body.wants_usage:
            yield self._bill(bill(outcome.reply, choices))

    def _choose(self, outcome: Outcome) -> list[Candidate | None]:
        return choose(outcome.result, self._body.num_choices)

    def _begin(self, index: int) -> Iterator[Chunk]:
        """Yield what comes before the text of a choice."""
        yield from ()

    def _thoughts(self, index: int, candidate: Candidate | None) -> Iterator[Chunk]:
        """Yield the thoughts before a response, if clients can tell them from the text."""
        yield from ()

    def _text(self, index: int, candidate: Candidate | None, said: Said) -> Iterator[Chunk]:
        """Yield a response step by step."""
        for text in pieces_of(candidate) if candidate and said.content is not None else ():
            yield self._chunk(index, self._part(text))

    def _bill(self, usage: OpenAIUsage) -> Chunk:
        """Return the bill, which belongs to no choice."""
        return self._head | {"choices": [], "usage": usage.model_dump()}

    @abstractmethod
    def _part(self, text: str) -> dict[str, Any]: ...

    def _chunk(self, index: int, part: dict[str, Any], reason: str | None = None) -> Chunk:
        return self._head | {"choices": [{"index": index, **part, "logprobs": None, "finish_reason": reason}]}


class ChatChunks(Chunks[ChatRequest]):
    def __init__(self, body: ChatRequest, search: SolveRequest) -> None:
        super().__init__(body, search, head(body.model, "chatcmpl") | {"object": "chat.completion.chunk"})

    def reply(self, outcome: Outcome) -> ChatReply:
        return chat_reply(self._body.model, outcome.reply, self._choose(outcome), outcome.form)

    def progress(self, line: str) -> Iterator[Chunk]:
        yield self._chunk(0, {"delta": {"reasoning_content": line}})

    def _begin(self, index: int) -> Iterator[Chunk]:
        makes_calls = self._search.tools and self._search.tool_choice != "none"
        yield self._chunk(index, {"delta": {"role": "assistant", "content": None if makes_calls else ""}})

    def _thoughts(self, index: int, candidate: Candidate | None) -> Iterator[Chunk]:
        if candidate is not None and (thinking := candidate.thinking):
            yield self._chunk(index, {"delta": {"reasoning": thinking, "reasoning_content": thinking}})

    def _text(self, index: int, candidate: Candidate | None, said: Said) -> Iterator[Chunk]:
        for place, call in enumerate(said.calls):
            whole = call.model_dump()
            begun = whole | {"function": whole["function"] | {"arguments": ""}}
            rest = {"function": {"arguments": call.function.arguments}}
            for part in (begun, rest):
                yield self._chunk(index, {"delta": {"tool_calls": [{"index": place, **part}]}})
        yield from super()._text(index, candidate, said)

    def _part(self, text: str) -> dict[str, Any]:
        return {"delta": {"content": text} if text else {}}


class CompletionChunks(Chunks[CompletionRequest]):
    def __init__(self, body: CompletionRequest, search: SolveRequest) -> None:
        super().__init__(body, search, head(body.model, "cmpl") | {"object": "text_completion"})

    def reply(self, outcome: Outcome) -> CompletionReply:
        return completion_reply(self._body.model, outcome.reply, self._choose(outcome), outcome.form)

    def _part(self, text: str) -> dict[str, Any]:
        return {"text": text}

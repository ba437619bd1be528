"""How a searched answer is written for clients of `/v1/responses`: an output of thoughts and message, or its events.

Source: OpenAI's API reference, "The Response object" and "Streaming events". Beyond the source: `search`, the evidence.
"""

import json
import time
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from asgi_correlation_id import correlation_id
from pydantic import BaseModel, Field
from sse_starlette import ServerSentEvent

from search.candidate import Candidate
from server.http.errors import ErrorReply
from server.openai.calls import say
from server.openai.dialects import Chunk, Dialect, pieces_of
from server.openai.items import ReasoningOptions, ResponseRequest
from server.openai.replies import bill
from server.schemas import SolveRequest, SolveResponse
from server.solving.forms import Form
from server.solving.searching import Outcome

Status = Literal["in_progress", "completed", "incomplete"]


class OutputText(BaseModel):
    """The text of a message."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[Any] = []
    logprobs: list[Any] = []


class OutputMessage(BaseModel):
    """The response of a policy."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    status: Status
    content: list[OutputText]


class ReasoningText(BaseModel):
    """The text of thoughts."""

    type: Literal["reasoning_text"] = "reasoning_text"
    text: str


class OutputReasoning(BaseModel):
    """The thoughts before a response."""

    id: str
    type: Literal["reasoning"] = "reasoning"
    summary: list[Any] = []
    content: list[ReasoningText]
    status: Status


class InputDetails(BaseModel):
    """How much of the input came from a cache; 0 where nobody counts."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputDetails(BaseModel):
    """Generated tokens that are not in the output."""

    reasoning_tokens: int


class ResponseUsage(BaseModel):
    """Tokens of all candidates, including pruned and stopped ones."""

    input_tokens: int
    input_tokens_details: InputDetails = InputDetails()
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class Incomplete(BaseModel):
    """Why an output is cut off: by a limit of tokens or of time, for which there is one word."""

    reason: Literal["max_output_tokens"] = "max_output_tokens"


class OutputCall(BaseModel):
    """A call that the client is asked to make."""

    id: str
    type: Literal["function_call"] = "function_call"
    call_id: str
    name: str
    arguments: str
    status: Status = "completed"


Output = OutputReasoning | OutputMessage | OutputCall


class TextShown(BaseModel):
    """What the text was asked to look like."""

    format: dict[str, Any] = {"type": "text"}


class ResponseReply(BaseModel):
    """The reply to an input. The policy's own comes from vLLM and holds more; `search` is null there."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Status
    background: Literal[False] = False
    error: None = None
    incomplete_details: Incomplete | None = None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, str] | None
    model: str
    output: list[Output] = Field(
        description="One message, or calls, behind the thoughts if there are any; nothing if the deadline left nothing."
    )
    parallel_tool_calls: bool = True
    previous_response_id: None = None
    reasoning: ReasoningOptions | None
    service_tier: Literal["default"] = "default"
    store: Literal[False] = False
    temperature: float | None
    text: TextShown = TextShown()
    tool_choice: str | dict[str, Any] = "none"
    tools: list[Any] = []
    top_p: float | None
    truncation: Literal["disabled"] = "disabled"
    usage: ResponseUsage | None = None
    user: str | None
    search: SolveResponse | None = Field(None, description="The reply of `POST /solve`; null without a search.")


class ResponseEvents(Dialect[ResponseRequest]):
    """The dialect of responses: every event says what it is, and is numbered."""

    ends: ClassVar[tuple[ServerSentEvent, ...]] = ()

    def __init__(self, body: ResponseRequest, search: SolveRequest) -> None:
        super().__init__(body, search)
        self._id = correlation_id.get() or ""
        self._created_at = int(time.time())

    def reply(self, outcome: Outcome) -> ResponseReply:
        chosen = outcome.result.chosen
        usage, status = bill(outcome.reply, [chosen]), _status(chosen)
        return self._response(
            status=status,
            incomplete_details=Incomplete() if status == "incomplete" else None,
            output=self._output(chosen, outcome.form) if chosen else [],
            usage=ResponseUsage(
                input_tokens=usage.prompt_tokens,
                output_tokens=usage.completion_tokens,
                output_tokens_details=OutputDetails(reasoning_tokens=usage.reasoning_tokens),
                total_tokens=usage.total_tokens,
            ),
            search=outcome.reply,
        )

    def opening(self) -> Iterator[Chunk]:
        begun = self._response(status="in_progress", output=[]).model_dump(mode="json")
        yield {"type": "response.created", "response": begun}
        yield {"type": "response.in_progress", "response": begun}

    def answer(self, outcome: Outcome) -> Iterator[Chunk]:
        """Yield the message step by step, then the whole reply."""
        if chosen := outcome.result.chosen:
            yield from self._grow(chosen, outcome.form)
        reply = self.reply(outcome)
        yield {"type": f"response.{reply.status}", "response": reply.model_dump(mode="json")}

    @classmethod
    def failure(cls, error: ErrorReply) -> Chunk:
        """Return the event "error", which also holds what clients raise."""
        whole = super().failure(error)
        return {"type": "error", **{name: whole["error"][name] for name in ("code", "message", "param")}, **whole}

    @classmethod
    def event(cls, chunk: Chunk, number: int) -> ServerSentEvent:
        return ServerSentEvent(json.dumps(chunk | {"sequence_number": number}), event=chunk["type"], sep="\n")

    def _grow(self, candidate: Candidate, form: Form | None) -> Iterator[Chunk]:
        for index, item in enumerate(self._output(candidate, form)):
            place = {"output_index": index}
            part = place | {"item_id": item.id, "content_index": 0}
            empty: Chunk = {"arguments": ""} if isinstance(item, OutputCall) else {"content": []}
            begun = item.model_dump() | {"status": "in_progress"} | empty
            yield {"type": "response.output_item.added", "item": begun} | place
            match item:
                case OutputReasoning():
                    yield from self._think(item, part)
                case OutputMessage():
                    yield from self._speak(candidate, item, part)
                case OutputCall():
                    yield from self._call(item, place | {"item_id": item.id})
            yield {"type": "response.output_item.done", "item": item.model_dump()} | place

    def _think(self, item: OutputReasoning, part: Chunk) -> Iterator[Chunk]:
        yield {"type": "response.reasoning_text.delta", "delta": item.content[0].text} | part
        yield {"type": "response.reasoning_text.done", "text": item.content[0].text} | part

    def _speak(self, candidate: Candidate, item: OutputMessage, part: Chunk) -> Iterator[Chunk]:
        text = item.content[0].model_dump()
        yield {"type": "response.content_part.added", "part": text | {"text": ""}} | part
        for piece in pieces_of(candidate):
            yield {"type": "response.output_text.delta", "delta": piece, "logprobs": []} | part
        yield {"type": "response.output_text.done", "text": text["text"], "logprobs": []} | part
        yield {"type": "response.content_part.done", "part": text} | part

    def _call(self, item: OutputCall, place: Chunk) -> Iterator[Chunk]:
        said = {"arguments": item.arguments, "name": item.name}
        yield {"type": "response.function_call_arguments.delta", "delta": item.arguments} | place
        yield {"type": "response.function_call_arguments.done"} | said | place

    def _output(self, candidate: Candidate, form: Form | None) -> list[Output]:
        output: list[Output] = []
        if thinking := candidate.thinking:
            thoughts = [ReasoningText(text=thinking)]
            output.append(OutputReasoning(id=f"rs_{self._id}", status="completed", content=thoughts))
        said = say(candidate, form)
        if said.content is not None:
            content = [OutputText(text=said.content)]
            output.append(OutputMessage(id=f"msg_{self._id}", status=_status(candidate), content=content))
        for index, call in enumerate(said.calls):
            named = {"name": call.function.name, "arguments": call.function.arguments}
            output.append(OutputCall(id=f"fc_{self._id}_{index}", call_id=call.id, **named))
        return output

    def _response(self, **fields: Any) -> ResponseReply:
        return ResponseReply(
            id=f"resp_{self._id}",
            created_at=self._created_at,
            instructions=self._body.instructions,
            max_output_tokens=self._body.max_output_tokens,
            metadata=self._body.metadata,
            model=self._body.model,
            reasoning=self._body.reasoning,
            temperature=self._search.temperature,
            top_p=self._search.top_p,
            user=self._body.user,
            **_shown_form(self._body),
            **fields,
        )


def _shown_form(body: ResponseRequest) -> dict[str, Any]:
    """Return what was asked for, as it was."""
    beyond = {name: value for name, value in body.beyond.items() if value is not None}
    shown = {name: beyond[name] for name in ("tools", "tool_choice", "parallel_tool_calls") if name in beyond}
    return shown | ({"text": TextShown(format=beyond["text.format"])} if "text.format" in beyond else {})


def _status(candidate: Candidate | None) -> Status:
    return "completed" if candidate is not None and candidate.is_complete else "incomplete"

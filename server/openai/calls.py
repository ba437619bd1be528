"""What a searched response says where a form was asked for: the calls that it makes, or its content.

What keeps to no form is not passed on as content, unless a limit cut it off, which the finish reason says.
"""

from dataclasses import dataclass

from asgi_correlation_id import correlation_id
from pydantic import BaseModel

from search.answers.documents import compact
from search.answers.structured import CallReader
from search.candidate import Candidate
from server.solving.forms import Form
from server.solving.replies import name_of


class FunctionCall(BaseModel):
    """A function, and its arguments as JSON."""

    name: str
    arguments: str


class ToolCall(BaseModel):
    """A call that the client is asked to make."""

    id: str
    type: str = "function"
    function: FunctionCall


@dataclass(frozen=True, slots=True)
class Said:
    """What a choice says.

    Attributes:
        content: Its text; None of one that makes calls, keeps to no form, or was never begun.
        calls: That it makes.
        finish_reason: In OpenAI's words: "length" for a response cut off by a limit of tokens or time.
    """

    content: str | None
    calls: tuple[ToolCall, ...]
    finish_reason: str


def say(candidate: Candidate | None, form: Form | None) -> Said:
    """Return what a candidate says; one that is not complete says its text so far."""
    if candidate is None:
        return Said(None, (), "length")
    if form is None or not candidate.is_complete:
        return Said(candidate.response, (), "stop" if candidate.is_complete else "length")
    if candidate.answer is None:
        return Said(None, (), "stop")
    if isinstance(form.reader, CallReader):
        return Said(None, _calls(candidate, form.reader), "tool_calls")
    return Said(candidate.response, (), "stop")


def _calls(candidate: Candidate, reader: CallReader) -> tuple[ToolCall, ...]:
    named = f"call_{correlation_id.get() or ''}_{name_of(candidate.path)}"
    return tuple(
        ToolCall(id=f"{named}_{index}", function=FunctionCall(name=call.name, arguments=compact(call.arguments)))
        for index, call in enumerate(reader.calls(candidate.response))
    )

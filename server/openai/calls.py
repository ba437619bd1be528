"""What a searched response says where a form was asked for: the calls that it makes, or its content.

What keeps to no form is not passed on as content, unless a limit cut it off, which the finish reason says.
"""

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


def calls_of(candidate: Candidate | None, form: Form | None) -> list[ToolCall]:
    """Return the calls of a complete response; none of one that says something, or whose calls cannot be read."""
    if candidate is None or candidate.answer is None or form is None or not isinstance(form.reader, CallReader):
        return []
    named = f"call_{correlation_id.get() or ''}_{name_of(candidate.path)}"
    return [
        ToolCall(id=f"{named}_{index}", function=FunctionCall(name=call.name, arguments=compact(call.arguments)))
        for index, call in enumerate(form.reader.calls(candidate.response))
    ]


def content_of(candidate: Candidate | None, form: Form | None) -> str | None:
    """Return the text of a response; None of one that makes calls, or keeps to no form."""
    if candidate is None or calls_of(candidate, form):
        return None
    is_formless = form is not None and candidate.is_complete and candidate.answer is None
    return None if is_formless else candidate.response


def finish_reason(candidate: Candidate | None, form: Form | None = None) -> str:
    """Return OpenAI's finish reason: "length" for a response cut off by a limit of tokens or time."""
    if calls_of(candidate, form):
        return "tool_calls"
    return "stop" if candidate is not None and candidate.is_complete else "length"

"""What OpenAI's clients send. The fields that both a search and the policy itself read are checked here.

Everything else that a client sends reaches vLLM's own handler, which checks it, within bounds
(`server/openai/plain.py`), or is refused by name where a search is asked for (`server/openai/planning.py`).
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from models.json_values import find_flaw
from server.errors import RequestError
from server.schemas import (
    MAX_DEADLINE_S,
    MAX_PROBLEM_CHARS,
    MAX_TOKENS,
    Asked,
    Count,
    Evidence,
    Real,
    SearchIn,
    Wire,
    whole,
)

MAX_CHOICES = 128
MAX_MESSAGES = 1024
MAX_PROMPTS = 256
MAX_STOPS = 16
MAX_NAME_CHARS = 256

Content = Annotated[str, StringConstraints(max_length=MAX_PROBLEM_CHARS)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_CHARS)]
TokenId = Annotated[int, Field(strict=True, ge=0), BeforeValidator(whole)]
TokenIds = Annotated[list[TokenId], Field(max_length=MAX_TOKENS)]


class SearchOptions(SearchIn):
    """Asks for a search, and says how; `{}` takes all defaults of `POST /solve`."""

    include: Evidence = Field(default_factory=set, description="Evidence to return beside the votes.")


class StreamOptions(Wire):
    """What a stream says beside the text."""

    include_usage: bool = Field(False, strict=True, description="A last chunk with the bill.")
    continuous_usage_stats: bool = Field(False, strict=True, description="The bill in every chunk; without a search.")


class TextPart(Wire):
    """A part of a message."""

    type: Literal["text"]
    text: Content


def _check_content(content: Any) -> Any:
    """Images and sounds are not read, and no address that a client names is ever fetched."""
    for part in content if isinstance(content, list) else ():
        kind = part.get("type") if isinstance(part, dict) else part
        if kind != "text":
            raise PydanticCustomError("part_type", "{kind} parts are not served; allowed: text", {"kind": ascii(kind)})
    if not isinstance(content, str | list | None):
        raise PydanticCustomError("content_type", "cannot be read; allowed: text or a list of text parts")
    return content


def _check_stop(stop: Any) -> Any:
    if isinstance(stop, str | None) or (isinstance(stop, list) and all(isinstance(text, str) for text in stop)):
        return stop
    raise PydanticCustomError("stop_type", "cannot be read; allowed: text or a list of texts")


Parts = Annotated[list[TextPart], Field(max_length=MAX_MESSAGES)]


class MessageIn(BaseModel):
    """A message of a chat."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[Content | Parts | None, BeforeValidator(_check_content)] = None

    @property
    def text(self) -> str | None:
        """The text of all parts, a line each, as vLLM puts them into a prompt."""
        return "\n".join(part.text for part in self.content) if isinstance(self.content, list) else self.content


class OpenAIRequest(Asked):
    """What chats and completions have in common."""

    model_config = ConfigDict(extra="allow")

    model: Name = Field(description="The policy, or `<policy>@<strategy>-<N>` for a search.")
    search: SearchOptions | None = Field(None, description="Search, and how; null leaves it to the model's name.")
    n: Count | None = Field(None, ge=1, le=MAX_CHOICES, description="Choices; of a search, the n best answers.")
    max_tokens: Count | None = Field(None, ge=1, le=MAX_TOKENS, description="Longest response, in tokens.")
    temperature: Real | None = Field(None, ge=0, le=2)
    top_p: Real | None = Field(None, gt=0, le=1)
    seed: Count | None = Field(None, ge=-(2**63), le=2**63 - 1, description="Of a search: at least 0.")
    stop: Annotated[
        Content | Annotated[list[Content], Field(max_length=MAX_STOPS)] | None, BeforeValidator(_check_stop)
    ] = None
    stream: bool | None = Field(None, strict=True)
    stream_options: StreamOptions | None = None
    deadline_s: Real | None = Field(
        None, gt=0, le=MAX_DEADLINE_S, description="Seconds after which a response ends; of a search, the best so far."
    )
    user: Content | None = Field(None, description="Accepted and not read.")
    metadata: dict[str, Content] | None = Field(None, description="Accepted and not read.")
    store: bool | None = Field(None, strict=True, description="Nothing is stored: true is refused.")

    @model_validator(mode="before")
    @classmethod
    def _require_json(cls, fields: Any) -> Any:
        """Fields that are not known here go on to the engine: they must be what JSON allows."""
        if isinstance(fields, dict) and (flaw := find_flaw(fields)):
            where = flaw.where or "body"
            raise RequestError(f"{where}: {flaw.what}", where)
        return fields


class ChatRequest(OpenAIRequest):
    """A chat to go on with."""

    messages: list[MessageIn] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_completion_tokens: Count | None = Field(None, ge=1, le=MAX_TOKENS, description="`max_tokens` by another name.")


class CompletionRequest(OpenAIRequest):
    """A text to go on with, or the problem of a search."""

    prompt: (
        Content
        | Annotated[list[Content], Field(min_length=1, max_length=MAX_PROMPTS)]
        | TokenIds
        | Annotated[list[TokenIds], Field(min_length=1, max_length=MAX_PROMPTS)]
    )

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
    """Requests a search; `{}` takes all defaults of `POST /solve`."""

    include: Evidence = Field(default_factory=set, description="Evidence to return beside the votes.")


class StreamOptions(Wire):
    """What a stream contains besides the text."""

    include_usage: bool = Field(False, strict=True, description="Send a last chunk with the usage.")
    continuous_usage_stats: bool = Field(
        False, strict=True, description="Send the usage in every chunk; not supported when searching."
    )


class TextPart(Wire):
    """A part of a message."""

    type: Literal["text"]
    text: Content


def _check_content(content: Any) -> Any:
    """Refuse images and sounds; no address that a client names is ever fetched."""
    for part in content if isinstance(content, list) else ():
        kind = part.get("type") if isinstance(part, dict) else part
        if kind != "text":
            raise PydanticCustomError("part_type", "{kind} parts are not supported; send text", {"kind": ascii(kind)})
    if not isinstance(content, str | list | None):
        raise PydanticCustomError("content_type", "must be text or a list of text parts")
    return content


def _check_stop(stop: Any) -> Any:
    if isinstance(stop, str | None) or (isinstance(stop, list) and all(isinstance(text, str) for text in stop)):
        return stop
    raise PydanticCustomError("stop_type", "must be text or a list of texts")


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
    search: SearchOptions | None = Field(
        None, description="Options of a search; null leaves it to the name of the model."
    )
    n: Count | None = Field(
        None, ge=1, le=MAX_CHOICES, description="Number of choices; when searching, the n best answers."
    )
    max_tokens: Count | None = Field(None, ge=1, le=MAX_TOKENS, description="Longest response, in tokens.")
    temperature: Real | None = Field(None, ge=0, le=2)
    top_p: Real | None = Field(None, gt=0, le=1)
    seed: Count | None = Field(None, ge=-(2**63), le=2**63 - 1, description="At least 0 when searching.")
    thinking_budget: Count | None = Field(
        None, ge=0, le=MAX_TOKENS, description="Tokens of thoughts in a response; then the answer has to follow."
    )
    stop: Annotated[
        Content | Annotated[list[Content], Field(max_length=MAX_STOPS)] | None, BeforeValidator(_check_stop)
    ] = None
    stream: bool | None = Field(None, strict=True)
    stream_options: StreamOptions | None = None
    deadline_s: Real | None = Field(
        None,
        gt=0,
        le=MAX_DEADLINE_S,
        description="Seconds after which the response ends; a search returns its best so far.",
    )
    user: Content | None = Field(None, description="Accepted and ignored.")
    metadata: dict[str, Content] | None = Field(None, description="Accepted and ignored.")
    store: bool | None = Field(None, strict=True, description="Nothing is stored; true is refused.")

    @model_validator(mode="before")
    @classmethod
    def _require_json(cls, fields: Any) -> Any:
        """Unknown fields are passed to the engine, so they must be valid JSON."""
        if isinstance(fields, dict) and (flaw := find_flaw(fields)):
            where = flaw.where or "body"
            raise RequestError(f"{where}: {flaw.what}", where)
        return fields


class ChatRequest(OpenAIRequest):
    """A chat to continue."""

    messages: list[MessageIn] = Field(min_length=1, max_length=MAX_MESSAGES)
    reasoning_effort: Name | None = Field(None, description="How much to think, for chat templates that read it.")
    chat_template_kwargs: dict[str, Any] | None = Field(
        None, description="Arguments of the policy's chat template; of searches, those that the recipe allows."
    )
    max_completion_tokens: Count | None = Field(None, ge=1, le=MAX_TOKENS, description="`max_tokens` by another name.")


class CompletionRequest(OpenAIRequest):
    """A text to continue, or the problem of a search."""

    prompt: (
        Content
        | Annotated[list[Content], Field(min_length=1, max_length=MAX_PROMPTS)]
        | TokenIds
        | Annotated[list[TokenIds], Field(min_length=1, max_length=MAX_PROMPTS)]
    )

"""What OpenAI's clients send. The fields that both a search and the policy itself read are checked here.

Everything else that a client sends reaches vLLM's own handler, which checks it, within bounds
(`server/openai/plain.py`), or is refused by name where a search is asked for (`server/openai/planning.py`).
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from models.json_values import find_flaw
from server.errors import RequestError
from server.openai.neutral import UNKEPT, UNSEARCHED_CHATS, UNSEARCHED_COMPLETIONS, Table
from server.schemas import (
    MAX_DEADLINE_S,
    MAX_FIELDS,
    MAX_PROBLEM_CHARS,
    MAX_TOKENS,
    Asked,
    Count,
    Evidence,
    Real,
    SearchIn,
    require_few,
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
TokenIds = Annotated[list[TokenId], Field(max_length=MAX_TOKENS, fail_fast=True)]
"""The first that is none is told alone: a hundred thousand errors take seconds."""


class SearchOptions(SearchIn):
    """Requests a search; `{}` takes all defaults of `POST /solve`."""

    include: Evidence = Field(default_factory=set, description="Evidence to return beside the votes.")


class StreamOptions(Asked):
    """What a stream contains besides the text."""

    include_obfuscation: Literal[False] | None = Field(None, description="Nothing is added to hide lengths.")


class ChunkOptions(StreamOptions):
    """What a stream of chunks contains besides the text."""

    include_usage: bool | None = Field(None, strict=True, description="Send a last chunk with the usage.")
    continuous_usage_stats: bool | None = Field(
        None, strict=True, description="Send the usage in every chunk; not supported when searching."
    )


class TextPart(Asked):
    """A part of a message."""

    type: Literal["text"]
    text: Content


PARTS: Mapping[str, str] = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
    "summary_text": "text",
}
"""By the type of a part, the field that holds its text."""
UNREAD_OF_PARTS = frozenset({"annotations", "cache_control", "logprobs", "prompt_cache_breakpoint"})
"""Hints to a cache, and what our own replies say beside the text."""


def read_content(content: Any) -> Any:
    """Make parts of one type of all that hold text; no address that a client names is ever fetched."""
    if isinstance(content, list):
        return [_read_part(part) for part in content]
    if not isinstance(content, str | None):
        raise PydanticCustomError("content_type", "must be text or a list of text parts")
    return content


def _read_part(part: Any) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else part
    if not isinstance(part, dict) or not isinstance(kind, str) or kind not in PARTS:
        raise PydanticCustomError("part_type", "{kind} parts are not supported; send text", {"kind": ascii(kind)})
    others = {name: value for name, value in part.items() if name not in {"type", PARTS[kind], *UNREAD_OF_PARTS}}
    return {"type": "text", "text": part.get(PARTS[kind])} | {k: v for k, v in others.items() if v is not None}


def _read_stop(stop: Any) -> Any:
    texts = stop if isinstance(stop, list) else [stop]
    if stop is not None and not all(isinstance(text, str) for text in texts):
        raise PydanticCustomError("stop_type", "must be text or a list of texts")
    if len(texts) > MAX_STOPS:
        many = {"number": f"{len(texts):,}", "most": MAX_STOPS}
        raise PydanticCustomError("too_many", "{number} texts; allowed: at most {most}", many)
    return stop


Parts = Annotated[list[TextPart], Field(max_length=MAX_MESSAGES)]
ContentIn = Annotated[Content | Parts | None, BeforeValidator(read_content)]


def text_of(content: str | list[TextPart] | None) -> str | None:
    """Return the text of all parts, a line each, as vLLM puts them into a prompt."""
    return "\n".join(part.text for part in content) if isinstance(content, list) else content


class CalledFunction(BaseModel):
    """Which function an assistant called, and how."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, StringConstraints(max_length=MAX_NAME_CHARS)]
    arguments: str


class ToolCallIn(BaseModel):
    """A call of an earlier turn."""

    model_config = ConfigDict(extra="allow")

    id: Annotated[str, StringConstraints(max_length=MAX_NAME_CHARS)]
    type: Literal["function"] = "function"
    function: CalledFunction


class MessageIn(BaseModel):
    """A message of a chat."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: ContentIn = None
    name: Annotated[str, StringConstraints(max_length=MAX_NAME_CHARS)] | None = Field(
        None, description="Of the speaker; for templates that show it, not read when searching."
    )
    tool_calls: Annotated[list[ToolCallIn], Field(max_length=MAX_MESSAGES)] | None = Field(
        None, description="Of an assistant; not supported when searching."
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nothing(cls, message: Any) -> Any:
        """Drop nulls and empty lists; an assistant's turn without content and calls is empty."""
        if not isinstance(message, dict):
            return message
        said = {name: value for name, value in message.items() if value not in (None, [], {})}
        is_empty = message.get("role") == "assistant" and not said.keys() & {"content", "tool_calls"}
        return said | {"content": ""} if is_empty else said

    @model_validator(mode="after")
    def _require_content(self) -> "MessageIn":
        if self.content is None and self.role != "assistant":
            raise PydanticCustomError("no_content", "the content of a {role} message is missing", {"role": self.role})
        if "function_call" in (self.model_extra or {}):
            raise PydanticCustomError("old_call", "function_call is not supported; use tool_calls")
        return self

    @property
    def text(self) -> str | None:
        return text_of(self.content)


class OpenAIRequest(Asked):
    """What the requests of all routes have in common."""

    model_config = ConfigDict(extra="allow")

    problem_field: ClassVar[str]
    """What holds the problem of a search."""
    unkept: ClassVar[Table] = UNKEPT
    unsearched: ClassVar[Table]
    echoed: ClassVar[frozenset[str]] = frozenset()
    """Unread fields that the reply repeats."""
    formed: ClassVar[frozenset[str]] = frozenset({"response_format"})
    """Unchecked fields that a search reads: what responses must look like."""

    model: Name = Field(description="The policy, or `<policy>@<strategy>-<N>` for a search.")
    search: SearchOptions | None = Field(
        None, description="Options of a search; null leaves it to the name of the model."
    )
    temperature: Real | None = Field(None, ge=0, le=2)
    top_p: Real | None = Field(None, gt=0, le=1)
    seed: Count | None = Field(None, ge=-(2**63), le=2**63 - 1, description="At least 0 when searching.")
    thinking_budget: Count | None = Field(
        None, ge=0, le=MAX_TOKENS, description="Tokens of thoughts in a response; then the answer has to follow."
    )
    stop: Annotated[str | Annotated[list[str], Field(max_length=MAX_STOPS)] | None, BeforeValidator(_read_stop)] = None
    stream: bool | None = Field(None, strict=True)
    deadline_s: Real | None = Field(
        None,
        gt=0,
        le=MAX_DEADLINE_S,
        description="Seconds after which the response ends; a search returns its best so far.",
    )
    user: Content | None = Field(None, description="Not read.")
    metadata: Annotated[
        dict[str, Content] | None, BeforeValidator(lambda value: require_few(value, MAX_FIELDS, "entries"))
    ] = Field(None, description="Not read.")
    store: bool | None = Field(None, strict=True, description="Nothing is stored; true is refused.")

    @model_validator(mode="before")
    @classmethod
    def _require_json(cls, fields: Any) -> Any:
        """Unknown fields are passed to the engine, so they must be valid JSON."""
        if isinstance(fields, dict) and (flaw := find_flaw(fields)):
            where = flaw.where or "body"
            raise RequestError(f"{where}: {flaw.what}", where)
        return fields

    @property
    def num_choices(self) -> int:
        return 1

    @property
    @abstractmethod
    def length(self) -> tuple[str, int | None]:
        """The field that limits the response, and its value.

        Raises:
            RequestError: Two fields say different things.
        """

    @property
    def beyond(self) -> dict[str, Any]:
        """What may be beyond a search, by the name of the field."""
        return self.model_extra or {}

    @property
    def form(self) -> dict[str, Any]:
        """What responses must look like, by the names and in the spelling of `POST /solve`."""
        return {name: self.beyond[name] for name in sorted(self.formed) if name in self.beyond}

    def spelt(self, text: str) -> str:
        """Return the name of a field of `form`, or a text that holds such names, in the words of this route."""
        return text

    def for_vllm(self) -> dict[str, Any]:
        """Return the fields that are spelt otherwise for vLLM."""
        return {}


class _WithChoices(OpenAIRequest):
    n: Count | None = Field(
        None, ge=1, le=MAX_CHOICES, description="Number of choices; when searching, the n best answers."
    )
    max_tokens: Count | None = Field(None, ge=1, le=MAX_TOKENS, description="Longest response, in tokens.")
    stream_options: ChunkOptions | None = None

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def beyond(self) -> dict[str, Any]:
        more = self.stream_options and self.stream_options.continuous_usage_stats
        return super().beyond | {"stream_options.continuous_usage_stats": more}

    def for_vllm(self) -> dict[str, Any]:
        if self.stream_options is None:
            return {}
        return {"stream_options": self.stream_options.model_dump(exclude_none=True, exclude={"include_obfuscation"})}

    @property
    def num_choices(self) -> int:
        return self.n or 1

    @property
    def length(self) -> tuple[str, int | None]:
        return "max_tokens", self.max_tokens


class ChatRequest(_WithChoices):
    """A chat to continue."""

    problem_field: ClassVar[str] = "messages"
    unsearched: ClassVar[Table] = UNSEARCHED_CHATS
    formed: ClassVar[frozenset[str]] = frozenset({"response_format", "tools", "tool_choice", "parallel_tool_calls"})

    messages: list[MessageIn] = Field(min_length=1, max_length=MAX_MESSAGES)
    reasoning_effort: Name | None = Field(None, description="How much to think, for chat templates that read it.")
    chat_template_kwargs: dict[str, Any] | None = Field(
        None, description="Arguments of the policy's chat template; of searches, those that the recipe allows."
    )
    max_completion_tokens: Count | None = Field(None, ge=1, le=MAX_TOKENS, description="`max_tokens` by another name.")

    @property
    def length(self) -> tuple[str, int | None]:
        newer, older = self.max_completion_tokens, self.max_tokens
        if newer is not None and older not in (None, newer):
            message = f"max_tokens: differs from max_completion_tokens, which is {newer}; send one of the two"
            raise RequestError(message, "max_tokens")
        return ("max_tokens", older) if newer is None and older is not None else ("max_completion_tokens", newer)

    def for_vllm(self) -> dict[str, Any]:
        messages = [message.model_dump(mode="json", exclude_unset=True) for message in self.messages]
        for message in messages:
            if message["role"] == "developer":  # the newer name; templates know the older one
                message["role"] = "system"
        return super().for_vllm() | {"messages": messages}


class CompletionRequest(_WithChoices):
    """A text to continue, or the problem of a search."""

    problem_field: ClassVar[str] = "prompt"
    unsearched: ClassVar[Table] = UNSEARCHED_COMPLETIONS

    prompt: (
        Content
        | Annotated[list[Content], Field(min_length=1, max_length=MAX_PROMPTS)]
        | TokenIds
        | Annotated[list[TokenIds], Field(min_length=1, max_length=MAX_PROMPTS)]
    )

"""What clients send to `/v1/responses`, OpenAI's newer interface. Input and output are text, and nothing is stored.

Knows the items of an input as clients write them and as vLLM reads them; knows nothing of searches.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from server.openai.neutral import UNKEPT_RESPONSES, UNSEARCHED_RESPONSES, Table
from server.openai.requests import (
    MAX_MESSAGES,
    Content,
    ContentIn,
    Name,
    OpenAIRequest,
    StreamOptions,
    text_of,
)
from server.schemas import MAX_TOKENS, Asked, Count

LOGPROBS = "message.output_text.logprobs"
MOOT = frozenset(
    {
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "file_search_call.results",
        "message.input_image.image_url",
        "reasoning.encrypted_content",
        "web_search_call.action.sources",
        "web_search_call.results",
    }
)
"""What `include` adds to items that no response has here: thoughts come as they are, and tools run at the client's."""

ITEM_FIELDS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "message": (frozenset({"role", "content"}), frozenset()),
    "function_call": (frozenset({"call_id", "name", "arguments"}), frozenset()),
    "function_call_output": (frozenset({"call_id", "output"}), frozenset()),
    "reasoning": (frozenset(), frozenset({"content", "summary"})),
}
"""By the type of an item, what it must hold and what it may."""
UNREAD_OF_ITEMS = ("id", "status", "phase")
"""What replies say of their items, which clients send back."""

Message = dict[str, Any]


class ItemIn(BaseModel):
    """An item of an input: a message, a call of a function, its output, or thoughts."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["message", "function_call", "function_call_output", "reasoning"] = "message"
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: ContentIn = None
    call_id: Name | None = None
    name: Name | None = None
    arguments: Content | None = None
    output: ContentIn = None
    summary: ContentIn = Field(None, description="Of thoughts, where they have no content.")

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nothing(cls, item: Any) -> Any:
        """Drop nulls, empty lists, and what only stored responses need; an assistant's turn may be empty."""
        if not isinstance(item, dict):
            return item
        said = {
            name: value for name, value in item.items() if value not in (None, [], {}) and name not in UNREAD_OF_ITEMS
        }
        is_turn = said.get("type", "message") == "message"
        return said if not is_turn or said.get("role") != "assistant" else {"content": ""} | said

    @model_validator(mode="after")
    def _require_its_fields(self) -> "ItemIn":
        required, optional = ITEM_FIELDS[self.type]
        given = self.model_fields_set - {"type"}
        for name in sorted((required - given) | (given - required - optional)):
            fault = "is missing" if name in required else "has no place"
            words = {"name": name, "fault": fault, "type": self.type}
            raise PydanticCustomError("item_fields", "{name} {fault} in an item of type {type}", words)
        return self

    @property
    def text(self) -> str:
        return text_of(self.content) or ""

    def for_vllm(self) -> Message | None:
        """Return the item in the one spelling that vLLM reads without guessing; None of thoughts without a text."""
        match self.type:
            case "message":  # templates know the older name of developers
                return {"role": "system" if self.role == "developer" else self.role, "content": self.text}
            case "function_call":
                return self.model_dump(include={"type", "call_id", "name", "arguments"})
            case "function_call_output":
                return {"type": self.type, "call_id": self.call_id, "output": text_of(self.output)}
            case "reasoning":
                thoughts = self.text or text_of(self.summary)
                parts = [{"type": "reasoning_text", "text": thoughts}]
                return {"type": self.type, "summary": [], "content": parts} if thoughts else None


def _read_input(given: Any) -> Any:
    """Read a text as the one message that it stands for."""
    if not isinstance(given, str | list):
        raise PydanticCustomError("input_type", "must be text, or a list of items")
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


def _require_words(items: list[ItemIn]) -> list[ItemIn]:
    if not any(item.for_vllm() for item in items):
        raise PydanticCustomError("no_words", "holds no text; send a message")
    return items


def _read_include(include: Any) -> Any:
    if not isinstance(include, list):
        return include
    return [each for each in include if not isinstance(each, str) or each not in MOOT]


class TextOptions(Asked):
    """What the text of a response must look like."""

    format: dict[str, Any] | None = None
    verbosity: Literal["medium"] | None = Field(None, description="No model here knows another.")


class ReasoningOptions(Asked):
    """How much a policy that thinks should think; for its chat template to read."""

    effort: Name | None = None
    summary: Literal["auto"] | None = Field(None, description="Thoughts come whole where there are any.")
    generate_summary: Literal["auto"] | None = Field(None, description="The older name of summary.")


class ResponseRequest(OpenAIRequest):
    """An input to respond to, or whose last message is the problem of a search."""

    problem_field: ClassVar[str] = "input"
    unkept: ClassVar[Table] = UNKEPT_RESPONSES
    unsearched: ClassVar[Table] = UNSEARCHED_RESPONSES
    echoed: ClassVar[frozenset[str]] = frozenset({"metadata", "user"})
    formed: ClassVar[frozenset[str]] = frozenset({"text.format", "tools", "tool_choice", "parallel_tool_calls"})

    input: Annotated[
        list[ItemIn],
        Field(min_length=1, max_length=MAX_MESSAGES),
        BeforeValidator(_read_input, json_schema_input_type=Content | list[ItemIn]),
        AfterValidator(_require_words),
    ]
    instructions: Content | None = Field(None, description="A system prompt, before that of the input.")
    max_output_tokens: Count | None = Field(None, ge=1, le=MAX_TOKENS, description="Longest response, in tokens.")
    include: Annotated[
        list[Literal["message.output_text.logprobs"]] | None,
        BeforeValidator(_read_include, json_schema_input_type=list[str] | None),
    ] = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    chat_template_kwargs: dict[str, Any] | None = Field(
        None, description="Arguments of the policy's chat template; of searches, those that the recipe allows."
    )
    stream_options: StreamOptions | None = None

    @property
    def length(self) -> tuple[str, int | None]:
        return "max_output_tokens", self.max_output_tokens

    @property
    def reasoning_effort(self) -> str | None:
        return self.reasoning.effort if self.reasoning else None

    @property
    def beyond(self) -> dict[str, Any]:
        return super().beyond | {"include": self.include, "text.format": self.text and self.text.format}

    @property
    def form(self) -> dict[str, Any]:
        form = super().form
        asked = form.pop("text.format", None)
        if asked is not None:
            schema = {name: value for name, value in asked.items() if name != "type"}
            form["response_format"] = {"type": asked.get("type")} | ({"json_schema": schema} if schema else {})
        if isinstance(tools := form.get("tools"), list):
            form["tools"] = [_nested(tool) for tool in tools]
        return form | ({"tool_choice": _nested(form["tool_choice"])} if "tool_choice" in form else {})

    def spelt(self, text: str) -> str:
        flat = re.sub(r"(tools\.\d+|tool_choice)\.function\b", r"\1", text)
        return re.sub(r"\bresponse_format(\.json_schema)?", "text.format", flat)

    def for_vllm(self) -> dict[str, Any]:
        """Return the fields that are spelt otherwise for vLLM."""
        sent: dict[str, Any] = {"input": [item for each in self.input if (item := each.for_vllm())], "store": False}
        if self.text:
            sent["text"] = self.text.model_dump(include={"format"}, exclude_none=True) or None
        if self.reasoning:
            sent["reasoning"] = self.reasoning.model_dump(exclude_none=True) or None
        return sent | {"include": self.include or None, "instructions": self.instructions or None}


def _nested(tool: Any) -> Any:
    """Return a function, defined or named, as chats spell it."""
    if not isinstance(tool, dict):
        return tool
    return {"type": tool.get("type"), "function": {name: value for name, value in tool.items() if name != "type"}}

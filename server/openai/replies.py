"""What OpenAI's clients read, for a search: the chosen responses, the whole bill, and the evidence.

The policy's own replies come from vLLM and contain more; the models here describe what both have in common.
"""

import time
from typing import Any, Literal

from asgi_correlation_id import correlation_id
from pydantic import BaseModel, Field

from search.candidate import Candidate
from search.solve import SearchResult
from server.openai.calls import Said, ToolCall, say
from server.schemas import SolveResponse
from server.solving.forms import Form


class TokenDetails(BaseModel):
    """Generated tokens that are not in the content of the choices: thoughts, and all that other candidates say."""

    reasoning_tokens: int


class OpenAIUsage(BaseModel):
    """Tokens of all candidates, including pruned and stopped ones."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    completion_tokens_details: TokenDetails | None = None

    @property
    def reasoning_tokens(self) -> int:
        return self.completion_tokens_details.reasoning_tokens if self.completion_tokens_details else 0


class AssistantMessage(BaseModel):
    """The response; its content is null if the deadline left nothing."""

    role: str = "assistant"
    content: str | None
    tool_calls: list[ToolCall] | None = Field(None, description="For the client to make; null where there are none.")
    reasoning: str | None = Field(None, description="The thoughts before it; null without any.")
    reasoning_content: str | None = Field(None, description="The same, where other clients look for it.")


class ChatChoice(BaseModel):
    """One answer of a chat."""

    index: int
    message: AssistantMessage
    logprobs: Any = None
    finish_reason: str | None


class CompletionChoice(BaseModel):
    """One answer of a completion."""

    index: int
    text: str
    logprobs: Any = None
    finish_reason: str | None


class OpenAIReply(BaseModel):
    """What chats and completions have in common."""

    id: str
    created: int
    model: str
    usage: OpenAIUsage
    search: SolveResponse | None = Field(None, description="The reply of `POST /solve`; null without a search.")


class ChatReply(OpenAIReply):
    """The reply to a chat."""

    object: Literal["chat.completion"] = "chat.completion"
    choices: list[ChatChoice]


class CompletionReply(OpenAIReply):
    """The reply to a completion."""

    object: Literal["text_completion"] = "text_completion"
    choices: list[CompletionChoice]


class Model(BaseModel):
    """A model that clients can request."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["winnow"] = "winnow"


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[Model]


def choose(result: SearchResult, n: int) -> list[Candidate | None]:
    """Return the best candidate of each of the n best answers; [None] if the search found nothing at all."""
    answers: list[Candidate | None] = [vote.candidates[0] for vote in result.votes if vote.answer is not None]
    return answers[:n] or [result.chosen]


def bill(evidence: SolveResponse, choices: list[Candidate | None]) -> OpenAIUsage:
    """Return the bill; the verifier's tokens, for which OpenAI has no field, are in `search.usage`."""
    usage = evidence.usage
    shown = sum(candidate.num_shown_tokens for candidate in choices if candidate)
    return OpenAIUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        completion_tokens_details=TokenDetails(reasoning_tokens=usage.completion_tokens - shown),
    )


def head(model: str, prefix: str) -> dict[str, Any]:
    """Return the first fields of a reply and of every chunk."""
    return {"id": f"{prefix}-{correlation_id.get() or ''}", "created": int(time.time()), "model": model}


def chat_reply(
    model: str, evidence: SolveResponse, choices: list[Candidate | None], form: Form | None = None
) -> ChatReply:
    """Build the reply of a searched chat."""
    return ChatReply(
        **head(model, "chatcmpl"),
        choices=[
            ChatChoice(index=index, message=_message(candidate, said), finish_reason=said.finish_reason)
            for index, candidate in enumerate(choices)
            for said in (say(candidate, form),)
        ],
        usage=bill(evidence, choices),
        search=evidence,
    )


def _message(candidate: Candidate | None, said: Said) -> AssistantMessage:
    thinking = candidate.thinking if candidate else None
    return AssistantMessage(
        content=said.content, tool_calls=list(said.calls) or None, reasoning=thinking, reasoning_content=thinking
    )


def completion_reply(
    model: str, evidence: SolveResponse, choices: list[Candidate | None], form: Form | None = None
) -> CompletionReply:
    """Build the reply of a searched completion."""
    return CompletionReply(
        **head(model, "cmpl"),
        choices=[
            CompletionChoice(index=index, text=said.content or "", finish_reason=said.finish_reason)
            for index, candidate in enumerate(choices)
            for said in (say(candidate, form),)
        ],
        usage=bill(evidence, choices),
        search=evidence,
    )

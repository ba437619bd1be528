"""What OpenAI's clients read, for a search: the chosen responses, the whole bill, and the evidence.

The policy's own replies come from vLLM and say more; the models here describe what both have in common.
"""

import time
from typing import Any, Literal

from asgi_correlation_id import correlation_id
from pydantic import BaseModel, Field

from search.candidate import Candidate
from search.solve import SearchResult
from server.schemas import SolveResponse


class TokenDetails(BaseModel):
    """Tokens that were generated and are not in the choices."""

    reasoning_tokens: int


class OpenAIUsage(BaseModel):
    """The bill of the policy: all candidates, those of pruned and stopped ones included."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    completion_tokens_details: TokenDetails | None = None


class AssistantMessage(BaseModel):
    """What the policy says; null when a deadline left nothing."""

    role: str = "assistant"
    content: str | None


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
    search: SolveResponse | None = Field(None, description="What `POST /solve` would have said; null without a search.")


class ChatReply(OpenAIReply):
    """A chat that goes on."""

    object: Literal["chat.completion"] = "chat.completion"
    choices: list[ChatChoice]


class CompletionReply(OpenAIReply):
    """A text that goes on."""

    object: Literal["text_completion"] = "text_completion"
    choices: list[CompletionChoice]


class Model(BaseModel):
    """A model that can be asked for."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["winnow"] = "winnow"


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[Model]


def choose(result: SearchResult, n: int) -> list[Candidate | None]:
    """Return the best candidate of each of the n best answers; None where the search ended with nothing at all."""
    answers: list[Candidate | None] = [vote.candidates[0] for vote in result.votes if vote.answer is not None]
    return answers[:n] or [result.chosen]


def finish_reason(candidate: Candidate | None) -> str:
    """Say in OpenAI's words how a response ended: "length" for one that a limit of tokens or of time cut."""
    return "stop" if candidate is not None and candidate.is_complete else "length"


def bill(evidence: SolveResponse, choices: list[Candidate | None]) -> OpenAIUsage:
    """Return the bill; the verifier's tokens stand in `search.usage`, which OpenAI's has no place for."""
    usage = evidence.usage
    shown = sum(candidate.num_tokens for candidate in choices if candidate)
    return OpenAIUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        completion_tokens_details=TokenDetails(reasoning_tokens=usage.completion_tokens - shown),
    )


def head(model: str, prefix: str) -> dict[str, Any]:
    """Return what a reply and all chunks of a stream begin with."""
    return {"id": f"{prefix}-{correlation_id.get() or ''}", "created": int(time.time()), "model": model}


def chat_reply(model: str, evidence: SolveResponse, choices: list[Candidate | None]) -> ChatReply:
    """Build the reply of a searched chat."""
    return ChatReply(
        **head(model, "chatcmpl"),
        choices=[
            ChatChoice(
                index=index,
                message=AssistantMessage(content=candidate.text if candidate else None),
                finish_reason=finish_reason(candidate),
            )
            for index, candidate in enumerate(choices)
        ],
        usage=bill(evidence, choices),
        search=evidence,
    )


def completion_reply(model: str, evidence: SolveResponse, choices: list[Candidate | None]) -> CompletionReply:
    """Build the reply of a searched completion."""
    return CompletionReply(
        **head(model, "cmpl"),
        choices=[
            CompletionChoice(
                index=index, text=candidate.text if candidate else "", finish_reason=finish_reason(candidate)
            )
            for index, candidate in enumerate(choices)
        ],
        usage=bill(evidence, choices),
        search=evidence,
    )

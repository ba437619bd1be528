"""What servers may answer: each reply is read into one of these types, or the server is at fault.

A reply says what was asked for, in the order asked for, in numbers that can be: token ids within the vocabulary,
scores between 0 and 1, no more tokens than were wanted. Fields that nobody here reads are passed over. Knows JSON and
requests; knows neither HTTP nor vLLM.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from models.generation import BASE, LEAST

BASE_BYTES = 1 << 16
"""What any reply may take; an error has no more."""
PROMPT_TOKEN_BYTES = 16
"""A token id of the prompt, which vLLM repeats."""
TOKEN_BYTES = 64
"""The text and id of a token, on average."""
EVENT_BYTES = 1024
"""An event of one token."""
LOGPROB_BYTES = 512
"""A log-probability among those of a token, with the text and the bytes of its token."""
TOP_LOGPROB_BYTES = 64
"""One of the highest log-probabilities of a token, called by the token's id."""
SCORE_BYTES = 64
MOST_TOKENS = 1 << 24
"""More than any context holds."""
MOST_SHOWN = 200
"""Characters of what a server says that go into a message."""
METRICS_BYTES = 1 << 20
"""All metrics of a server; one engine has a tenth of it."""
MOST_CACHED = 1 << 30
"""More tokens than the KV cache of any server holds."""
CACHE = re.compile(rb"^vllm:cache_config_info\{([^\n]*)\} ", re.MULTILINE)
CACHE_SIZE = re.compile(rb'(?:^|,)(kv_cache_size_tokens|num_gpu_blocks|block_size)="(\d{1,12})"')
LOWEST = -9_999.0
"""What vLLM says for a log-probability of minus infinity."""
ROUNDING = 1e-3
"""So far a log-probability may be above 0."""
MOST_EMPTY = 16
"""Events without a token in the stream of a response, such as one for the bill."""

Count = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
Logprob = Annotated[float, Field(le=ROUNDING)]
Score = Annotated[float, Field(ge=0, le=1)]


class ReplyError(Exception):
    """A server's reply is none to what was asked."""


class Reply(BaseModel):
    """A part of a reply."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class PromptDetails(Reply):
    """How much of the prompt was read from the cache."""

    cached_tokens: Count | None = None


class Usage(Reply):
    """The bill."""

    prompt_tokens: Count = 0
    completion_tokens: Count | None = None
    total_tokens: Count = 0
    prompt_tokens_details: PromptDetails | None = None


class TopLogprobs(Reply):
    """For each token its log-probability, and those of some tokens there, each called `token_id:` and its id."""

    token_logprobs: tuple[Logprob | None, ...] | None = None
    top_logprobs: tuple[dict[str, Logprob] | None, ...] | None = None


class Choice(Reply):
    """Tokens of the response, and why it ends behind them."""

    index: Annotated[int, Field(ge=0, le=0)] = 0
    text: str
    token_ids: tuple[Annotated[int, Field(ge=0)], ...]
    finish_reason: Literal["stop", "length", "abort"] | None = None
    stop_reason: int | str | None = None
    logprobs: TopLogprobs | None = None


class Completion(Reply):
    """A completion of one response, or an event of a streamed one, which may come without a choice."""

    choices: Annotated[tuple[Choice, ...], Field(max_length=1)]
    usage: Usage | None = None


class Scores(Reply):
    """Rows (position, score), and how many tokens came from the cache."""

    scores: tuple[tuple[Count, Score], ...]
    num_cached_tokens: Count


class Class(Reply):
    """What a classifier says of one text."""

    probs: Annotated[tuple[float, ...], Field(min_length=1, max_length=2)]


class Classes(Reply):
    """What a classifier says of the only text."""

    data: Annotated[tuple[Class, ...], Field(min_length=1, max_length=1)]


class ServedModel(Reply):
    """A model of a server."""

    id: Annotated[str, Field(min_length=1, max_length=MOST_SHOWN)]
    max_model_len: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    parent: str | None = None


class ServedModels(Reply):
    """The models of a server: the first, and adapters, which have none of its fields but a name and a parent."""

    data: Annotated[tuple[ServedModel, ...], Field(min_length=1, max_length=MOST_SHOWN)]

    @property
    def max_model_len(self) -> int:
        """Longest prompt and response, in tokens.

        Raises:
            ReplyError: It does not say.
        """
        if self.data[0].max_model_len is None:
            raise ReplyError("data.0.max_model_len: Field required")
        return self.data[0].max_model_len

    @property
    def name(self) -> str:
        """What requests are to name: the first model, or the adapter that `winnow engine` serves on it."""
        base = self.data[0].id
        adapters = (model.id for model in self.data if model.parent == base and base == f"{model.id}{BASE}")
        return next(adapters, base)


class Tokens(Reply):
    """A text as a server's tokenizer reads it."""

    tokens: tuple[int, ...]


class Workers(Reply):
    """What a router says of the servers behind it."""

    healthy_workers: Count = 0
    total_workers: Count


class PlainChoice(Reply):
    """A choice that is passed on as it is."""

    index: Count = 0
    finish_reason: str | None = None


class PlainReply(Reply):
    """A reply of OpenAI's interface, or an event of one, that is passed on as it is."""

    choices: tuple[PlainChoice, ...]
    usage: Usage | None = None


class PlainResponse(Reply):
    """A response that is passed on as it is."""

    object: Literal["response"]
    status: str
    output: tuple[dict[str, Any], ...]
    usage: dict[str, Any] | None = None


class PlainEvent(Reply):
    """An event of a response that is passed on as it is."""

    type: Annotated[str, Field(pattern=r"^response\.[a-z_.]+$")]
    response: PlainResponse | None = None


class Complaint(Reply):
    """What a server says is wrong."""

    message: str = ""
    code: int | None = None
    param: str | None = None


R = TypeVar("R", bound=Reply)

COMPLAINTS: TypeAdapter[Complaint | str] = TypeAdapter(Complaint | str)
OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def read(kind: type[R], data: bytes) -> R:
    """Read a reply.

    Raises:
        ReplyError: It is no such reply.
    """
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise ReplyError(_first(error)) from None


def read_plain(data: bytes, num_choices: int, *, is_whole: bool = False) -> dict[str, Any]:
    """Read a reply that is passed on, or an event of one; the whole has as many choices as were asked for.

    Raises:
        ReplyError: It is no such reply.
    """
    choices = read(PlainReply, data).choices
    if any(choice.index >= num_choices for choice in choices) or len(choices) > num_choices:
        raise ReplyError("more choices than were asked for")
    if is_whole and len(choices) < num_choices:
        raise ReplyError("fewer choices than were asked for")
    return _whole(data)


def read_response(data: bytes) -> dict[str, Any]:
    """Read a response that is passed on.

    Raises:
        ReplyError: It is no such response.
    """
    read(PlainResponse, data)
    return _whole(data)


def read_response_event(data: bytes) -> dict[str, Any]:
    """Read an event of a response that is passed on.

    Raises:
        ReplyError: It is no such event.
    """
    read(PlainEvent, data)
    return _whole(data)


def is_last_event(event: Mapping[str, Any]) -> bool:
    """Return whether an event of a response is the last one."""
    return event["type"] in ("response.completed", "response.incomplete", "response.failed")


def _whole(data: bytes) -> dict[str, Any]:
    try:
        reply: dict[str, Any] = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise ReplyError(shown(str(error))) from None
    return reply


def read_complaint(data: bytes) -> Complaint:
    """Read what a server says is wrong, in OpenAI's shape, in FastAPI's, or in any other."""
    try:
        body = OBJECT.validate_json(data)
        told = COMPLAINTS.validate_python(body.get("error", body.get("detail")))
    except ValidationError:
        return Complaint(message=shown(data.decode("utf-8", "replace")))
    complaint = Complaint(message=told) if isinstance(told, str) else told
    param = complaint.param and shown(complaint.param)
    return Complaint(message=shown(complaint.message), code=complaint.code, param=param)


def shown(text: str) -> str:
    """Make a server's words fit for one line of a log."""
    return "".join(character if character.isprintable() else " " for character in text[:MOST_SHOWN])


class ResponseReader:
    """Reads the events of one response, or the only reply.

    Args:
        vocab_size: Ids of the model's tokens are below it.
        num_prompt_tokens: Of the request.
        max_tokens: Asked for.
    """

    def __init__(self, vocab_size: int, num_prompt_tokens: int, max_tokens: int) -> None:
        self._vocab_size = vocab_size
        self._num_prompt_tokens = num_prompt_tokens
        self._num_left = max_tokens
        self._num_empty = 0
        self.is_over = False

    def read(self, data: bytes) -> Completion:
        """Read the next event.

        Raises:
            ReplyError: It does not go on with the response.
        """
        event = read(Completion, data)
        choice = event.choices[0] if event.choices else None
        token_ids = choice.token_ids if choice else ()
        self._num_left -= len(token_ids)
        self._num_empty += not token_ids
        details = event.usage.prompt_tokens_details if event.usage else None
        if choice and choice.finish_reason == "abort":
            raise ReplyError("it stops")
        if self._num_left < 0:
            raise ReplyError("more tokens than were asked for")
        if choice and self.is_over:
            raise ReplyError("tokens behind the end of the response")
        if self._num_empty > MOST_EMPTY:
            raise ReplyError("events without tokens")
        if max(token_ids, default=0) >= self._vocab_size:
            raise ReplyError(f"token ids of {self._vocab_size} and more, which the model does not have")
        if details and (details.cached_tokens or 0) > self._num_prompt_tokens:
            raise ReplyError("more tokens from the cache than there were")
        self.is_over = self.is_over or (choice is not None and choice.finish_reason is not None)
        return event


def read_logprobs(choice: Choice, token_ids: Sequence[int], prefix: str) -> Mapping[int, float]:
    """Return the log-probabilities of the tokens asked for, at the only token.

    Raises:
        ReplyError: One is missing.
    """
    tops = (choice.logprobs and choice.logprobs.top_logprobs) or ()
    found = tops[0] if len(tops) == 1 and tops[0] else {}
    try:
        return {token_id: found[f"{prefix}{token_id}"] for token_id in token_ids}
    except KeyError:
        raise ReplyError("no log-probabilities of the tokens that were asked about") from None


def read_confidences(choice: Choice, number: int) -> list[tuple[float, float] | None]:
    """Return the confidence of each token, from the `number` highest log-probabilities there, and its own.

    Raises:
        ReplyError: Some are missing.
    """
    own, tops = (choice.logprobs.token_logprobs, choice.logprobs.top_logprobs) if choice.logprobs else ((), ())
    if len(own or ()) != len(choice.token_ids) or len(tops or ()) != len(choice.token_ids):
        raise ReplyError("no log-probabilities, which verifier_format confidence reads")
    return [_confidence(each, top or {}, number) for each, top in zip(own or (), tops or (), strict=True)]


def _confidence(own: float | None, top: Mapping[str, float], number: int) -> tuple[float, float] | None:
    """None where a request for other log-probabilities in the same step has taken the place of the highest."""
    highest = sorted(top.values(), reverse=True)[:number]
    if own is None or len(highest) < number:
        is_spoilt = (
            bool(highest) and highest[-1] <= LOWEST and len(highest) <= 2
        )  # the token, and what stands for others
        if is_spoilt:
            return None
        raise ReplyError(f"{len(highest)} log-probabilities of a token, where {number} were asked for")
    return -math.fsum(max(each, LEAST) for each in highest) / number, max(own, LEAST)


def read_scores(data: bytes, num_tokens: int, positions: Sequence[int]) -> Scores:
    """Read the scores at `positions` of a request of `num_tokens`: those behind the cached prefix.

    Raises:
        ReplyError: They are at other positions, or none is at the last, which no cache can hold.
    """
    reply = read(Scores, data)
    found = [position for position, _ in reply.scores]
    if reply.num_cached_tokens >= num_tokens:
        raise ReplyError("more tokens from the cache than there can be")
    if found != sorted({*found} & {*positions}) or found[-1:] != [positions[-1]]:
        raise ReplyError("scores at other positions than were asked for")
    return reply


def read_class(data: bytes) -> tuple[float, ...]:
    """Read what a classifier says of the only text.

    Raises:
        ReplyError: It says something else.
    """
    return read(Classes, data).data[0].probs


def read_score(data: bytes) -> float:
    """Read a classifier's only value, which is a score.

    Raises:
        ReplyError: It says something else.
    """
    values = read_class(data)
    if len(values) != 1 or not 0 <= values[0] <= 1:
        raise ReplyError("not one score from 0 to 1")
    return values[0]


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    return shown(f"{where}: {first['msg']}" if where else first["msg"])


def read_cache_tokens(data: bytes) -> int | None:
    """Return how many tokens the KV cache of a server holds, by its metrics; None where they do not say.

    A server with several engines has a line for each.
    """
    caches = [dict(CACHE_SIZE.findall(labels)) for labels in CACHE.findall(data)]
    if caches and all(b"kv_cache_size_tokens" in each for each in caches):
        tokens = sum(int(each[b"kv_cache_size_tokens"]) for each in caches)
    else:  # 0.26, which writes the blocks of all its engines into every line
        tokens = max(
            (int(each.get(b"num_gpu_blocks", 0)) * int(each.get(b"block_size", 0)) for each in caches), default=0
        )
    return tokens if 0 < tokens <= MOST_CACHED else None

"""Errors on the wire: OpenAI's format, one table from exception to status, no traceback in a body."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from models.errors import (
    CheckpointError,
    ContextOverflowError,
    DeadlyPromptError,
    EngineDiedError,
    EngineUnavailableError,
    ModelError,
    PromptTooLongError,
    RequestRefusedError,
)
from search.errors import HyperparameterError, NotStoredError, SearchError, StrategyError
from server.errors import ClientDisconnectedError, FullError, RequestError, StoreUnavailableError
from server.refusals import allowed_instead, foremost, is_kind
from server.schemas import ErrorBody, ErrorResponse

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 5
CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a client that disconnected; seen in metrics and logs only."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """What a client reads of an error: the content of a response, an event of a stream or a result of a batch.

    Attributes:
        status: HTTP status.
        message: What is wrong and what to do.
        param: The offending field.
        code: For programs.
        retry_after_s: When to ask again; None where nobody can say.
        headers: Of a response, beside Retry-After.
    """

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    retry_after_s: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> ErrorBody:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return ErrorBody(message=self.message, type=kind, param=self.param, code=self.code)

    @property
    def whole(self) -> ErrorResponse:
        """The error and the id of the request."""
        return ErrorResponse(error=self.body, request_id=correlation_id.get() or "")

    def json(self) -> str:
        """Return the error and the id of the request as JSON."""
        return self.whole.model_dump_json()

    def response(self) -> Response:
        retry = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return Response(self.json(), self.status, {**self.headers, **retry}, media_type="application/json")


STATUS: Mapping[type[Exception], int] = {
    ContextOverflowError: 422,
    DeadlyPromptError: 422,
    HyperparameterError: 422,
    SearchError: 422,
    NotStoredError: 422,  # of searches read from a file; no request raises it
    StrategyError: 500,  # an installed package is broken, which start-up reports
    PromptTooLongError: 422,
    EngineUnavailableError: 503,
    EngineDiedError: 503,
    RequestRefusedError: 400,
    CheckpointError: 422,  # while serving: a chat template that has no place for the system prompt of a request
    ModelError: 503,
}
"""HTTP status of every error that `models` and `search` raise."""

UNAVAILABLE = ErrorReply(503, f"a model is unavailable; try again in {RETRY_AFTER_S} s", retry_after_s=RETRY_AFTER_S)
DISCONNECTED = ErrorReply(CLIENT_CLOSED_REQUEST, "the client closed the connection")
NO_STORE = ErrorReply(
    503,
    f"the store of background searches is unavailable; try again in {RETRY_AFTER_S} s",
    code="store_unavailable",
    retry_after_s=RETRY_AFTER_S,
)
LOST = ErrorReply(
    503,
    "the gateway that ran this search has gone, and the search with it; send the request again",
    code="gateway_lost",
    retry_after_s=1,
)
STOPPED = ErrorReply(409, "the search was stopped", code="search_cancelled")


def install_error_handlers(app: FastAPI, unable: Collection[str] = ()) -> None:
    """Answer every exception in OpenAI's format.

    Args:
        app: That raises them.
        unable: Strategies that this service cannot run, which it does not suggest.
    """

    async def on_validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - Starlette calls by the type registered
        return _reply_to_unreadable(request, error, unable).response()

    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    for error in (RequestError, ClientDisconnectedError, FullError, StoreUnavailableError, *STATUS, Exception):
        app.add_exception_handler(error, _on_error)


def reply_to(error: Exception) -> ErrorReply:
    """Return what a client reads of an error, wherever it was raised; what is not the client's fault is logged."""
    match error:
        case RequestError():
            return ErrorReply(error.status, str(error), error.param, error.code)
        case FullError():
            message = f"{error}; try again in {error.retry_after_s} s"
            return ErrorReply(429, message, code=error.code, retry_after_s=error.retry_after_s)
        case ClientDisconnectedError():
            return DISCONNECTED
        case StoreUnavailableError():
            logger.warning("%s", error)
            return NO_STORE
        case ContextOverflowError():
            return ErrorReply(422, f"problem: {error}", "problem", "context_length_exceeded")
        case DeadlyPromptError():
            return ErrorReply(422, f"problem: {error}", "problem", "deadly_prompt")
        case PromptTooLongError():
            return ErrorReply(422, f"{error.field}: {error}", error.field, "prompt_too_long")
        case HyperparameterError():
            return ErrorReply(422, str(error), error.field)
        case RequestRefusedError():
            return ErrorReply(400, str(error), error.param)
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    if status < 500:
        return ErrorReply(status, str(error))
    if status == 503:
        logger.error("a model failed: %s", error)
        return UNAVAILABLE
    logger.error("unexpected error", exc_info=error)
    return ErrorReply(500, "internal error: the log has the details under the request id")


def reply_to_invalid(
    errors: Sequence[Any], model: type[BaseModel] | None, body: object = None, refused: Collection[str] = ()
) -> ErrorReply:
    """Return what a client reads of a body that is not a `model`.

    Args:
        errors: Pydantic's.
        model: None where it is not known.
        body: As it came.
        refused: Fields and values of the model that this service, or this route, does not allow.
    """
    first = foremost(errors)
    path = [str(part) for part in first["loc"] if part not in ("body", "query") and not is_kind(part)]
    name = ".".join(path) or "body"
    allowed = allowed_instead(model, path, body, refused) if model and path else ""
    return ErrorReply(422, f"{name}: {first['msg']}{allowed}", name, first["type"])


def _reply_to_unreadable(request: Request, error: RequestValidationError, unable: Collection[str]) -> ErrorReply:
    errors = error.errors()
    if errors[0]["type"] == "json_invalid":
        return ErrorReply(400, f"body: not valid JSON: {errors[0]['ctx']['error']}", "body")
    media_type = request.headers.get("content-type", "none").partition(";")[0]
    if errors[0]["loc"][0] == "body" and not media_type.endswith("json"):
        message = f"content-type: {media_type} is not served; allowed: application/json"
        return ErrorReply(415, message, "content-type")
    return reply_to_invalid(errors, _body_model(request), error.body, unable)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    if error.status_code == 400:  # FastAPI's word for a body that it could not even decode
        return ErrorReply(400, "body: cannot be read; allowed: JSON in UTF-8, not nested too deeply", "body").response()
    return ErrorReply(error.status_code, error.detail, headers=error.headers or {}).response()


async def _on_error(request: Request, error: Exception) -> Response:
    return reply_to(error).response()


def _body_model(request: Request) -> type[BaseModel] | None:
    body = getattr(request.scope.get("route"), "body_field", None)
    model = body.field_info.annotation if body else None
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None

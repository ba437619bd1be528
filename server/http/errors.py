"""Errors on the wire: OpenAI's shape, one table from exception to status, nothing of a traceback in the body."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from models.errors import (
    CheckpointError,
    ContextOverflowError,
    EngineDiedError,
    EngineUnavailableError,
    ModelError,
    RequestRefusedError,
)
from search.errors import HyperparameterError, SearchError
from server.http.disconnect import ClientDisconnectedError
from server.schemas import ErrorBody, ErrorResponse
from server.solving.admission import FullError, TooLateError

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 5
CLIENT_CLOSED_REQUEST = 499
"""nginx's status for an answer that nobody waits for; it is seen in metrics and logs only."""


class RequestError(Exception):
    """A request that is well-formed and cannot be served.

    Args:
        message: What was wrong and what is allowed.
        param: The offending field.
        status: HTTP status, 4xx.
        code: What a program may look for.
    """

    def __init__(self, message: str, param: str, status: int = 422, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.status = status
        self.code = code


STATUS: Mapping[type[Exception], int] = {
    ContextOverflowError: 422,
    HyperparameterError: 422,
    SearchError: 422,
    EngineUnavailableError: 503,
    EngineDiedError: 503,
    RequestRefusedError: 400,
    CheckpointError: 422,  # while serving: a chat template that has no place for the system prompt of a request
    ModelError: 503,
}
"""HTTP status of every error that `models` and `search` raise."""


def install_error_handlers(app: FastAPI) -> None:
    """Answer every exception in OpenAI's shape."""
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    for error in (RequestError, ClientDisconnectedError, FullError, *STATUS, Exception):
        app.add_exception_handler(error, _on_error)


def error_response(
    status: int,
    message: str,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Build the reply for an error."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = ErrorBody(message=message, type=kind, param=param, code=code)
    reply = ErrorResponse(error=body, request_id=correlation_id.get() or "")
    return JSONResponse(reply.model_dump(), status, headers=dict(headers or {}))


def response_to(error: Exception) -> JSONResponse:
    """Build the reply that an error gets, wherever it was raised; what is not the client's fault is logged."""
    match error:
        case RequestError():
            return error_response(error.status, str(error), error.param, error.code)
        case FullError():
            code = "deadline_in_queue" if isinstance(error, TooLateError) else "queue_full"
            message = f"{error}; try again in {error.retry_after_s} s"
            return error_response(429, message, code=code, headers={"Retry-After": str(error.retry_after_s)})
        case ClientDisconnectedError():
            return error_response(CLIENT_CLOSED_REQUEST, "the client closed the connection")
        case ContextOverflowError():
            return error_response(422, f"problem: {error}", "problem", "context_length_exceeded")
        case HyperparameterError():
            return error_response(422, str(error), error.field)
        case RequestRefusedError():
            return error_response(400, str(error), error.param)
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    if status < 500:
        return error_response(status, str(error))
    if status == 503:
        logger.error("a model failed: %s", error)
        return unavailable_response()
    logger.error("unexpected error", exc_info=error)
    return error_response(500, "internal error: the log has the details under the request id")


def unavailable_response() -> JSONResponse:
    """Build the reply for whoever needs a model that does not answer."""
    message = f"a model is unavailable; try again in {RETRY_AFTER_S} s"  # a stream has no headers left for it
    return error_response(503, message, headers={"Retry-After": str(RETRY_AFTER_S)})


def validation_response(errors: Sequence[Any], model: type[BaseModel] | None) -> JSONResponse:
    """Build the reply for a body that is no `model`, from pydantic's errors."""
    first = errors[0]
    path = [str(part) for part in first["loc"] if part != "body"]
    name = ".".join(path) or "body"
    return error_response(422, f"{name}: {first['msg']}{_allowed(model, path)}", name, first["type"])


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - Starlette calls by the type registered
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return error_response(400, f"body: not valid JSON: {first['ctx']['error']}", "body")
    media_type = request.headers.get("content-type", "none").partition(";")[0]
    if not media_type.endswith("json"):
        return error_response(
            415, f"content-type: {media_type} is not served; allowed: application/json", "content-type"
        )
    return validation_response(error.errors(), _body_model(request))


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    if error.status_code == 400:  # FastAPI's word for a body that it could not even decode
        return error_response(400, "body: cannot be read; allowed: JSON in UTF-8, not nested too deeply", "body")
    return error_response(error.status_code, error.detail, headers=error.headers)


async def _on_error(request: Request, error: Exception) -> JSONResponse:
    return response_to(error)


def _body_model(request: Request) -> type[BaseModel] | None:
    field = getattr(request.scope.get("route"), "body_field", None)
    model = field.field_info.annotation if field else None
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _allowed(model: type[BaseModel] | None, path: Sequence[str]) -> str:
    """Say what a field may be, in the words of its JSON schema; the fields there are, if there is no such field."""
    if model is None or not path:
        return ""
    document = schema = model.model_json_schema()
    for name in path:
        if name.isdigit():  # of a list, whose items all have one schema
            continue
        fields = schema.get("properties", {})
        if name not in fields:
            return f"; allowed fields: {', '.join(fields)}" if fields else ""
        schema = _first_choice(fields[name])
        if "$ref" in schema:
            schema = document["$defs"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        return f"; allowed: {', '.join(schema['enum'])}"
    low = schema.get("minimum", schema.get("exclusiveMinimum", schema.get("minLength")))
    high = schema.get("maximum", schema.get("exclusiveMaximum", schema.get("maxLength")))
    unit = " characters" if "minLength" in schema else ""
    return "" if low is None or high is None else f"; allowed: {low:,} to {high:,}{unit}"


def _first_choice(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what an optional field, or the items of a list, may be."""
    choices = schema.get("anyOf", [schema])
    first: dict[str, Any] = choices[0].get("items", choices[0])
    return first

"""The routes of OpenAI's clients, `/v1/...`: the policy itself answers, or a search does."""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from models.errors import EngineUnavailableError
from server.http.access import client_of
from server.http.disconnect import until_disconnect
from server.http.streams import EVENT_STREAM
from server.openai.chunks import ChatChunks, CompletionChunks
from server.openai.deadline import Deadline
from server.openai.dialects import Dialect
from server.openai.items import ResponseRequest
from server.openai.names import list_names, require_listed
from server.openai.plain import Plain, plan_plain
from server.openai.planning import named, plan_search
from server.openai.replies import ChatReply, CompletionReply, Model, ModelList
from server.openai.requests import ChatRequest, CompletionRequest, OpenAIRequest
from server.openai.responses import ResponseEvents, ResponseReply
from server.openai.streaming import PlainStream, stream, with_thoughts
from server.schemas import ErrorResponse
from server.solving.planning import require_policy
from server.solving.state import PlainPolicy, State, arrival_of

R = TypeVar("R", bound=OpenAIRequest)
Reply = Coroutine[Any, Any, dict[str, Any] | AsyncGenerator[str, None]]
Ask = Callable[[PlainPolicy], Callable[[Mapping[str, Any], str], Reply]]

logger = logging.getLogger(__name__)
router = APIRouter(tags=["openai"])

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse} for status in (400, 404, 415, 422, 429, 500, 503)
}
STREAMED = {
    "content": EVENT_STREAM,
    "description": "The reply, or its stream.",
}


@router.get("/v1/models", responses={500: {"model": ErrorResponse}})
async def list_models(request: Request) -> ModelList:
    """List the policy, and its searches for clients that can only pick a model; other budgets are served as well."""
    now, state = int(time.time()), State.of(request)
    names = list_names(state.settings.policy_name, state.models.verifier) if state.settings.has_policy else []
    return ModelList(data=[Model(id=name, created=now) for name in names])


@router.get("/v1/models/{model:path}", responses={status: {"model": ErrorResponse} for status in (404, 500)})
async def get_model(model: str, request: Request) -> Model:
    """Describe a model, if it is served."""
    state = State.of(request)
    require_policy(state.models.policy)
    require_listed(model, state.settings.policy_name, state.models.verifier)
    return Model(id=model, created=int(time.time()))


@router.post("/v1/chat/completions", response_model=ChatReply, responses=ERRORS | {200: STREAMED})
async def post_chat(body: ChatRequest, request: Request) -> Response:
    """Continue a chat: by the policy itself, or by a search for the answer to its last turn."""
    return await _answer(body, request, lambda policy: policy.chat, ChatChunks)


@router.post("/v1/completions", response_model=CompletionReply, responses=ERRORS | {200: STREAMED})
async def post_completion(body: CompletionRequest, request: Request) -> Response:
    """Continue a text: by the policy itself, or by a search that takes the text as its problem."""
    return await _answer(body, request, lambda policy: policy.complete, CompletionChunks)


@router.post("/v1/responses", response_model=ResponseReply, responses=ERRORS | {200: STREAMED})
async def post_response(body: ResponseRequest, request: Request) -> Response:
    """Respond to an input: by the policy itself, or by a search for the answer to its last message."""
    return await _answer(body, request, lambda policy: policy.respond, ResponseEvents)


async def _answer(body: R, request: Request, ask: Ask, dialect: type[Dialect[R]]) -> Response:
    """Answer by the policy itself, through `ask`, or by a search, in the dialect of the route."""
    state = State.of(request)
    require_policy(state.models.policy)
    if (plain := plan_plain(body, state)) is not None:
        return await _answer_plain(plain, request, ask, dialect)
    search = plan_search(body, state, client_of(request), arrival_of(request))
    speaking = dialect(body, search.request)
    with named(body):
        if body.stream:
            return await stream(search, speaking)
        outcome = await until_disconnect(request, search.run())
    return Response(speaking.reply(outcome).model_dump_json(), media_type="application/json")


def _policy(state: State) -> PlainPolicy:
    if state.plain is None:
        raise EngineUnavailableError("this service answers searches only")
    return state.plain


async def _answer_plain(plain: Plain, request: Request, ask: Ask, dialect: type[Dialect[R]]) -> Response:
    """Let the policy itself answer when the request reaches its turn."""
    started, state, client = time.perf_counter(), State.of(request), client_of(request)
    deadline, answer = Deadline(plain.deadline_s), ask(_policy(state))
    with ExitStack() as stack:
        unseen = partial(state.lengths.unseen, plain.cost)
        place = stack.enter_context(state.admission.join(client, plain.cost, unseen))

        async def answered() -> dict[str, Any] | AsyncGenerator[str, None]:
            await place.reach(deadline.left_s)
            return await deadline.wait_for(answer(plain.body, client.name))

        reply = await until_disconnect(request, answered())
        status = "complete" if isinstance(reply, dict) else "streams"
        logger.info("openai plain status=%s total_s=%.3f", status, time.perf_counter() - started)
        if isinstance(reply, dict):
            return JSONResponse(with_thoughts(reply))
        return PlainStream(deadline.end(reply), dialect, stack.pop_all())

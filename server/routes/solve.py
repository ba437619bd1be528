"""`POST /solve`: a problem and a budget in, an answer and the evidence for it out, at once or as it grows."""

import json
import re
from hashlib import blake2b
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response

from server.errors import RequestError
from server.http.access import client_of
from server.http.disconnect import until_disconnect
from server.http.streams import SearchStream, event_stream
from server.routes.background import location_of, stream_of
from server.schemas import BackgroundOut, ErrorResponse, EstimateResponse, SolveRequest, SolveResponse
from server.solving.estimating import estimate
from server.solving.kept import IdempotencyKey
from server.solving.searching import Search
from server.solving.state import State, arrival_of
from server.solving.story import Story
from server.stream import EVENTS

router = APIRouter(tags=["solve"])

KEY = re.compile(r'[!#-\[\]-~]{1,255}|"[!#-\[\]-~]{1,255}"')
"""Visible ASCII, bare or in quotes, as a structured header has it."""
STATUSES = (400, 415, 422, 429, 500, 503)
ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorResponse} for status in STATUSES}
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The reply; with `stream: true`, the search in events (server/stream.md), then result or error.",
        "content": event_stream(EVENTS),
    },
    202: {"model": BackgroundOut, "description": "With `background: true`: the search, which runs on."},
    409: {"model": ErrorResponse, "description": "The search with this Idempotency-Key was stopped."},
    410: {"model": ErrorResponse, "description": "Events of the search with this Idempotency-Key are gone."},
}
KeyHeader = Annotated[str | None, Header(description="The same key and body get the same search, once.")]


@router.post("/solve", response_model=SolveResponse, responses=STREAMED | ERRORS)
async def post_solve(body: SolveRequest, request: Request, idempotency_key: KeyHeader = None) -> Response:
    """Search for the answer of a problem with a budget of N candidates."""
    state = State.of(request)
    key = None if idempotency_key is None else _key_of(body, request.headers.getlist("idempotency-key"))
    search = Search.plan(body, state, client_of(request), arrival_of(request))
    if body.background or key is not None:
        return await _outlive(search, key, request)
    if body.stream:
        story = Story(search)
        task = await search.begin(story, story)
        return SearchStream(story.follow(task), task)
    outcome = await until_disconnect(request, search.run())
    return Response(outcome.reply.model_dump_json(), media_type="application/json")


@router.post("/solve/estimate", responses=ERRORS)
async def post_estimate(body: SolveRequest, request: Request) -> EstimateResponse:
    """Estimate what a request of `POST /solve` would take, without running it."""
    return await estimate(Search.plan(body, State.of(request), client_of(request), arrival_of(request)))


async def _outlive(search: Search, key: IdempotencyKey | None, request: Request) -> Response:
    """Answer a request whose search outlives its connection."""
    state = search.state
    kept = await state.background.begin(search, key)
    if search.request.stream:
        kept.log.require(0, "idempotency-key")
        return stream_of(kept, state)
    if search.request.background:
        return Response(kept.json(), 202, location_of(kept), media_type="application/json")
    await until_disconnect(request, kept.attend(state.settings.resume_within_s))
    return kept.response()


def _key_of(body: SolveRequest, values: list[str]) -> IdempotencyKey:
    """Return what a client names a request by.

    Raises:
        RequestError: The header has the wrong form.
    """
    if len(values) > 1 or not KEY.fullmatch(values[0]):
        message = "idempotency-key: not a key; allowed: once, 1 to 255 visible ASCII characters, with or without quotes"
        raise RequestError(message, "idempotency-key", 400, "invalid_idempotency_key")
    content = json.dumps(body.model_dump(exclude_unset=True), sort_keys=True, default=sorted)
    return IdempotencyKey(values[0].strip('"'), blake2b(content.encode(errors="surrogatepass")).hexdigest())

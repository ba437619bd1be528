"""`POST /solve`: a problem and a budget in, an answer and the evidence for it out, at once or as it grows."""

from typing import Any

from fastapi import APIRouter, Request
from sse_starlette import EventSourceResponse

from server.disconnect import until_disconnect
from server.events import Events
from server.schemas import ErrorResponse, SolveRequest, SolveResponse
from server.searching import Search
from server.state import State

router = APIRouter(tags=["solve"])

HEARTBEAT_S = 15
SEND_TIMEOUT_S = 60.0
"""A reader that takes nothing for so long is gone."""

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The reply; with `stream: true` the events round, step, candidate, and last result or error.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    **{status: {"model": ErrorResponse} for status in (400, 415, 422, 500, 503)},
}


@router.post("/solve", response_model=SolveResponse, responses=RESPONSES)
async def post_solve(body: SolveRequest, request: Request) -> SolveResponse | EventSourceResponse:
    """Search for the answer of a problem with a budget of N candidates."""
    search = Search.plan(body, State.of(request))
    if body.stream:
        return EventSourceResponse(Events().stream(search), ping=HEARTBEAT_S, send_timeout=SEND_TIMEOUT_S)
    return await until_disconnect(request, search.run())

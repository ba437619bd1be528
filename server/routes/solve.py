"""`POST /solve`: a problem and a budget in, an answer and the evidence for it out, at once or as it grows."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.http.access import client_of
from server.http.disconnect import until_disconnect
from server.http.streams import SearchStream, event_stream
from server.schemas import ErrorResponse, SolveRequest, SolveResponse
from server.solving.searching import Search
from server.solving.state import State, arrival_of
from server.solving.story import Story
from server.stream import EVENTS

router = APIRouter(tags=["solve"])

STATUSES = (400, 415, 422, 429, 500, 503)
ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorResponse} for status in STATUSES}
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The reply; with `stream: true`, the search in events (server/stream.md), then result or error.",
        "content": event_stream(EVENTS),
    }
}


@router.post("/solve", response_model=SolveResponse, responses=STREAMED | ERRORS)
async def post_solve(body: SolveRequest, request: Request) -> Response:
    """Search for the answer of a problem with a budget of N candidates."""
    search = Search.plan(body, State.of(request), client_of(request), arrival_of(request))
    if body.stream:
        story = Story(search)
        task = await search.begin(story, story)
        return SearchStream(story.follow(task), task)
    outcome = await until_disconnect(request, search.run())
    return Response(outcome.reply.model_dump_json(), media_type="application/json")

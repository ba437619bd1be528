"""`/solve/{id}`: a search that outlives its connection, looked at, followed, stopped and forgotten."""

import asyncio
import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response

from server.errors import RequestError
from server.http.access import client_of
from server.http.streams import SearchStream, event_stream
from server.schemas import BackgroundOut, ErrorResponse, Following
from server.solving.kept import Kept
from server.solving.state import State
from server.stream import EVENTS

router = APIRouter(tags=["solve"])

NUMBER = re.compile(r"[0-9]{1,15}")
ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorResponse} for status in (404, 410, 422, 500, 503)}
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The search as it is; with `stream=true`, its events.", "content": event_stream(EVENTS)}
}
LastEventId = Annotated[
    str | None, Header(description="With `stream=true`: go on behind this event. Wins over `starting_after`.")
]


@router.get("/solve/{id}", response_model=BackgroundOut, responses=STREAMED | ERRORS)
async def get_search(
    id: str, request: Request, following: Annotated[Following, Query()], last_event_id: LastEventId = None
) -> Response:
    """Look at a search that outlives its connection, or follow its events."""
    state = State.of(request)
    kept = await state.background.find(id, client_of(request))
    param = "last-event-id" if last_event_id else "starting_after"
    if following.stream:
        after = _number(request.headers.getlist(param)) if last_event_id else following.starting_after or 0
        kept.log.require(after, param)
        return stream_of(kept, state, after)
    if last_event_id or following.starting_after is not None:
        raise RequestError(f"{param}: not supported without stream=true; omit it", param)
    return Response(kept.json(), media_type="application/json")


@router.delete("/solve/{id}", response_model=BackgroundOut, responses=ERRORS)
async def delete_search(id: str, request: Request) -> Response:
    """Stop a search, and the engines' work for it; forget one that has ended."""
    state = State.of(request)
    kept = await state.background.find(id, client_of(request))
    if kept.record.has_ended:
        await state.background.forget(kept)
    else:
        await kept.stop()
    return Response(kept.json(), media_type="application/json")


def stream_of(kept: Kept, state: State, after: int = 0) -> SearchStream:
    """Return the events of a search behind number `after`."""
    attending = asyncio.create_task(kept.attend(state.settings.resume_within_s))
    return SearchStream(kept.log.follow(after), attending, location_of(kept))


def location_of(kept: Kept) -> dict[str, str]:
    """Return the header that says where a search is found."""
    return {"Location": f"/solve/{kept.record.id}"}


def _number(values: list[str]) -> int:
    """Return the number of the last event that a client has seen.

    Raises:
        RequestError: The header is not a number.
    """
    if len(values) > 1 or not NUMBER.fullmatch(values[0]):
        raise RequestError("last-event-id: not the number of an event; allowed: 0 or more", "last-event-id")
    return int(values[0])

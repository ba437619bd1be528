"""The verifier for responses that clients bring: scores of their steps, and the choice of an answer among them."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.given import ChooseRequest, ChooseResponse, ScoreRequest, ScoreResponse
from server.http.access import client_of
from server.http.disconnect import until_disconnect
from server.http.streams import EVENT_STREAM, SearchStream
from server.routes.solve import ERRORS
from server.solving.events import Events
from server.solving.judging import Judging
from server.solving.state import State, arrival_of

router = APIRouter(tags=["verifier"])

STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The scores; with `stream: true`, the events step and candidate, then result or error.",
        "content": EVENT_STREAM,
    }
}


@router.post("/v1/steps/score", response_model=ScoreResponse, responses=STREAMED | ERRORS)
async def post_score(body: ScoreRequest, request: Request) -> Response:
    """Judge the steps of responses to a problem."""
    judging = Judging.plan(body, State.of(request), client_of(request), arrival_of(request))
    if body.stream:
        events = Events()
        task = await judging.begin(events)
        return SearchStream(events.follow(task), task)
    return await _answer(judging, request)


@router.post("/v1/answers/choose", response_model=ChooseResponse, responses=ERRORS)
async def post_choose(body: ChooseRequest, request: Request) -> Response:
    """Choose an answer among responses to a problem, whatever model they are from."""
    judging = Judging.plan(body, State.of(request), client_of(request), arrival_of(request))
    return await _answer(judging, request)


async def _answer(judging: Judging, request: Request) -> Response:
    outcome = await until_disconnect(request, judging.run())
    return Response(outcome.reply.model_dump_json(), media_type="application/json")

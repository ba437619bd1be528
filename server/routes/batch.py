"""`POST /solve/batch`: many requests in one, each answered or refused on its own."""

import asyncio

from fastapi import APIRouter, Request
from pydantic import ValidationError

from search.strategies import unable
from server.errors import RequestError
from server.http.access import client_of
from server.http.disconnect import until_disconnect
from server.http.errors import reply_to, reply_to_invalid
from server.routes.solve import ERRORS
from server.schemas import BatchFailure, BatchRequest, BatchResponse, SolveRequest, SolveResponse
from server.solving.searching import Search
from server.solving.state import State, arrival_of

router = APIRouter(tags=["solve"])


@router.post("/solve/batch", responses=ERRORS)
async def post_batch(body: BatchRequest, request: Request) -> BatchResponse:
    """Search for the answers of many problems; the results come in the order of the requests."""
    most = State.of(request).settings.max_batch
    if len(body.requests) > most:
        raise RequestError(f"requests: {len(body.requests)} are too many for a batch; allowed: 1 to {most}", "requests")
    return BatchResponse(results=await until_disconnect(request, _answer_all(body, request)))


async def _answer_all(body: BatchRequest, request: Request) -> list[SolveResponse | BatchFailure]:
    arrived = arrival_of(request)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_answer(item, request, arrived)) for item in body.requests]
    return [_named(task.result(), number) for number, task in enumerate(tasks)]


async def _answer(item: object, request: Request, arrived: float) -> SolveResponse | BatchFailure:
    try:
        body = SolveRequest.model_validate(item)
        if body.stream:
            raise RequestError("stream: not supported in a batch; omit it", "stream")
        if body.background:
            raise RequestError("background: not supported in a batch; omit it", "background")
        search = Search.plan(body, State.of(request), client_of(request), arrived)
        return (await search.run()).reply
    except ValidationError as error:
        refused = {"stream", "background"} | unable(State.of(request).models.verifier)
        failure = reply_to_invalid(error.errors(), SolveRequest, item, refused)
    except Exception as error:  # noqa: BLE001 - the other requests are answered all the same
        failure = reply_to(error)
    return BatchFailure(error=failure.body, http_status=failure.status, retry_after_s=failure.retry_after_s)


def _named(result: SolveResponse | BatchFailure, number: int) -> SolveResponse | BatchFailure:
    """Give a reply its own id."""
    return result.model_copy(update={"id": f"{result.id}.{number}"}) if isinstance(result, SolveResponse) else result

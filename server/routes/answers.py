"""`POST /v1/answers/equivalent`: which answers are equivalent, and why. Needs no model."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request

from search.answers.comparison import Comparison
from search.answers.pool import AnswerPool
from server.http.disconnect import until_disconnect
from server.schemas import EquivalenceOut, EquivalenceRequest, EquivalenceResponse, ErrorResponse, PairIn
from server.solving.planning import answer_pool
from server.solving.state import State

router = APIRouter(tags=["answers"])

ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorResponse} for status in (400, 415, 422, 500)}

MAX_AT_ONCE = 8
"""Pairs of one request compared at a time, so that other requests get their turn."""


@router.post("/v1/answers/equivalent", responses=ERRORS)
async def post_equivalent(body: EquivalenceRequest, request: Request) -> EquivalenceResponse:
    """Compare pairs of answers by mathematics; the results come in the order of the pairs."""
    pool = answer_pool(State.of(request).models)
    comparisons = await until_disconnect(request, _compare_all(pool, body.pairs))
    results = [EquivalenceOut(equivalent=c.is_equivalent, canonical=c.keys, reason=c.reason) for c in comparisons]
    return EquivalenceResponse(results=results)


async def _compare_all(pool: AnswerPool, pairs: list[PairIn]) -> list[Comparison]:
    places = asyncio.Semaphore(MAX_AT_ONCE)

    async def compare(pair: PairIn) -> Comparison:
        async with places:
            return await pool.compare(pair.a, pair.b)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(compare(pair)) for pair in pairs]
    return [task.result() for task in tasks]

"""`/healthz`: the process lives. `/readyz`: the models answer."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from models.errors import ModelError
from server.http.errors import UNAVAILABLE
from server.schemas import Wire
from server.solving.state import State

router = APIRouter(tags=["health"])

ANSWER_WITHIN_S = 5.0


class Health(Wire):
    """State of the service."""

    status: str


@router.get("/healthz")
async def healthz() -> Health:
    """Answer while the process is alive, whatever the state of its models."""
    return Health(status="alive")


@router.get("/readyz", response_model=Health)
async def readyz(request: Request) -> Health | Response:
    """Answer 200 when the policy and the verifier do, 503 when one does not."""
    state = State.of(request)
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await asyncio.gather(*(engine.check() for engine in state.engines))
    except (TimeoutError, ModelError):  # the log has why, from who found it
        return UNAVAILABLE.response()
    return Health(status="ready")

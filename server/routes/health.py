"""`/healthz`: the process lives. `/readyz`: the models answer."""

import asyncio

from fastapi import APIRouter, Request

from models.errors import EngineUnavailableError
from server.schemas import Wire
from server.state import State

router = APIRouter(tags=["health"])

ANSWER_WITHIN_S = 5.0


class Health(Wire):
    """How the service is."""

    status: str


@router.get("/healthz")
async def healthz() -> Health:
    """Answer while the process lives, whatever its models do."""
    return Health(status="alive")


@router.get("/readyz")
async def readyz(request: Request) -> Health:
    """Answer 200 when the policy and the verifier do, 503 when one does not."""
    state = State.of(request)
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await asyncio.gather(*(engine.check() for engine in state.engines))
    except TimeoutError as error:
        raise EngineUnavailableError("an engine does not answer") from error
    return Health(status="ready")

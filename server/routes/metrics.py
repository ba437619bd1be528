"""`GET /metrics`: what Prometheus scrapes."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from server.solving.state import State

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def get_metrics(request: Request) -> Response:
    """The service's metrics and those of its engines, in Prometheus' text format."""
    state = State.of(request)
    shown = await state.siblings.exposition() if state.siblings else state.metrics.exposition()
    return Response(shown, media_type=CONTENT_TYPE_LATEST)

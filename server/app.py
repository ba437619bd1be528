"""The app: routes, errors and request ids around models that are ready."""

from collections.abc import Sequence
from importlib.metadata import version

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from opentelemetry.trace import NoOpTracer, Tracer

from models.embedded import EmbeddedEngine
from search.expander import Models
from server.errors import install_error_handlers
from server.metrics import CountRequests, Metrics
from server.routes import answers, health, metrics, solve
from server.state import State


def create_app(models: Models, engines: Sequence[EmbeddedEngine], tracer: Tracer | None = None) -> FastAPI:
    """Build the app.

    Args:
        models: What searches work with.
        engines: What must answer for the service to be ready.
        tracer: Of its searches; None traces nothing.
    """
    app = FastAPI(
        title="winnow", version=version("winnow"), summary="Search and verify: one answer, with its evidence."
    )
    state = app.state.winnow = State(models, engines, Metrics(engines), tracer or NoOpTracer())
    app.add_middleware(CountRequests, metrics=state.metrics)
    app.add_middleware(CorrelationIdMiddleware)
    app.include_router(solve.router)
    app.include_router(answers.router)
    app.include_router(health.router)
    app.include_router(metrics.router)
    install_error_handlers(app)
    return app

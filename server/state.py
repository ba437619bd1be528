"""What a request handler works with."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from opentelemetry.trace import Tracer

from models.embedded import EmbeddedEngine
from search.expander import Models
from server.metrics import Metrics


@dataclass(frozen=True, slots=True)
class State:
    """The models of the service, the engines that must answer for it to be ready, and what counts and traces."""

    models: Models
    engines: Sequence[EmbeddedEngine]
    metrics: Metrics
    tracer: Tracer

    @classmethod
    def of(cls, request: Request) -> "State":
        """Return the state of the app that serves a request."""
        state = request.app.state.winnow
        assert isinstance(state, cls)  # noqa: S101 - set by create_app
        return state

"""What a request handler works with."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from opentelemetry.trace import Tracer

from models.embedded import EmbeddedEngine
from search.expander import Models
from server.admission import Admission
from server.metrics import Metrics
from server.settings import Settings


@dataclass(frozen=True, slots=True)
class State:
    """What all requests share.

    Attributes:
        models: What searches work with.
        engines: What must answer for the service to be ready.
        settings: How the service is run.
        admission: Who may search when.
        metrics: Where all is counted.
        tracer: Of searches.
    """

    models: Models
    engines: Sequence[EmbeddedEngine]
    settings: Settings
    admission: Admission
    metrics: Metrics
    tracer: Tracer

    @classmethod
    def of(cls, request: Request) -> "State":
        """Return the state of the app that serves a request."""
        state = request.app.state.winnow
        assert isinstance(state, cls)  # noqa: S101 - set by create_app
        return state

"""What a request handler works with."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Request
from opentelemetry.trace import Tracer

from models.engine_client import RunningModel
from search.calibration.table import Calibrated
from search.expander import Models
from server.settings import Settings
from server.solving.admission import Admission
from server.solving.metrics import Metrics


class PlainPolicy(Protocol):
    """The policy itself behind OpenAI's interface, without a search. Replies are JSON, or the events of a stream."""

    @property
    def name(self) -> str:
        """What clients call the policy."""

    async def chat(self, body: Mapping[str, Any], client: str = "") -> dict[str, Any] | AsyncGenerator[str, None]:
        """Answer the body of a chat completion, asked by a client.

        Raises:
            RequestRefusedError: The policy has no use for it.
            EngineUnavailableError: The engine is dead.
        """

    async def complete(self, body: Mapping[str, Any], client: str = "") -> dict[str, Any] | AsyncGenerator[str, None]:
        """Answer the body of a completion, asked by a client.

        Raises:
            RequestRefusedError: The policy has no use for it.
            EngineUnavailableError: The engine is dead.
        """

    async def stop(self) -> None:
        """End what was started to answer; the engine is others'."""


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
        calibrated: How `auto` spends a budget, and how probable answers are.
        plain: The policy for OpenAI's clients that ask for no search; None refuses them.
    """

    models: Models
    engines: Sequence[RunningModel]
    settings: Settings
    admission: Admission
    metrics: Metrics
    tracer: Tracer
    calibrated: Calibrated
    plain: PlainPolicy | None = None

    @classmethod
    def of(cls, request: Request) -> "State":
        """Return the state of the app that serves a request."""
        state = request.app.state.winnow
        assert isinstance(state, cls)  # noqa: S101 - set by create_app
        return state


def arrival_of(request: Request) -> float:
    """When the headers of a request were there, by `time.perf_counter`: deadlines count from then."""
    arrived: float = request.state.arrived  # set by CountRequests
    return arrived

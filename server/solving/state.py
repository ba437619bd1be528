"""What request handlers share."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Request
from opentelemetry.trace import Tracer

from models.engine_client import RunningModel
from models.interfaces import Verifier
from models.openai.grammars.bounds import Asked
from search.calibration.table import Calibrated
from search.expander import Models
from server.settings import Settings
from server.solving.admission import Admission
from server.solving.capacity import Lengths
from server.solving.kept import Store
from server.solving.metrics import Metrics
from server.solving.seen import Seen
from server.solving.siblings import Siblings


class PlainPolicy(Protocol):
    """The policy itself behind OpenAI's interface. Replies are JSON, or the events of a stream."""

    @property
    def name(self) -> str:
        """What clients call the policy."""

    async def chat(self, body: Mapping[str, Any], client: str = "") -> dict[str, Any] | AsyncGenerator[str, None]:
        """Answer a chat completion.

        Raises:
            RequestRefusedError: The policy cannot serve it.
            EngineUnavailableError: The engine is dead.
        """

    async def complete(self, body: Mapping[str, Any], client: str = "") -> dict[str, Any] | AsyncGenerator[str, None]:
        """Answer a completion.

        Raises:
            RequestRefusedError: The policy cannot serve it.
            EngineUnavailableError: The engine is dead.
        """

    async def respond(self, body: Mapping[str, Any], client: str = "") -> dict[str, Any] | AsyncGenerator[str, None]:
        """Answer a request of `/v1/responses`.

        Raises:
            RequestRefusedError: The policy cannot serve it.
            EngineUnavailableError: The engine is dead.
        """

    async def try_grammar(self, asked: Asked, client: str = "", num_responses: int = 1) -> None:
        """Return if so many responses can be held to a grammar.

        Raises:
            RequestRefusedError: It cannot be compiled, or costs too much.
            EngineUnavailableError: Nothing can try it now.
        """

    async def stop(self) -> None:
        """Stop what was started here; the engine belongs to others."""


@dataclass(frozen=True, slots=True)
class State:
    """State of the service.

    Attributes:
        models: Of searches.
        engines: The service is ready when all of these respond.
        settings: Of the service.
        admission: The queue of searches.
        metrics: Of the service.
        tracer: Of searches.
        calibrated: How `auto` spends a budget, and how probable answers are.
        background: Searches that outlive their connection.
        seen: What the latest searches took.
        lengths: What searches are charged with.
        plain: The policy, for OpenAI requests without a search; None refuses them.
        step_verifier: The verifier with a memory of its scores; None where a call does not judge each of its steps.
        siblings: The processes that serve with this one; None where it is alone.
    """

    models: Models
    engines: Sequence[RunningModel]
    settings: Settings
    admission: Admission
    metrics: Metrics
    tracer: Tracer
    calibrated: Calibrated
    background: Store
    seen: Seen
    lengths: Lengths
    plain: PlainPolicy | None = None
    step_verifier: Verifier | None = None
    siblings: Siblings | None = None

    @classmethod
    def of(cls, request: Request) -> "State":
        """Return the state of the app that handles a request."""
        state = request.app.state.winnow
        assert isinstance(state, cls)  # noqa: S101 - set by create_app
        return state


def arrival_of(request: Request) -> float:
    """Return when the headers of a request had arrived, by `time.perf_counter`; deadlines count from then."""
    arrived: float = request.state.arrived  # set by CountRequests
    return arrived

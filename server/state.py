"""What a request handler works with."""

from dataclasses import dataclass
from typing import Protocol

from fastapi import Request

from search.expander import Models
from server.admission import Admission
from server.settings import Settings


class Engine(Protocol):
    """A model that can be asked whether it lives."""

    async def check(self) -> None:
        """Return when the engine answers.

        Raises:
            EngineUnavailableError: It does not.
        """


@dataclass(frozen=True, slots=True)
class State:
    """The models of the service, the engines that must answer for it to be ready, and who may search when."""

    models: Models
    engines: tuple[Engine, ...]
    settings: Settings
    admission: Admission

    @classmethod
    def of(cls, request: Request) -> "State":
        """Return the state of the app that serves a request."""
        state = request.app.state.winnow
        assert isinstance(state, cls)  # noqa: S101 - set by create_app
        return state

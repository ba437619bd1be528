"""What a request handler works with."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Request

from search.expander import Models


class Engine(Protocol):
    """A model that can be asked whether it lives."""

    async def check(self) -> None:
        """Return when the engine answers.

        Raises:
            EngineUnavailableError: It does not.
        """


class PlainPolicy(Protocol):
    """The policy itself behind OpenAI's interface, without a search. Replies are JSON, or the events of a stream."""

    @property
    def name(self) -> str:
        """What clients call the policy."""

    async def chat(self, body: Mapping[str, Any]) -> dict[str, Any] | AsyncGenerator[str, None]:
        """Answer the body of a chat completion.

        Raises:
            RequestRefusedError: The policy has no use for it.
            EngineUnavailableError: The engine is dead.
        """

    async def complete(self, body: Mapping[str, Any]) -> dict[str, Any] | AsyncGenerator[str, None]:
        """Answer the body of a completion.

        Raises:
            RequestRefusedError: The policy has no use for it.
            EngineUnavailableError: The engine is dead.
        """


@dataclass(frozen=True, slots=True)
class State:
    """The models of the service, the engines that must answer for it to be ready, and the policy without a search."""

    models: Models
    engines: tuple[Engine, ...]
    plain: PlainPolicy | None = None

    @property
    def policy_name(self) -> str:
        """What clients call the policy."""
        return self.plain.name if self.plain else "policy"

    @classmethod
    def of(cls, request: Request) -> "State":
        """Return the state of the app that serves a request."""
        state = request.app.state.winnow
        assert isinstance(state, cls)  # noqa: S101 - set by create_app
        return state

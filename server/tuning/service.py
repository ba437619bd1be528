"""Services that `winnow tune` measures: in this process, with engines of their own, and asked as HTTP clients ask."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from models.engine_client import OwnEngine, RunningModel
from search.expander import Models
from server.app import create_app
from server.composition import open_models
from server.doctor.machine import Machine, look_at_machine
from server.identity import load_calibration
from server.keys import Keyring
from server.schemas import SolveRequest
from server.settings import Settings
from server.solving.capacity import Capacity, Lengths, capacity_of
from server.solving.planning import cost_of, num_responses, within
from server.tuning.descent import FailedError, Request
from server.tuning.knobs import CAPACITY, Place

MARGIN = 1.2
"""What other engines may take more than those that run, in memory."""
UNLIMITED = 4
"""How many times as many searches may be tried where the engines do not say what they hold."""


class LocalService:
    """A service in this process.

    Args:
        settings: Of it.
        models: Of its searches.
        engines: Of these models.
        client: Asks it.
        machine: That it runs on.
    """

    def __init__(
        self,
        settings: Settings,
        models: Models,
        engines: tuple[RunningModel, ...],
        client: httpx.AsyncClient,
        machine: Machine,
    ) -> None:
        self._settings = settings
        self._models = models
        self._engines = engines
        self._client = client
        self._machine = machine
        self._known = capacity_of(settings.model_copy(update={CAPACITY: None}), engines)
        self._lengths = Lengths(self._known)
        self._asked: SolveRequest | None = None

    async def forget(self) -> None:
        for engine in self._engines:
            if isinstance(engine, OwnEngine):
                await engine.forget()

    async def solve(self, request: Request) -> None:
        asked = within(SolveRequest.model_validate(request), self._settings)
        response = await self._client.post("/solve", json={**request, "include": []})
        reply: dict[str, Any] = response.json()
        if not response.is_success:
            raise FailedError(reply["error"]["message"])
        if reply["status"] != "complete":
            raise FailedError(f"a search is {reply['status']}: {reply['status_reason']}")
        taken = reply["usage"]["prompt_tokens"] + reply["usage"]["completion_tokens"]
        self._lengths.add("", asked.strategy, num_responses(asked), taken)
        self._asked = asked

    @property
    def place(self) -> Place:
        assert self._asked is not None  # noqa: S101 - it is asked after searches
        cost = cost_of(self._asked, self._models.policy.context, self._settings)
        held = self._lets_in(self._known, cost)
        present = capacity_of(self._settings, self._engines)
        return Place(
            device=self._machine.device,
            num_cores=self._machine.num_cores,
            sizes={engine.name: engine.sizes for engine in self._engines if isinstance(engine, OwnEngine)},
            cost=cost,
            in_flight=self._lets_in(present, cost),
            most_in_flight=held * UNLIMITED if self._known.is_asked else held,
        )

    def _lets_in(self, capacity: Capacity, cost: int) -> int:
        """Return how many such searches run at a time once enough were seen."""
        assert self._asked is not None  # noqa: S101 - likewise
        name = self._asked.strategy
        charge = cost if capacity.is_asked else self._lengths.expected("", name, num_responses(self._asked), cost)
        return max(capacity.tokens // charge, 1)


@asynccontextmanager
async def open_service(settings: Settings, machine: Machine) -> AsyncIterator[LocalService]:
    """Run a service while the context lasts, which lets every search in.

    Raises:
        CheckpointError: A model cannot be served with these settings.
        EngineUnavailableError: An engine did not start.
    """
    async with open_models(settings) as (models, engines):
        alone = settings.model_copy(update={CAPACITY: sys.maxsize})
        app = create_app(models, engines, alone, Keyring(), calibrated=load_calibration(settings))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://winnow", timeout=None) as client:
            yield LocalService(settings, models, engines, client, machine)


def room_for(machine: Machine, look: Callable[[], Machine] | None = None) -> Callable[[], int]:
    """Return what says how many services there is room for; it is asked first when one runs.

    On a GPU an engine takes the share that it is given, so that there is room for one pair.

    Args:
        machine: As it was before the first service.
        look: Inspects it again; None: as before.
    """
    found: list[int] = []

    def most() -> int:
        if not found:
            now = look() if look else look_at_machine(runs_engines=False)
            taken = machine.free_bytes - now.free_bytes
            found.append(2 if machine.device == "cpu" and now.free_bytes > MARGIN * taken else 1)
        return found[0]

    return most

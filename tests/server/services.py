"""The app around an exact world, on a real socket."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from models.engine_client import RunningModel
from server.app import create_app
from server.keys import read_keys
from server.settings import Settings
from server.solving.admission import Admission
from tests.natures import Tree, answer
from tests.server.conftest import serving
from tests.worlds import World


def world_of(*answers: str) -> World:
    """A world whose responses give these answers in turn."""
    return World(Tree(*(answer(text, 0.5) for text in answers or ("1",))))


@asynccontextmanager
async def queueing(
    world: World, engines: Sequence[RunningModel] = (), **fields: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, Admission]]:
    """A client of the service of a world, and the queue of that service."""
    settings = Settings(**fields)
    app = create_app(world.models, engines, settings, read_keys(settings))
    async with serving(app, settings) as client:
        yield client, app.state.winnow.admission


@asynccontextmanager
async def service(world: World, **fields: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service of a world."""
    async with queueing(world, **fields) as (client, _):
        yield client

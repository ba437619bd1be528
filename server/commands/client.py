"""The service as the commands see it: one that runs elsewhere, or one of their own in this process. HTTP either way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import click
import httpx

from server.settings import Settings


class RefusedError(click.ClickException):
    """The service refused the request, and says why."""


@asynccontextmanager
async def open_client(url: str | None, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of the service at `url`; without one, start the models here and serve in this process."""
    if url:
        async with httpx.AsyncClient(base_url=url, timeout=None) as client:
            yield client
        return
    from server.__main__ import open_models
    from server.app import create_app

    async with open_models(settings) as (models, engines):
        transport = httpx.ASGITransport(create_app(models, engines))
        async with httpx.AsyncClient(transport=transport, base_url="http://winnow", timeout=None) as client:
            yield client


async def post_solve(client: httpx.AsyncClient, request: dict[str, Any]) -> dict[str, Any]:
    """Ask the service.

    Raises:
        RefusedError: It did not answer, or refused.
    """
    try:
        response = await client.post("/solve", json=request)
    except httpx.HTTPError as error:
        raise RefusedError(f"no answer from {client.base_url}: {error}") from error
    reply: dict[str, Any] = response.json()
    if response.is_error:
        raise RefusedError(reply["error"]["message"])
    return reply

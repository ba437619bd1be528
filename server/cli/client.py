"""The client of the commands: of a remote service, or of one in this process. HTTP either way."""

import asyncio
import random
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import click
import httpx

from server.cli.failures import Failure
from server.cli.stages import stages
from server.clients.winnow_client import PAUSE_S, RESUME_WITHIN_S, UNSENT, AsyncWinnow, Event, WinnowError
from server.precheck import check_models
from server.settings import Settings, SettingsError

BUSY = (429, 503)
"""Statuses after which a retry may succeed, if there is a `Retry-After`."""

PATIENCE_S = 60.0
"""How long to wait for a busy service."""

SPREAD = 0.25
"""Random extra share of a wait, so that not all clients retry at once."""


CONNECT_WITHIN_S = 10.0
LARGE_BYTES = 2_000_000
"""Of a request: no service takes more by default."""
STOP_WITHIN_S = 5.0
"""How long a service has to stop a search for which nobody waits any more."""
UNKEPT = ("no_store", "background_full", "store_unavailable")
"""Why a service cannot keep a search, which it runs all the same if it need not."""
KEYLESS = "set WINNOW_API_KEY to a key of the service"
UNKNOWN_KEY = "WINNOW_API_KEY, or api_key of the recipe, is not a key of this service"
REFUSES_KEYS = (401, 403)


class ServiceUrl(click.ParamType[str]):
    """URL of a service: http://host:8000, also with the /v1 of OpenAI's clients."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            url = httpx.URL(value)
        except (httpx.InvalidURL, ValueError) as error:
            self.fail(f"{value!r} is not a URL: {error}", param, ctx)
        if url.scheme not in ("http", "https") or not url.host:
            self.fail(f"{value!r} is not a URL such as http://127.0.0.1:8000", param, ctx)
        path = url.path.rstrip("/").removesuffix("/v1")
        return str(url.copy_with(path=path or "/", query=None, fragment=None)).rstrip("/")


class RefusedError(Failure):
    """The service refused the request; the message says why."""


class UnreachableError(RefusedError):
    """The service does not respond."""


class ServiceClient(httpx.AsyncClient):
    """A client of a service elsewhere: one that has ever replied, and goes away, is asked again for a while.

    A search whose connection breaks is stopped by the service, so that asking again costs nothing that runs.

    Args:
        url: Of the service.
        headers: Of every request.
        resume_within_s: How long it is asked again.
        pause_s: Between two tries.
    """

    def __init__(
        self,
        url: str,
        headers: dict[str, str],
        resume_within_s: float = RESUME_WITHIN_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        super().__init__(base_url=url, headers=headers, timeout=httpx.Timeout(None, connect=CONNECT_WITHIN_S))
        self._resume_within_s, self._pause_s = resume_within_s, pause_s
        self._was_reached = False

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        broken_since: float | None = None
        while True:
            try:
                response = await super().send(request, **options)
            except httpx.TransportError as error:
                broken_since = broken_since or time.monotonic()
                has_time = time.monotonic() - broken_since <= self._resume_within_s
                if not (self._was_reached and has_time) or _may_be_too_large(error):
                    raise
                await asyncio.sleep(self._pause_s)
            else:
                self._was_reached = True
                return response


@asynccontextmanager
async def open_client(url: str | None, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of the service at `url`; without a URL, start the models and serve in this process."""
    if url:
        async with ServiceClient(url, credentials(settings)) as client:
            yield client
        return
    check_models(settings)
    from server.app import create_app
    from server.composition import open_models
    from server.identity import load_calibration
    from server.keys import Keyring

    calibrated = load_calibration(settings)
    async with AsyncExitStack() as stack:
        with stages() as begin:
            models, engines = await stack.enter_async_context(open_models(settings, begin))
        alone = settings.model_copy(update={"max_cost_in_flight": sys.maxsize})  # no one else is waiting
        app = create_app(models, engines, alone, Keyring(), calibrated=calibrated)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # they are in the log, and are a 500
        async with httpx.AsyncClient(transport=transport, base_url="http://winnow", timeout=None) as client:
            yield client


def credentials(settings: Settings) -> dict[str, str]:
    """Return the headers with the key for a remote service.

    Raises:
        SettingsError: The key cannot be sent.
    """
    key = key_of(settings)
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def key_of(settings: Settings) -> str | None:
    """Return the key for a remote service; None where none is set.

    Raises:
        SettingsError: It cannot be sent.
    """
    key = settings.api_key.get_secret_value() if settings.api_key else None
    if key is not None and not re.fullmatch(r"[!-~]+", key):
        raise SettingsError("WINNOW_API_KEY: a key has visible ASCII characters, and no spaces")
    return key


async def post_solve(
    client: httpx.AsyncClient,
    request: dict[str, Any],
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> dict[str, Any]:
    """Send a request to `POST /solve`, as `post` does."""
    return await post(client, "/solve", request, patience_s, sleep)


async def post(
    client: httpx.AsyncClient,
    route: str,
    request: dict[str, Any],
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> dict[str, Any]:
    """Send a request, and retry for as long as the service is busy.

    Args:
        client: Of the service.
        route: For example /solve.
        request: Its body.
        patience_s: Total seconds to wait for a busy service.
        sleep: Waits for seconds.

    Raises:
        UnreachableError: It did not respond, or is not a winnow service.
        RefusedError: It refused, or was busy for longer than `patience_s`.
    """
    waited_s = 0.0
    while True:
        try:
            response = await client.post(route, json=request)
        except httpx.HTTPError as error:
            if _may_be_too_large(error):
                raise RefusedError(f"{client.base_url} breaks off a request of {_size(error):,} bytes") from error
            told = str(error) or type(error).__name__
            raise UnreachableError(f"no answer from {client.base_url}: {told}") from error
        except (ValueError, RecursionError) as error:  # NaN, half of a surrogate pair
            raise _unsendable(error) from error
        if response.is_success:
            return _reply(response)
        wait_s = _retry_after_s(response)
        if wait_s is None or waited_s + wait_s > patience_s:
            raise RefusedError(reason_of(response))
        wait_s *= random.uniform(1, 1 + SPREAD)
        waited_s += wait_s
        await sleep(wait_s)


async def events_of(url: str, settings: Settings, request: dict[str, Any]) -> AsyncIterator[Event]:
    """Yield the events of a search on a remote service; the data of the last one is its reply.

    A stream that breaks goes on where the service can keep the search meanwhile. The search is stopped when its events
    are no longer read, and forgotten when all were.

    Raises:
        RefusedError: It was refused, or the service was busy for too long or is not there.
    """
    key = key_of(settings)
    async with AsyncWinnow(url, key, patience_s=PATIENCE_S) as winnow:
        try:
            try:
                async for event in _kept(winnow, request):
                    yield event
            except WinnowError as error:
                if error.code not in UNKEPT:
                    raise
                async for event in winnow.stream(**request):
                    yield event
        except WinnowError as error:
            raise RefusedError(with_hint(str(error), error.status, is_sent=key is not None)) from error
        except (ValueError, RecursionError) as error:
            raise _unsendable(error) from error


async def _kept(winnow: AsyncWinnow, request: dict[str, Any]) -> AsyncIterator[Event]:
    """Yield the events of a search with a name of its own, by which it is found again."""
    id = None
    try:
        async for event in winnow.stream(**request, idempotency_key=str(uuid4())):
            id = event.data.get("id") if event.name == "start" else id
            yield event
    finally:
        if id is not None:
            with suppress(WinnowError, TimeoutError):
                async with asyncio.timeout(STOP_WITHIN_S):
                    await winnow.delete(str(id))


def _may_be_too_large(error: httpx.HTTPError) -> bool:
    """Tell whether a service that reads on for a while may have closed on a request, whose refusal is lost then."""
    return not isinstance(error, UNSENT) and _size(error) > LARGE_BYTES


def _size(error: httpx.HTTPError) -> int:
    """Return the bytes of the body of the request that failed."""
    return int(error.request.headers.get("content-length", 0))


def _retry_after_s(response: httpx.Response) -> float | None:
    """Return the seconds until a retry; None if there should be none."""
    said = response.headers.get("retry-after", "")
    return max(float(said), 1.0) if response.status_code in BUSY and said.isdecimal() else None


def _reply(response: httpx.Response) -> dict[str, Any]:
    try:
        reply = response.json()
    except (ValueError, RecursionError):
        reply = None
    if not isinstance(reply, dict) or not {"id", "status", "timing"} <= reply.keys():
        raise UnreachableError(f"{response.url} is not a winnow service: check --url")
    return reply


def _unsendable(error: Exception) -> RefusedError:
    return RefusedError(f"the request cannot be sent as JSON: {error}")


def reason_of(response: httpx.Response) -> str:
    """Return why a service refused, in its words, and what to do where it is for the key."""
    try:
        reason = str(response.json()["error"]["message"])
    except (ValueError, LookupError, TypeError, RecursionError):  # a proxy's reply
        reason = f"{response.url} answers HTTP {response.status_code}"
    return with_hint(reason, response.status_code, is_sent="authorization" in response.request.headers)


def with_hint(reason: str, status: int | None, *, is_sent: bool) -> str:
    """Name the setting of the key behind a reason where a service refuses for lack of a good one.

    Args:
        reason: In the words of the service.
        status: Of its reply.
        is_sent: Whether a key was sent.
    """
    return f"{reason}; {UNKNOWN_KEY if is_sent else KEYLESS}" if status in REFUSES_KEYS else reason

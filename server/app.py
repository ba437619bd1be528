"""The app: routes, errors, guards and request ids around models that are ready."""

from collections.abc import AsyncIterator, Sequence, Set
from contextlib import asynccontextmanager
from importlib.metadata import version

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from opentelemetry.trace import NoOpTracer, Tracer
from starlette.middleware.cors import CORSMiddleware

from models.engine_client import RunningModel
from search.calibration.table import UNCALIBRATED, Calibrated
from search.expander import Models
from search.strategies import unable
from server.http.access import AccessMiddleware
from server.http.errors import install_error_handlers
from server.http.headers import HeadMiddleware, SecurityHeadersMiddleware
from server.http.interface import Interface
from server.http.limits import BodiesMiddleware, LimitsMiddleware
from server.keys import Keyring
from server.logs import is_request_id
from server.routes import answers, background, batch, docs, given, health, metrics, openai, solve
from server.routes.page import Page
from server.schemas import ErrorResponse
from server.settings import Settings, SettingsError
from server.solving.admission import Admission
from server.solving.background import Background
from server.solving.capacity import Lengths, capacity_of
from server.solving.kept import Amount, Store
from server.solving.metrics import CountRequests, Metrics
from server.solving.remembering import remembering
from server.solving.seen import Seen
from server.solving.siblings import Siblings
from server.solving.state import PlainPolicy, State

STATUSES = (400, 401, 408, 413, 414, 429, 431, 503)
"""Statuses with which any route may refuse."""


def create_app(
    models: Models,
    engines: Sequence[RunningModel],
    settings: Settings,
    keys: Keyring,
    *,
    plain: PlainPolicy | None = None,
    tracer: Tracer | None = None,
    calibrated: Calibrated = UNCALIBRATED,
    store: Store | None = None,
    siblings: Siblings | None = None,
) -> FastAPI:
    """Build the app.

    Args:
        models: Of searches.
        engines: The service is ready when all of these respond.
        settings: Limits and origins.
        keys: Accepted keys.
        plain: The policy, for OpenAI requests without a search; None refuses them.
        tracer: Of its searches; None traces nothing.
        calibrated: How `auto` spends a budget, and how probable answers are.
        store: Keeps searches that outlive their connection; None takes the one that the settings name.
        siblings: The processes that serve with this one; None where it is alone.
    """
    app = Interface(
        settings,
        needs_key=bool(keys),
        title="winnow",
        version=version("winnow"),
        summary="Search and verify: one answer, with its evidence.",
        docs_url=None,
        redoc_url=None,
        lifespan=_stopping,
        responses={status: {"model": ErrorResponse} for status in STATUSES},
    )
    capacity = capacity_of(settings, engines)
    admission = Admission(capacity.tokens, settings.queue_length)
    counts = Metrics(engines, admission)
    counts.capacity.labels(capacity.source).set(capacity.tokens)
    kept = _store(settings, has_keys=bool(keys)) if store is None else store
    counts.watch("background_searches", "Searches that outlive their connection, kept here.", lambda: len(kept))
    counts.watch("background_bytes", "Of their events and results.", lambda: kept.num_bytes)
    if kept.shared is not None:
        text = "Searches that all gateways keep in Redis."
        counts.watch("store_searches", text, lambda: (kept.shared or Amount()).num_searches)
        counts.watch("store_bytes", "Of their events and results.", lambda: (kept.shared or Amount()).num_bytes)
    app.state.winnow = State(
        models,
        engines,
        settings,
        admission,
        counts,
        tracer or NoOpTracer(),
        calibrated,
        kept,
        Seen(),
        Lengths(capacity),
        plain,
        remembering(models.verifier, settings.max_remembered_scores),
        siblings,
    )
    page = Page(settings, needs_key=bool(keys)) if settings.page else None
    _guard(app, settings, keys, frozenset(docs.FILES) | (page.paths if page else frozenset()))
    app.add_middleware(CountRequests, metrics=counts)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(CorrelationIdMiddleware, validator=is_request_id)
    for routes in (solve, background, batch, openai, answers, given, health, metrics, docs):
        app.include_router(routes.router)
    if page:
        app.include_router(page.router)
    install_error_handlers(app, unable(models.verifier))
    return app


def _store(settings: Settings, *, has_keys: bool) -> Store:
    """Return what keeps searches that outlive their connection.

    Raises:
        SettingsError: They are to be kept in Redis, whose client is not installed, or whose URL cannot be read.
    """
    local = Background(settings, has_keys=has_keys)
    if settings.store_url is None:
        return local
    try:
        from server.solving.shared import SharedBackground  # Redis' client, which one gateway does without
    except ImportError as error:
        raise SettingsError(f"store_url needs the package redis: pip install 'winnow[redis]' ({error})") from error
    try:
        return SharedBackground(local, settings.store_url.get_secret_value(), settings, has_keys=has_keys)
    except ValueError as error:
        raise SettingsError(f"store_url: {error}") from error


@asynccontextmanager
async def _stopping(app: FastAPI) -> AsyncIterator[None]:
    """Keep searches that no connection waits for; stop them once the connections have ended."""
    await app.state.winnow.background.open()
    yield
    await app.state.winnow.background.close()


def _guard(app: FastAPI, settings: Settings, keys: Keyring, without_key: Set[str]) -> None:
    """Wrap the app in the middleware that guards it, the innermost first."""
    app.add_middleware(BodiesMiddleware, settings=settings)
    app.add_middleware(
        AccessMiddleware, keys=keys, trusted_proxies=settings.trusted_proxies or (), without_key=without_key
    )
    if settings.cors_origins:
        origins = settings.cors_origins.replace(",", " ").split()
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=["Location", "Retry-After", "X-Request-ID"],
        )
    app.add_middleware(LimitsMiddleware, settings=settings)
    app.add_middleware(SecurityHeadersMiddleware)

"""Metrics for Prometheus: requests, searches, and both engines together.

The app has a registry of its own. vLLM's metrics come from its engines' registries and are merged by name; the label
`model_name` distinguishes policy and verifier.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.engine_client import RunningModel
from search.solve import SearchResult, Status
from search.strategies import Parts, strategies
from server.errors import ClientDisconnectedError
from server.http.errors import CLIENT_CLOSED_REQUEST
from server.keys import Client
from server.schemas import Timing
from server.solving.admission import Admission

logger = logging.getLogger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
"""Counted by name; clients may invent any number of others."""
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)
SHARES = tuple(tenth / 10 for tenth in range(1, 11))
ROUNDS = (1, 2, 4, 6, 8, 12, 16, 24, 40)


class Metrics:
    """The service's metrics.

    Args:
        engines: Their own metrics are included.
        admission: The queue to report on.
    """

    def __init__(self, engines: Sequence[RunningModel], admission: Admission) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_EngineMetrics(engines))
        ProcessCollector(registry=self.registry)
        for name, text, value in (
            ("queued_searches", "Searches waiting for their turn.", lambda: admission.num_queued),
            ("tokens_in_flight", "Tokens that running searches are charged with.", lambda: admission.in_flight),
            ("event_loop_tasks", "Tasks of the service's event loop.", lambda: len(asyncio.all_tasks())),
        ):
            self.watch(name, text, value)
        self.capacity = self._gauge(
            "capacity_tokens", "Tokens that running searches may be charged with, and what says so.", "source"
        )
        self.response_tokens = self._gauge(
            "response_tokens", "What nine in ten of the latest searches took at most for each response.", "strategy"
        )
        self.requests = self._counter("http_requests", "Answered requests.", "method", "route", "status")
        self.request_seconds = self._histogram(
            "http_request_seconds", "Time from request to last byte.", SECONDS, "route"
        )
        self.requests_in_flight = Gauge(
            "winnow_http_requests_in_flight", "Requests not answered yet.", registry=self.registry
        )
        self.searches_in_flight = Gauge(
            "winnow_searches_in_flight", "Searches not finished yet.", registry=self.registry
        )
        self.searches = self._counter("searches", "Searches that ended.", "strategy", "status")
        self.search_seconds = self._histogram("search_seconds", "Time of a search.", SECONDS, "strategy")
        self.queue_seconds = self._histogram("queue_seconds", "Time that a search waited for its turn.", SECONDS)
        self.rounds = self._histogram("search_rounds", "Expansions, one after the other.", ROUNDS, "strategy")
        self.candidates = self._counter("candidates", "Candidates brought to an end.", "strategy")
        self.candidates_saved = self._counter(
            "candidates_saved", "Candidates not needed, since the vote was decided.", "strategy"
        )
        self.judged = self._counter("judged_responses", "Responses of clients that were judged.", "status")
        self.tokens = self._counter("tokens", "Tokens of searches, generated and judged.", "kind")
        self.agreement = self._histogram("agreement", "Share of responses that give the answer.", SHARES)
        self.score_spread = self._histogram("score_spread", "Standard deviation of scores.", SHARES)
        self.best_minus_mean = self._histogram("best_minus_mean", "Best score less the mean.", SHARES)
        self.warnings = self._counter("warnings", "Signs of a search that cannot be trusted.", "warning")

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show a value as it is whenever somebody looks."""
        Gauge(f"winnow_{name}", text, registry=self.registry).set_function(value)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format; call it in the event loop."""
        return generate_latest(self.registry)

    @contextmanager
    def search(self, strategy: str, n: int) -> Iterator[Callable[[SearchResult, Timing], None]]:
        """Count one search, as failed or cancelled unless the yielded function is called with its result."""
        status = "failed"

        def record(result: SearchResult, timing: Timing) -> None:
            nonlocal status
            status = result.status.value
            self._record(strategy, n, result, timing)

        self.searches_in_flight.inc()
        try:
            yield record
        except asyncio.CancelledError:
            status = "cancelled"
            raise
        finally:
            self.searches_in_flight.dec()
            self.searches.labels(strategy, status).inc()

    def _record(self, strategy: str, n: int, result: SearchResult, timing: Timing) -> None:
        meter, diagnostics = result.meter, result.diagnostics
        self.search_seconds.labels(strategy).observe(timing.search_s)
        self.queue_seconds.observe(timing.queue_s)
        self.rounds.labels(strategy).observe(result.rounds)
        self.candidates.labels(strategy).inc(len(result.final_candidates))
        if strategies()[strategy].parts is Parts.RESPONSES and result.status is Status.COMPLETE:
            self.candidates_saved.labels(strategy).inc(n - len(result.final_candidates))
        for kind in ("completion", "verifier", "verifier_cached"):
            self.tokens.labels(kind).inc(getattr(meter, f"{kind}_tokens"))
        for histogram, value in (
            (self.agreement, diagnostics.agreement),
            (self.score_spread, diagnostics.score_std),
            (self.best_minus_mean, diagnostics.best_minus_mean),
        ):
            if value is not None:
                histogram.observe(value)
        for caution in diagnostics.warnings:
            self.warnings.labels(caution.sign.value).inc()

    def record_judged(self, result: SearchResult, timing: Timing) -> None:
        """Count the judged responses of one request."""
        self.queue_seconds.observe(timing.queue_s)
        self.judged.labels(result.status.value).inc(len(result.candidates))
        for kind in ("verifier", "verifier_cached"):
            self.tokens.labels(kind).inc(getattr(result.meter, f"{kind}_tokens"))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"winnow_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"winnow_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"winnow_{name}", text, labels, buckets=buckets, registry=self.registry)


class CountRequests:
    """Middleware that counts each request once, by its route; 499 means that the client left before the end.

    Logs a line for every 4xx.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        metrics, started, status, is_whole = self._metrics, time.perf_counter(), 500, True
        scope.setdefault("state", {})["arrived"] = started

        async def note_status(message: Message) -> None:
            nonlocal status, is_whole
            if message["type"] == "http.response.start":
                status, is_whole = message["status"], False
            await send(message)
            if message["type"] == "http.response.body":
                is_whole = not message.get("more_body", False)

        metrics.requests_in_flight.inc()
        try:
            await self._app(scope, receive, note_status)
        except (asyncio.CancelledError, ClientDisconnectedError):
            status = CLIENT_CLOSED_REQUEST
            raise
        finally:
            status = status if is_whole else CLIENT_CLOSED_REQUEST
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in METHODS else "other"
            metrics.requests_in_flight.dec()
            metrics.requests.labels(method, route, str(status)).inc()
            metrics.request_seconds.labels(route).observe(time.perf_counter() - started)
            if 400 <= status < 500:
                client = scope.get("state", {}).get("client")
                name = client.name if isinstance(client, Client) else "-"
                logger.info("refused %s %s status=%d client=%s", method, route, status, name)


class _EngineMetrics(Collector):
    """Merges the metrics of several engines."""

    def __init__(self, engines: Sequence[RunningModel]) -> None:
        self._engines = engines

    def describe(self) -> Iterable[Metric]:
        return ()  # known only when scraped: an engine that restarts has new ones

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for engine in self._engines:
            for family in engine.metrics.collect():
                known = families.setdefault(family.name, family)
                if known is not family:
                    known.samples.extend(family.samples)
        restarts = CounterMetricFamily(
            "winnow_engine_restarts", "Times an engine was started again.", labels=("engine",)
        )
        for engine in self._engines:
            restarts.add_metric((engine.name,), engine.num_restarts)
        return (*families.values(), restarts)

"""Traces of searches for OpenTelemetry: a span a search, and in it a span for each round.

Without an exporter (`otlp_endpoint` is not set) the spans are those of OpenTelemetry's API that do nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, Tracer

from search.candidate import Candidate
from search.observer import Choice, Decision, Loss, Observer
from search.voting import Tally
from server.schemas import SolveRequest, SolveResponse


@contextmanager
def traces_to(endpoint: str | None) -> Iterator[Tracer]:
    """Yield the service's tracer; spans not sent yet are sent at the end of the context.

    Args:
        endpoint: URL for OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces; None traces nothing.
    """
    if endpoint is None:
        yield trace.NoOpTracer()
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "winnow"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    try:
        yield provider.get_tracer("winnow")
    finally:
        provider.shutdown()


class SearchSpan:
    """An observer that opens a span for each round of a search, and forwards everything."""

    def __init__(self, tracer: Tracer, span: Span, observer: Observer) -> None:
        self._tracer = tracer
        self._context = trace.set_span_in_context(span)
        self._observer = observer
        self._num_rounds = 0
        self._round: Span | None = None

    def on_growth(self, candidate: Candidate) -> None:
        if len(candidate.path) > self._num_rounds:
            self._num_rounds = len(candidate.path)
            self.end_round()
            self._round = self._tracer.start_span(f"round {self._num_rounds}", self._context)
        self._observer.on_growth(candidate)

    def on_loss(self, loss: Loss) -> None:
        if self._round is not None:
            self._round.add_event("candidate lost", {"error": str(loss.error)})
        self._observer.on_loss(loss)

    def on_choice(self, choice: Choice) -> None:
        self._observer.on_choice(choice)

    def on_votes(self, tally: Callable[[], Tally[Candidate]]) -> None:
        self._observer.on_votes(tally)

    def on_decision(self, decision: Decision) -> None:
        self._observer.on_decision(decision)

    def end_round(self) -> None:
        """End the span of the current round."""
        if self._round is not None:
            self._round.end()


@contextmanager
def search_span(tracer: Tracer, request: SolveRequest, observer: Observer) -> Iterator[tuple[Span, SearchSpan]]:
    """Yield the span of a search, which is the current one, and the observer that fills it."""
    attributes: dict[str, str | int] = {"winnow.strategy": request.strategy, "winnow.n": request.n}
    with tracer.start_as_current_span("search", attributes=attributes) as span:
        rounds = SearchSpan(tracer, span, observer)
        try:
            yield span, rounds
        finally:
            rounds.end_round()


def describe(span: Span, reply: SolveResponse) -> None:
    """Add the outcome of a search to its span."""
    span.set_attributes(
        {
            "winnow.status": reply.status,
            "winnow.answered": reply.answer is not None,
            "winnow.completion_tokens": reply.usage.completion_tokens,
            "winnow.verifier_tokens": reply.usage.verifier_tokens,
            "winnow.rounds": reply.usage.rounds,
        }
    )

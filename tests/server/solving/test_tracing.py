"""Traces: a span a search, and in it a span for each round."""

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from search.answers.pool import AnswerPool
from search.expander import Models
from tests.natures import Tree, answer, step
from tests.server.conftest import listening
from tests.server.test_solve import solve
from tests.worlds import World


async def test_a_search_has_a_span_and_so_has_each_round() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    world = World(Tree(step("a", 0.5, answer("1", 0.5))))
    async with (
        AnswerPool(num_workers=1) as reader,
        listening(Models(world.policy, world.verifier, reader), tracer=provider.get_tracer("test")) as client,
    ):
        reply = await solve(client, strategy="beam_search", n=2, beam_width=2)
    *rounds, search = exporter.get_finished_spans()
    assert [span.name for span in rounds] == ["round 1", "round 2"]
    assert {span.parent.span_id for span in rounds if span.parent} == {search.context.span_id}
    assert search.attributes is not None
    assert search.attributes["winnow.strategy"] == "beam_search"
    assert search.attributes["winnow.completion_tokens"] == reply["usage"]["completion_tokens"]

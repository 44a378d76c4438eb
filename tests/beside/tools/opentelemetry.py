"""OpenTelemetry: a span for each statement that psycopg is given."""

from typing import Any

from tests.beside.tool import MOMENTS, Tool


class Psycopg(Tool):
    """PsycopgInstrumentor: psycopg's connect() is given a cursor factory."""

    package = "opentelemetry.instrumentation.psycopg"
    moments = MOMENTS

    def hook(self) -> None:
        from opentelemetry import trace
        from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
            InMemorySpanExporter,
        )

        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        trace.set_tracer_provider(provider)
        PsycopgInstrumentor().instrument()

    def watching(self) -> Any:
        from opentelemetry import trace

        return trace.get_tracer("tests").start_as_current_span("program")

    def seen(self) -> Any:
        spans = self.exporter.get_finished_spans()
        names = {span.context.span_id: span.name for span in spans}
        return [
            [
                span.name,
                span.attributes.get("db.statement")
                or span.attributes.get("db.query.text"),
                names[span.parent.span_id] if span.parent else None,
            ]
            for span in spans
        ]


class PsycopgPooled(Psycopg):
    """With a pool, whose own thread or task connects: no span is its parent."""

    options = {"pool": {"min_size": 1, "max_size": 1}}
    moments = MOMENTS[:1]


class PsycopgInARequest(Psycopg):
    """With DjangoInstrumentor the spans are children of the request's."""

    package = "opentelemetry.instrumentation.django"
    moments = MOMENTS[:1]
    in_a_request = True

    def hook(self) -> None:
        from opentelemetry.instrumentation.django import DjangoInstrumentor

        super().hook()
        DjangoInstrumentor().instrument()

    watching = Tool.watching

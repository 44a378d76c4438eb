"""ddtrace: a span for each statement, from psycopg and from Django."""

from typing import Any

from tests.beside.tool import MOMENTS, Tool


class Datadog(Tool):
    package = "ddtrace"
    moments = MOMENTS

    def hook(self) -> None:
        import ddtrace
        from ddtrace.trace import TraceFilter, tracer

        spans: list[Any] = []
        self.spans = spans

        class Kept(TraceFilter):
            def process_trace(self, trace: Any) -> None:
                spans.extend(trace)

        tracer.configure(trace_processors=[Kept()])
        ddtrace.patch(psycopg=True, django=True)

    def watching(self) -> Any:
        from ddtrace.trace import tracer

        return tracer.trace("program")

    def seen(self) -> Any:
        from ddtrace.trace import tracer

        tracer.flush()
        names = {span.span_id: [span.name, span.resource] for span in self.spans}
        return [
            [span.name, span.resource, names.get(span.parent_id)] for span in self.spans
        ]

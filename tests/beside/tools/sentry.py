"""sentry-sdk: a span for each statement of a transaction, and for each connect."""

from collections.abc import Iterator
from typing import Any

from tests.beside.tool import MOMENTS, Tool


class Sentry(Tool):
    """The SDK as it is started in settings.py, or later."""

    package = "sentry_sdk"
    moments = MOMENTS

    def hook(self) -> None:
        import sentry_sdk
        from sentry_sdk.transport import Transport

        envelopes: list[Any] = []
        self.envelopes = envelopes

        class Kept(Transport):
            def capture_envelope(self, envelope: Any) -> None:
                envelopes.append(envelope)

        sentry_sdk.init(
            dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0, transport=Kept
        )

    def watching(self) -> Any:
        import sentry_sdk

        return sentry_sdk.start_transaction(name="program", op="program")

    def seen(self) -> Any:
        import sentry_sdk

        sentry_sdk.flush()
        return [
            seen
            for envelope in self.envelopes
            for item in envelope.items
            if item.headers.get("type") == "transaction"
            for seen in _spans(item.payload.json)
        ]


def _spans(transaction: dict[str, Any]) -> Iterator[list[str]]:
    names = {transaction["contexts"]["trace"]["span_id"]: transaction["transaction"]}
    names |= {span["span_id"]: span["description"] for span in transaction["spans"]}
    for span in transaction["spans"]:
        if span["op"].startswith("db"):
            yield [span["op"], span["description"], names[span["parent_span_id"]]]


class SentryInARequest(Sentry):
    """Its Django integration makes the request's transaction."""

    moments = MOMENTS[:1]
    in_a_request = True

    watching = Tool.watching

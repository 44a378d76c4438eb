"""Requests to an application without a server, and the rows that its views read and write."""

import asyncio
from collections.abc import Callable
from typing import Any

from django.db import connections

from django_async_fast.asgi import get_asgi_application
from tests.testapp.models import Author, Book, Tag


class Exchange:
    """One request to an application, and what was sent."""

    def __init__(
        self,
        application: Any,
        url: str,
        body: bytes | list[bytes] = b"",
        headers: dict[str, str] | None = None,
        **scope: Any,
    ) -> None:
        target, _, query = url.partition("?")
        head = {"host": "testserver", **(headers or {})}
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": target,
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode()) for k, v in head.items()],
            **scope,
        }
        self.application = application
        self.bodies = [body] if isinstance(body, bytes) else list(body)
        self.left = asyncio.Event()
        self.sent: list[dict[str, Any]] = []
        self.first_byte = asyncio.Event()
        self.send_slowly: asyncio.Event | None = None

    async def receive(self) -> dict[str, Any]:
        if self.bodies:
            part = self.bodies.pop(0)
            more = bool(self.bodies)
            return {"type": "http.request", "body": part, "more_body": more}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        if message.get("body"):
            self.first_byte.set()
        if self.send_slowly is not None:
            await self.send_slowly.wait()

    def start(self) -> asyncio.Task[None]:
        call = self.application(self.scope, self.receive, self.send)
        return asyncio.ensure_future(call)

    async def run(self) -> "Exchange":
        await self.start()
        return self

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return self.sent[0]["headers"]

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


class Noting(Exchange):
    """Calls a function before each message is sent."""

    def __init__(self, url: str, note: Callable[[str], None]) -> None:
        super().__init__(get_asgi_application(), url)
        self.note = note

    async def send(self, message: dict[str, Any]) -> None:
        self.note(message["type"])
        await super().send(message)


async def get(url: str, application: Any = None, **more: Any) -> Exchange:
    return await Exchange(application or get_asgi_application(), url, **more).run()


def books() -> None:
    """Create three authors, six books and five tags."""
    authors = Author.objects.bulk_create(Author(name=f"author {i}") for i in range(3))
    Book.objects.bulk_create(
        Book(title=f"book {i}", author=authors[i % 3]) for i in range(6)
    )
    Tag.objects.bulk_create(Tag(name=f"t{i}") for i in range(5))
    connections.close_all()

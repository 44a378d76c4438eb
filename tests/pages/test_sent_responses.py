"""What the handler sends of a response: what Django's would."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest import mock

from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from django_async_fast.requests.handler import Handler
from tests.support.noted import noted


class Sending(ASGIHandler):
    """Django's, without a chain."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Load none."""


class OurSending(Handler):
    """Ours, without a chain."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Load none."""


def _sent(handler: Any, made: Any) -> list[Any]:
    found: list[Any] = []

    async def send(message: Any) -> None:
        found.append(message)

    asyncio.run(handler.send_response(made, send))
    return found


async def _parts() -> AsyncIterator[str]:
    yield "a"
    yield "b"


def _responses() -> Iterator[Any]:
    long = b"x" * (ASGIHandler.chunk_size + 1)
    for content in (b"", "é", long, long[1:]):
        yield HttpResponse(content, headers={"A": "é", "B": "€", "c": 5})
    yield StreamingHttpResponse(_parts())
    with_cookie = HttpResponse("x")
    with_cookie.set_cookie("a", "b")
    yield with_cookie
    several = HttpResponse(["a"])
    several.write("b")
    yield several
    odd = HttpResponse()
    odd.headers._store[b"odd"] = (b"Odd", b"1")  # type: ignore[attr-defined]
    odd.headers._store["b"] = ("B", memoryview(b"2"))  # type: ignore[attr-defined]
    yield odd
    elsewhere = HttpResponse()
    elsewhere.items = lambda: [("A", "b")]  # type: ignore[assignment, method-assign]
    yield elsewhere
    yield _Asked("asked")


class _Asked(HttpResponse):
    def __getattribute__(self, name: str) -> Any:
        if name == "items":
            return lambda: [("A", "b")]
        return super().__getattribute__(name)


def test_what_is_sent_is_what_django_sends() -> None:
    for ours, stock in zip(_responses(), _responses(), strict=True):
        assert _sent(OurSending(), ours) == _sent(Sending(), stock)


def test_who_sends_otherwise_is_asked() -> None:
    class Chunks(OurSending):
        chunk_size = 2

    assert len(_sent(Chunks(), HttpResponse("abc"))) == 3
    with noted(HttpResponseBase, "items") as asked:
        _sent(OurSending(), HttpResponse("abc"))
    assert len(asked) == 1
    handler = OurSending()
    chunks = classmethod(lambda cls, data: iter([(b"own", True)]))
    with mock.patch.object(ASGIHandler, "chunk_bytes", chunks):
        assert _sent(handler, HttpResponse("abc"))[1]["body"] == b"own"
    with mock.patch.object(handler, "chunk_bytes", return_value=[(b"own", True)]):
        assert _sent(handler, HttpResponse("abc"))[1]["body"] == b"own"

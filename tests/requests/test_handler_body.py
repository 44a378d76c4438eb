"""The body of a request: where it is kept, and whose code reads it."""

import io
import tempfile
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse

from django_async_fast.asgi import get_asgi_application
from django_async_fast.requests.request_block import in_request
from tests.support.noted import noted

from .exchanges import Noting, get

pytestmark = pytest.mark.usefixtures("served")

LIMIT = 10


def seeing(application: ASGIHandler, seen: list[Any]) -> ASGIHandler:
    """Let `application` note where the body is on disk, and what it is."""

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(getattr(request._stream, "_rolled", False))
        seen.append((request.read(2), request.read()))
        return HttpResponse("read")

    async def awaited(request: HttpRequest) -> HttpResponse:
        return view(request)

    application._middleware_chain = (
        awaited if type(application) is ASGIHandler else view
    )
    return application


@pytest.mark.parametrize("limit", [LIMIT, 0, None])
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"x", b"x" * LIMIT, b"x" * (LIMIT + 1)),
        *([b"", b""], [b"x", b""], [b"", b"x" * (LIMIT + 1)], [b"abc", b"def"]),
        [bytearray(b"abc")],
    ],
    ids=repr,
)
async def test_it_is_where_django_has_it(
    body: Any, limit: int | None, settings_override: Any
) -> None:
    settings_override(FILE_UPLOAD_MAX_MEMORY_SIZE=limit)
    found: list[Any] = []
    for application in (ASGIHandler(), get_asgi_application()):
        seen: list[Any] = []
        exchange = await get("/", seeing(application, seen), body=body, method="POST")
        assert exchange.body == b"read"
        found.append(seen)
    djangos, ours = found
    assert ours == djangos


async def test_one_that_is_short_and_whole_needs_no_file() -> None:
    made: list[Any] = []

    def view(request: HttpRequest) -> HttpResponse:
        made.append(type(request._stream))
        return HttpResponse("read")

    application = get_asgi_application()
    application.get_response = view
    await get("/", application)
    await get("/", application, body=b"abc", method="POST")
    await get("/", application, body=[b"abc", b""], method="POST")
    assert made == [io.BytesIO, io.BytesIO, tempfile.SpooledTemporaryFile]


async def test_a_tool_that_reads_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    django_read_body = ASGIHandler.read_body

    async def read_body(self: Any, receive: Any) -> Any:
        async def inner() -> Any:
            message = await receive()
            read.append(message["body"])
            return message

        return await django_read_body(self, inner)

    application = seeing(get_asgi_application(), [])
    await get("/", application, body=b"abc", method="POST")
    monkeypatch.setattr(ASGIHandler, "read_body", read_body)
    await get("/", application, body=b"def", method="POST")
    await get("/", application, body=[b"g", b"h"], method="POST")
    assert read == [b"def", b"g", b"h"]


async def test_a_request_is_served_until_its_block_has_ended() -> None:
    served: list[bool] = []
    exchange = Noting("/plain", lambda message: served.append(in_request()))

    def view(request: HttpRequest) -> HttpResponse:
        served.append(in_request())
        return HttpResponse("served")

    exchange.application.get_response = view
    await exchange.run()
    assert served == [True, False, False]
    assert not in_request()


async def test_a_tool_that_asks_for_its_file_is_asked() -> None:
    with noted(tempfile, "SpooledTemporaryFile") as asked:
        assert (await get("/body_length", body=b"x", method="POST")).status
    assert len(asked) == 1

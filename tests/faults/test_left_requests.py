"""A request broken off at every await, from the middleware to the last part sent.

In Django's handler behind `ConnectionMiddleware`, and in the package's application.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import django
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from django_async_fast.requests import handler as ours
from tests.support.configured import configured, pool_is_whole, pool_options
from tests.support.every_await import HOWS, MOST, Closed, Steps, is_stuck, run
from tests.support.uncollected import frozen
from tests.testapp.models import Author, Tag

from .conftest import Watch
from .scenarios import TAGS, fill

MIDDLEWARE = "django_async_fast.middleware.ConnectionMiddleware"

pytestmark = pytest.mark.skipif(
    django.VERSION < (6, 1),
    reason="before 6.1, Django's handler leaves the view's task and the body's file",
)


async def plain(request: HttpRequest) -> HttpResponse:
    async with transaction.atomic():
        await Tag.objects.acreate(name="a")
        async with transaction.atomic():
            await Tag.objects.acreate(name="b")
    return HttpResponse(str(await Author.objects.acount()))


def synchronous(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        Tag.objects.create(name="a")
        with transaction.atomic():
            Tag.objects.create(name="b")
    return HttpResponse(str(Author.objects.count()))


def parts(request: HttpRequest) -> StreamingHttpResponse:
    synchronous(request)
    authors = Author.objects.all()[:4].iterator(chunk_size=2)
    return StreamingHttpResponse(author.name for author in authors)


async def streaming(request: HttpRequest) -> StreamingHttpResponse:
    await plain(request)
    return StreamingHttpResponse(names())


async def in_atomic(request: HttpRequest) -> StreamingHttpResponse:
    await plain(request)
    return StreamingHttpResponse(names_in_atomic())


async def names() -> AsyncIterator[str]:
    async for author in Author.objects.all()[:4].aiterator(chunk_size=2):
        yield author.name


async def names_in_atomic() -> AsyncIterator[str]:
    async with transaction.atomic():
        async for name in names():
            yield name


VIEWS = {"plain": plain, "streaming": streaming, "in_atomic": in_atomic}
# Which Django puts in threads.
SYNC_VIEWS = {"synchronous": synchronous, "parts": parts}
urlpatterns = [path(name, view) for name, view in (VIEWS | SYNC_VIEWS).items()]


class Handler:
    """Breaks one request off at one of its awaits."""

    def __init__(self, at: int, how: str) -> None:
        super().__init__()
        self.at = at
        self.how = how
        self.count = 0

    @property
    def happened(self) -> bool:
        return self.count >= self.at

    async def stepped(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        steps = Steps(coroutine, self.at - self.count, self.how)
        try:
            return await steps
        finally:
            self.count += steps.count


class Djangos(Handler, ASGIHandler):
    """At those of making or sending the response: the task group is Django's."""

    async def run_get_response(self, request: Any) -> Any:
        return await self.stepped(super().run_get_response(request))

    async def send_response(self, response: Any, send: Any) -> None:
        await self.stepped(super().send_response(response, send))


class Ours(Handler, ours.Handler):
    """At all of them."""

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await self.stepped(super().handle(scope, receive, send))


async def serve(handler: Any, view: str) -> int:
    """Return how many parts of a body were sent, as a server that waits for each."""
    sent: list[Any] = []
    first = [{"type": "http.request", "body": b""}]

    async def receive() -> Any:
        if first:
            return first.pop()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/{view}",
        "headers": [(b"host", b"localhost")],
        "query_string": b"",
    }
    await handler(scope, receive, send)
    assert sent[0]["status"] == 200
    return len(sent[1:])


PARTS = {"plain": 1, "streaming": 5, "in_atomic": 5, "synchronous": 1, "parts": 5}


async def at_every_await(watch: Watch, kind: Any, view: str, how: str) -> None:
    for at in range(1, MOST):
        fill(watch)
        happened, sent = await _broken_off(kind(at, how), view, how)
        if how == "close":
            gc.collect()  # it is what destroys tasks
        await watch.idle()
        left = watch.value(TAGS)
        assert left in ("", "a,b"), f"at await {at}: {left}"
        await pool_is_whole()
        if not happened:
            assert (sent, left) == (PARTS[view], "a,b")
            return
    raise AssertionError("the request has no end")


async def _broken_off(handler: Any, view: str, how: str) -> tuple[bool, int | None]:
    request = asyncio.create_task(serve(handler, view))
    await asyncio.wait([request])
    if not handler.happened:
        return False, request.result()
    if how == "close":
        error = request.exception()
        assert isinstance(error, Closed) or is_stuck(error)
    else:
        assert request.cancelled(), request
    return True, None


SERVED = [
    *((Djangos, [MIDDLEWARE], view) for view in VIEWS),
    *((Ours, [], view) for view in VIEWS | SYNC_VIEWS),
]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(("handler", "middleware", "view"), SERVED)
def test_f23_a_request_is_broken_off(
    watch: Watch,
    handler: Any,
    middleware: list[str],
    view: str,
    how: str,
    loop: str,
    settings_override: Callable[..., None],
) -> None:
    settings_override(ROOT_URLCONF=__name__, MIDDLEWARE=middleware, ALLOWED_HOSTS=["*"])
    with configured(OPTIONS=pool_options()), frozen():
        run(loop, at_every_await(watch, handler, view, how))

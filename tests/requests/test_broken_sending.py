"""A response broken off at every await of making and sending it, beside another one."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import get_script_prefix, path
from django.utils import translation

from django_async_fast.asgi import get_asgi_application
from tests.support.configured import configured, pool_is_whole, pool_options
from tests.support.every_await import HOWS, MOST, broken_off, run
from tests.support.signals import receiving
from tests.support.uncollected import frozen
from tests.testapp.models import Tag

from .exchanges import Exchange

kept = threading.local()
# What has been told of the request that is broken off.
told: list[str] = []


def of_this(name: str) -> None:
    kept.name = name
    translation.activate(name)


def whoever() -> tuple[Any, ...]:
    return getattr(kept, "name", None), translation.get_language(), get_script_prefix()


def noting(response: Any) -> Any:
    told.append("made")
    response._resource_closers.append(lambda: told.append("closed"))
    return response


def page(request: HttpRequest) -> HttpResponse:
    of_this("de")
    return noting(HttpResponse(str(Tag.objects.count())))


def large(request: HttpRequest) -> HttpResponse:
    of_this("de")
    return noting(HttpResponse(b"x" * 150_000 + str(Tag.objects.count()).encode()))


def with_a_cookie(request: HttpRequest) -> HttpResponse:
    response = page(request)
    response.set_cookie("a", "b")
    return response


def parts(request: HttpRequest) -> StreamingHttpResponse:
    def each() -> Iterator[str]:
        of_this("de")
        for _ in range(2):
            yield str(Tag.objects.count())

    return noting(StreamingHttpResponse(each()))


async def parts_async(request: HttpRequest) -> StreamingHttpResponse:
    async def each() -> AsyncIterator[str]:
        of_this("de")
        for _ in range(2):
            yield str(await Tag.objects.acount())

    return noting(StreamingHttpResponse(each()))


class Other:
    """A request that stays, and says each time what it sees."""

    asked: asyncio.Event
    answers: asyncio.Queue[Any]

    async def view(self, request: HttpRequest) -> HttpResponse:
        of_this("fr")
        self.answers.put_nowait(None)
        while not self.asked.is_set():
            await self.asked.wait()
            self.asked.clear()
            self.answers.put_nowait(whoever())
        return HttpResponse("never")

    async def sees(self) -> Any:
        self.asked.set()
        return await asyncio.wait_for(self.answers.get(), 10)


other = Other()
VIEWS = page, large, with_a_cookie, parts, parts_async
urlpatterns = [path(view.__name__, view) for view in VIEWS]
urlpatterns.append(path("other", other.view))


class Slow(Exchange):
    """Each message takes a while, before it is sent and after that."""

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        return await super().receive()

    async def send(self, message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        await super().send(message)
        await asyncio.sleep(0)

    async def __call__(self) -> None:
        await self.application(self.scope, self.receive, self.send)


async def at_every_await(view: str, how: str) -> None:
    other.asked, other.answers = asyncio.Event(), asyncio.Queue()
    application = get_asgi_application()
    await Slow(application, f"/{view}").run()  # which opens the pool
    beside = Slow(application, "/other", root_path="/beside").start()
    await other.answers.get()
    before = whoever()
    for at in range(1, MOST):
        told.clear()
        exchange = Slow(application, f"/below/{view}", root_path="/below")
        happened, _ = await broken_off(exchange, at, how)
        if how == "close":
            gc.collect()  # it is what destroys tasks
        seen = sorted(told)
        assert seen in ENDS, f"at await {at}: {told}"
        assert await other.sees() == ("fr", "fr", "/beside/"), f"at await {at}"
        assert whoever() == before
        await pool_is_whole()
        if not happened:
            assert (seen, exchange.status) == (ENDS[-1], 200)
            break
    else:
        raise AssertionError("the request has no end")
    assert exchange.sent[-1].get("more_body", False) is False
    beside.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beside


# Before it began, before there was a response, and with one.
ENDS = [[], ["finished", "started"], ["closed", "finished", "made", "started"]]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("view", [view.__name__ for view in VIEWS])
def test_a_response_is_broken_off(view: str, how: str, settings_override: Any) -> None:
    def started(scope: Any, **kwargs: Any) -> None:
        if scope["path"] != "/other":
            told.append("started")

    def finished(**kwargs: Any) -> None:
        told.append("finished")

    settings_override(ROOT_URLCONF=__name__, MIDDLEWARE=[], ALLOWED_HOSTS=["*"])
    with (
        receiving(started, request_started),
        receiving(finished, request_finished),
        configured(OPTIONS=pool_options()),
        frozen(),
    ):
        run("asyncio", at_every_await(view, how))

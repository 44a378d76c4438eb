"""get_asgi_application(): Django's handler and ours, given the same requests."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import io
import os
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asgiref.local import Local
from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.core.signals import request_finished, request_started
from django.db import connection, connections, transaction
from django.dispatch import Signal
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone, translation
from django.utils.decorators import async_only_middleware, sync_only_middleware

from bench.pages import site
from django_async_fast import _native, new_connection, run_sync
from django_async_fast.asgi import get_asgi_application
from django_async_fast.bridge import driving
from django_async_fast.connections.blocks import current_block
from django_async_fast.requests import clients
from django_async_fast.test import shared_connection
from tests.support.counted import Counted
from tests.support.request_sessions import gone
from tests.testapp.models import Author, Book, Tag

pytestmark = pytest.mark.usefixtures("served")

seen: dict[str, Any] = {}
kept = threading.local()
asgirefs = Local()

MIDDLEWARE = [path for path in site.MIDDLEWARE if "messages" not in path]


@pytest.fixture
def served(settings_override: Callable[..., None]) -> Iterator[None]:
    settings_override(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=MIDDLEWARE,
        LOGGING_CONFIG=None,
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    )
    seen.clear()
    yield
    seen.clear()


@pytest.fixture
def no_new_threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


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

    async def run(self) -> Exchange:
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


async def get(url: str, application: Any = None, **more: Any) -> Exchange:
    return await Exchange(application or get_asgi_application(), url, **more).run()


# ----- views


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


async def plain_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


def described(request: HttpRequest) -> HttpResponse:
    response = JsonResponse(
        {
            "path": request.path,
            "info": request.path_info,
            "uri": request.build_absolute_uri(),
            "get": dict(request.GET.lists()),
            "cookies": request.COOKIES,
            "scheme": request.scheme,
            "method": request.method,
        }
    )
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


def posted(request: HttpRequest) -> HttpResponse:
    files = {
        name: [file.name, len(file.read()), type(file).__name__]
        for name, file in request.FILES.items()
    }
    return JsonResponse({"post": dict(request.POST.lists()), "files": files})


def body_length(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(request.body)))


def failing(request: HttpRequest) -> HttpResponse:
    Tag.objects.create(name="failing")
    raise ValueError("failing")


async def failing_async(request: HttpRequest) -> HttpResponse:
    await Tag.objects.acreate(name="failing")
    raise ValueError("failing")


@transaction.non_atomic_requests
async def failing_non_atomic(request: HttpRequest) -> HttpResponse:
    return await failing_async(request)


def nothing(request: HttpRequest) -> None:
    return None


def redirecting(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/plain")


def large(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"x" * 200_000)


def file_response(request: HttpRequest) -> HttpResponseBase:
    return FileResponse(Path(__file__).open("rb"), as_attachment=True)


def file_in_memory(request: HttpRequest) -> HttpResponseBase:
    return FileResponse(io.BytesIO(b"y" * 150_000), filename="y.bin")


def stream_sync(request: HttpRequest) -> HttpResponseBase:
    def parts() -> Iterator[str]:
        try:
            for tag in Tag.objects.order_by("name").iterator(chunk_size=2):
                yield tag.name
        finally:
            seen["stream closed"] = Tag.objects.count()

    return StreamingHttpResponse(parts())


def stream_async(request: HttpRequest) -> HttpResponseBase:
    async def parts() -> AsyncIterator[str]:
        try:
            async for tag in Tag.objects.order_by("name").aiterator(chunk_size=2):
                yield tag.name
        finally:
            seen["stream closed"] = await Tag.objects.acount()

    return StreamingHttpResponse(parts())


def stream_failing(request: HttpRequest) -> HttpResponseBase:
    async def parts() -> AsyncIterator[str]:
        yield "one"
        raise ValueError("in the stream")

    return StreamingHttpResponse(parts())


def endless(request: HttpRequest) -> HttpResponseBase:
    async def parts() -> AsyncIterator[str]:
        try:
            while True:
                yield str(await Tag.objects.acount())
                await asyncio.sleep(0.001)
        finally:
            seen["stream closed"] = await Tag.objects.acount()

    return StreamingHttpResponse(parts())


class RenderedLater(TemplateResponse):
    """A response whose rendering has to be awaited."""

    async def render(self) -> RenderedLater:  # type: ignore[override]
        await asyncio.sleep(0)
        self.content = f"rendered beside {await Tag.objects.acount()} tags"
        return self


async def rendered_later(request: HttpRequest) -> HttpResponse:
    return RenderedLater(request, "not read")


def template(request: HttpRequest) -> HttpResponseBase:
    html = "{% for b in books %}{{ b.title }} by {{ b.author.name }};{% endfor %}"
    return TemplateResponse(
        request,
        engines["django"].from_string(html),
        {"books": Book.objects.order_by("title")},
    )


async def lazy(request: HttpRequest) -> HttpResponse:
    book = await Book.objects.order_by("title").afirst()
    assert book is not None
    names = [book.author.name]
    names += [tag.name for tag in Tag.objects.order_by("name")]
    html = "{% for b in books %}{{ b.title }} by {{ b.author.name }};{% endfor %}"
    books = Book.objects.order_by("title")
    text = engines["django"].from_string(html).render({"books": books})
    return JsonResponse({"names": names, "text": text, "user": str(request.user)})


async def task_of_its_own(request: HttpRequest) -> HttpResponse:
    from django.core.exceptions import SynchronousOnlyOperation

    async def other() -> str:
        try:
            return str(Tag.objects.get())
        except SynchronousOnlyOperation as exc:
            return str(exc)

    counted = await asyncio.gather(Tag.objects.acount(), Tag.objects.acount())
    return JsonResponse({"told": await asyncio.create_task(other()), "n": counted})


def waits(request: HttpRequest) -> HttpResponse:
    seen["inside"].set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(30)")
    return HttpResponse("never")


async def waits_async(request: HttpRequest) -> HttpResponse:
    async with transaction.atomic():
        await Tag.objects.acreate(name="never")
        seen["inside"].set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen["cancelled"] = True
            raise
    return HttpResponse("never")


async def sleeps(request: HttpRequest) -> HttpResponse:
    seen["inside"].set()
    await asyncio.sleep(30)
    return HttpResponse("never")


def left_open(request: HttpRequest) -> HttpResponse:
    transaction.atomic().__enter__()
    Tag.objects.create(name="left")
    return HttpResponse("done")


def on_commit(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        transaction.on_commit(lambda: seen["order"].append("commit"))
        Tag.objects.create(name="committed")
        seen["order"].append("view")
    return HttpResponse("done")


def where(request: HttpRequest) -> HttpResponse:
    block = current_block()
    seen["thread"] = threading.get_ident()
    return JsonResponse({"block": block is not None, "tags": Tag.objects.count()})


urlpatterns = [
    path(view.__name__, view)
    for view in (
        plain,
        plain_async,
        described,
        posted,
        body_length,
        failing,
        failing_async,
        failing_non_atomic,
        nothing,
        redirecting,
        large,
        file_response,
        file_in_memory,
        stream_sync,
        stream_async,
        stream_failing,
        endless,
        template,
        rendered_later,
        lazy,
        task_of_its_own,
        waits,
        waits_async,
        sleeps,
        left_open,
        on_commit,
        where,
    )
]


def books() -> None:
    authors = Author.objects.bulk_create(Author(name=f"author {i}") for i in range(3))
    Book.objects.bulk_create(
        Book(title=f"book {i}", author=authors[i % 3]) for i in range(6)
    )
    Tag.objects.bulk_create(Tag(name=f"t{i}") for i in range(5))
    connections.close_all()


# ----- as Django's handler answers

FORM = {"content-type": "application/x-www-form-urlencoded"}
PARTS = {"content-type": "multipart/form-data; boundary=B"}
UPLOAD = (
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\n%s\r\n--B--\r\n"
)

REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {"url": "/plain"},
    "an async view": {"url": "/plain_async"},
    "not found": {"url": "/nowhere"},
    "described": {"url": "/described?a=1&a=2&b=", "headers": {"cookie": "c=3; d=4"}},
    "below a root path": {"url": "/below/described", "root_path": "/below"},
    "https": {"url": "/described", "scheme": "https"},
    "head": {"url": "/plain", "method": "HEAD"},
    "a bad query string": {"url": "/plain", "query_string": b"\xff"},
    "a form": {"url": "/posted", "method": "POST", "body": b"a=1&b=2", "headers": FORM},
    "a form in pieces": {
        "url": "/posted",
        "method": "POST",
        "body": [b"a=", b"1&b", b"=2"],
        "headers": FORM,
    },
    "an upload": {
        "url": "/posted",
        "method": "POST",
        "body": UPLOAD % b"text",
        "headers": PARTS,
    },
    "an upload to disk": {
        "url": "/posted",
        "method": "POST",
        "body": [UPLOAD[:50], UPLOAD[50:] % (b"x" * 3_000_000)],
        "headers": PARTS,
    },
    "too large a body": {
        "url": "/body_length",
        "method": "POST",
        "body": b"x" * 2_700_000,
        "headers": {"content-length": "2700000"},
    },
    "a broken form": {
        "url": "/posted",
        "method": "POST",
        "body": b"--B\r\n",
        "headers": {"content-type": "multipart/form-data"},
    },
    "a view that fails": {"url": "/failing"},
    "an async view that fails": {"url": "/failing_async"},
    "a view without a response": {"url": "/nothing"},
    "a redirect": {"url": "/redirecting"},
    "many chunks": {"url": "/large"},
    "a file": {"url": "/file_response"},
    "a file in memory": {"url": "/file_in_memory"},
    "an async stream": {"url": "/stream_async"},
    "a sync stream": {"url": "/stream_sync"},
    "a template": {"url": "/template"},
    "a template to be awaited": {"url": "/rendered_later"},
    "a bad host": {"url": "/plain", "headers": {"host": "a b"}},
}


@pytest.mark.parametrize("which", REQUESTS)
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_the_response_is_djangos(
    which: str, settings_override: Callable[..., None]
) -> None:
    settings_override(CSRF_COOKIE_SECURE=True)
    books()
    finished: list[Any] = []

    def receiver(sender: Any, **kwargs: Any) -> None:
        finished.append(sender)

    async def ask(application: Any) -> tuple[Any, ...]:
        request = dict(REQUESTS[which])
        exchange = await get(request.pop("url"), application, **request)
        return exchange.status, exchange.headers, exchange.body

    request_finished.connect(receiver)
    try:
        djangos = asyncio.run(ask(ASGIHandler()))
        count = len(finished)
        ours = asyncio.run(ask(get_asgi_application()))
    finally:
        request_finished.disconnect(receiver)
    assert ours == djangos
    # Django sends this one without a handler's class where no request was made.
    assert len(finished) == 2 * count
    assert {sender and issubclass(sender, ASGIHandler) for sender in finished} <= {
        True,
        None,
    }
    connections.close_all()


async def test_a_sync_stream_is_sent_part_by_part(no_new_threads: None) -> None:
    await Tag_rows(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exchange = await get("/stream_sync")
    parts = [message["body"] for message in exchange.sent[1:] if message.get("body")]
    assert parts == [b"t0", b"t1", b"t2"]
    assert seen["stream closed"] == 3


async def Tag_rows(n: int) -> None:
    async with new_connection():
        await Tag.objects.abulk_create(Tag(name=f"t{i}") for i in range(n))


# ----- on the loop


def test_no_thread_is_started(no_new_threads: None) -> None:
    books()

    async def main() -> list[bytes]:
        application = get_asgi_application()
        urls = ("/plain", "/plain_async", "/template", "/lazy", "/stream_async")
        return [(await get(url, application)).body for url in urls]

    plain, plain_async, page, read, streamed = asyncio.run(main())
    text = "".join(f"book {i} by author {i % 3};" for i in range(6))
    assert (plain, plain_async, page) == (b"plain", b"plain", text.encode())
    assert b'"names": ["author 0", "t0", "t1", "t2", "t3", "t4"]' in read
    assert text.encode() in read
    assert b'"user": "AnonymousUser"' in read
    assert streamed == b"t0t1t2t3t4"


async def test_the_connection_is_given_back(
    sessions: Callable[[], list[str]],
) -> None:
    exchange = await get("/where")
    assert exchange.body == b'{"block": true, "tags": 0}'
    assert seen["thread"] == threading.get_ident()
    assert current_block() is None
    await gone(sessions, 5)


async def test_a_slow_client_keeps_no_connection(
    sessions: Callable[[], list[str]],
) -> None:
    exchange = Exchange(get_asgi_application(), "/where")
    exchange.send_slowly = asyncio.Event()
    task = exchange.start()
    async with asyncio.timeout(5):
        while not exchange.sent:
            await asyncio.sleep(0.01)
    await gone(sessions, 5)
    exchange.send_slowly.set()
    await task


async def test_lazy_access_can_be_refused(
    settings_override: Callable[..., None],
) -> None:
    settings_override(DJANGO_ASYNC_FAST={"LAZY": "refuse"})
    await asyncio.to_thread(books)
    exchange = await get("/lazy")
    assert exchange.status == 500
    assert (await get("/plain_async")).body == b"plain"
    assert (await get("/stream_async")).body == b"t0t1t2t3t4"


async def test_tasks_of_the_view_are_told_as_ever() -> None:
    exchange = await get("/task_of_its_own")
    assert b"was not awaited" in exchange.body
    assert b'"n": [0, 0]' in exchange.body


async def test_in_a_tests_block_it_joins_in() -> None:
    async with shared_connection(force_rollback=True):
        await Tag.objects.acreate(name="of the test")
        assert (await get("/where")).body == b'{"block": true, "tags": 1}'
        assert (await get("/left_open")).status == 200
        assert [tag.name async for tag in Tag.objects.all()] == ["of the test"]
        assert (await get("/failing")).status == 500
        assert await Tag.objects.acount() == 2
    assert await tags() == []


def test_asgi_py_needs_no_setup_before_it() -> None:
    program = (
        "from django_async_fast.asgi import get_asgi_application\n"
        "application = get_asgi_application()\n"
        "from django.apps import apps\n"
        "assert apps.ready\n"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=60,
    )


# ----- middleware


@async_only_middleware
def only_async(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def middleware(request: Any) -> Any:
        count = await Tag.objects.acount()
        response = await get_response(request)
        response["X-Async"] = f"{count} {threading.get_ident()}"
        return response

    return middleware


@sync_only_middleware
def only_sync(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def middleware(request: Any) -> Any:
        response = get_response(request)
        response["X-Sync"] = f"{Tag.objects.count()} {threading.get_ident()}"
        return response

    return middleware


class Hooks:
    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        from asgiref.sync import markcoroutinefunction

        markcoroutinefunction(self)

    async def __call__(self, request: Any) -> Any:
        return await self.get_response(request)

    async def process_view(self, request: Any, *view: Any) -> None:
        seen["process_view"] = await Tag.objects.acount()

    async def process_exception(self, request: Any, exception: Exception) -> Any:
        return HttpResponse(f"{exception}, {await Tag.objects.acount()}")


@pytest.mark.parametrize("lazy", ["await", "refuse"])
def test_middleware_of_both_kinds(
    lazy: str, settings_override: Callable[..., None], no_new_threads: None
) -> None:
    chain = ["only_sync", "only_async", "only_sync", "only_async", "Hooks"]
    settings_override(
        MIDDLEWARE=[f"{__name__}.{name}" for name in chain],
        DJANGO_ASYNC_FAST={"LAZY": lazy},
    )

    async def main() -> None:
        application = get_asgi_application()
        here = str(threading.get_ident()).encode()
        for url in ("/plain", "/plain_async"):
            headers = dict((await get(url, application)).headers)
            assert headers[b"X-Async"] == headers[b"X-Sync"] == b"0 " + here
            assert seen.pop("process_view") == 0
        for i, url in enumerate(("/failing", "/failing_async")):
            exchange = await get(url, application)
            assert (exchange.status, exchange.body) == (200, b"failing, 1"), i
            async with new_connection():
                await Tag.objects.all().adelete()

    asyncio.run(main())


def test_the_connection_middleware_joins_in(
    settings_override: Callable[..., None], no_new_threads: None
) -> None:
    settings_override(
        MIDDLEWARE=["django_async_fast.middleware.ConnectionMiddleware", *MIDDLEWARE]
    )
    assert asyncio.run(get("/where")).body == b'{"block": true, "tags": 0}'


# ----- signals


async def test_signals_have_the_block_and_both_kinds_of_receivers() -> None:
    order: list[Any] = []

    def started(sender: Any, scope: Any, **kwargs: Any) -> None:
        order.append(("started", scope["path"], Tag.objects.count()))

    async def started_async(**kwargs: Any) -> None:
        order.append(("started async", await Tag.objects.acount()))

    def finished(**kwargs: Any) -> None:
        order.append(("finished", Tag.objects.count()))

    async def finished_async(**kwargs: Any) -> None:
        order.append(("finished async", await Tag.objects.acount()))

    request_started.connect(started)
    request_started.connect(started_async)
    request_finished.connect(finished)
    request_finished.connect(finished_async)
    try:
        exchange = await get("/where")
        assert exchange.status == 200
    finally:
        request_started.disconnect(started)
        request_started.disconnect(started_async)
        request_finished.disconnect(finished)
        request_finished.disconnect(finished_async)
    assert order == [
        ("started", "/where", 0),
        ("started async", 0),
        ("finished", 0),
        ("finished async", 0),
    ]


@pytest.mark.parametrize("url", ["/lazy", "/task_of_its_own", "/template"])
async def test_queries_of_a_view_after_those_of_a_receiver(url: str) -> None:
    def started(**kwargs: Any) -> None:
        Tag.objects.count()

    await sync_to_async(books)()
    request_started.connect(started)
    try:
        async with asyncio.timeout(10):
            assert (await get(url)).status == 200
    finally:
        request_started.disconnect(started)


async def test_receivers_that_come_and_go_between_requests() -> None:
    heard: list[str] = []

    def started(**kwargs: Any) -> None:
        heard.append("started")

    application = get_asgi_application()
    application.get_response = lambda request: HttpResponse("plain")
    await get("/plain", application)
    request_started.connect(started)
    try:
        await get("/plain", application)
    finally:
        request_started.disconnect(started)
    await get("/plain", application)
    assert heard == ["started"]


@pytest.mark.parametrize("owner", [request_started, type(request_started)])
async def test_a_signal_whose_send_is_somebody_elses(
    owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    def send(*args: Any, **named: Any) -> list[Any]:
        sent.append(named.get("scope"))
        return []

    application = get_asgi_application()
    await get("/plain", application)
    monkeypatch.setattr(owner, "send", send)
    exchange = await get("/plain", application)
    assert exchange.scope in sent


def _is_djangos(kept: Any) -> bool:
    receiver = kept() if isinstance(kept, weakref.ref) else kept
    return getattr(receiver, "__module__", "").startswith("django.")


async def test_no_connections_are_looked_for_where_there_are_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = []
    django_all = connections.all

    def all_of_them(*args: Any, **named: Any) -> Any:
        looked.append(named)
        return django_all(*args, **named)

    closed = []

    def finished(**named: Any) -> None:
        closed.append(named["sender"])

    # Without those of other tests' tools.
    for signal in (request_started, request_finished):
        own = [each for each in signal.receivers if _is_djangos(each[1])]
        monkeypatch.setattr(signal, "receivers", own)
    application = get_asgi_application()
    monkeypatch.setattr(connections, "all", all_of_them)
    await get("/plain", application)
    assert not looked
    request_finished.connect(finished)
    try:
        await get("/plain", application)
    finally:
        request_finished.disconnect(finished)
    assert closed == [type(application)]
    assert looked  # as Django sends it, where others are told


async def test_each_cache_is_closed_at_the_end_of_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed = []

    def view(request: HttpRequest) -> HttpResponse:
        monkeypatch.setattr(caches["default"], "close", lambda: closed.append("cache"))
        return HttpResponse("cached")

    application = get_asgi_application()
    application.get_response = view
    assert (await get("/plain", application)).body == b"cached"
    assert closed == ["cache"]


async def test_a_finished_signal_answers_as_djangos() -> None:
    def both() -> tuple[Any, Any]:
        ours = request_finished.send(sender=None)
        return ours, Signal.send(request_finished, sender=None)

    async with new_connection():
        ours, djangos = await run_sync(both)
    assert ours == djangos != []


async def test_the_query_log_is_emptied(settings_override: Callable[..., None]) -> None:
    settings_override(DEBUG=True, MIDDLEWARE=[])
    logged = []

    def finished(**kwargs: Any) -> None:
        logged.append(len(connection.queries))

    request_finished.connect(finished)
    try:
        await get("/where")
        await get("/where")
    finally:
        request_finished.disconnect(finished)
    assert logged == [0, 0]


# Before 6.1 Django leaves the file of the request's body open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_receiver_that_fails_ends_the_request() -> None:
    def started(**kwargs: Any) -> None:
        raise ValueError("started")

    request_started.connect(started)
    try:
        for application in (ASGIHandler(), get_asgi_application()):
            with pytest.raises(ValueError, match="started"):
                await get("/plain", application)
    finally:
        request_started.disconnect(started)
        gc.collect()


# ----- transactions


@pytest.fixture
def atomic_requests() -> Iterator[None]:
    connections.settings["default"]["ATOMIC_REQUESTS"] = True
    yield
    connections.settings["default"]["ATOMIC_REQUESTS"] = False


async def tags() -> list[str]:
    async with new_connection():
        return [t async for t in Tag.objects.values_list("name", flat=True)]


@pytest.mark.usefixtures("atomic_requests")
@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("/failing", []),
        ("/failing_async", []),
        ("/failing_non_atomic", ["failing"]),
        ("/on_commit", ["committed"]),
    ],
)
async def test_atomic_requests(url: str, left: list[str]) -> None:
    seen["order"] = []
    await get(url)
    assert await tags() == left


@pytest.mark.parametrize("url", ["/plain", "/plain_async"])
async def test_who_wraps_views_sees_both_kinds(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapped = []
    below = BaseHandler.make_view_atomic

    def wrap(self: BaseHandler, view: Any) -> Any:
        wrapped.append(view)
        return below(self, view)

    monkeypatch.setattr(BaseHandler, "make_view_atomic", wrap)
    assert (await get(url)).status == 200
    assert wrapped == [plain_async if "async" in url else plain]


async def test_on_commit_runs_before_the_response_is_sent() -> None:
    seen["order"] = []
    exchange = Exchange(get_asgi_application(), "/on_commit")
    send = exchange.send

    async def noting(message: Any) -> None:
        seen["order"].append(message["type"])
        await send(message)

    exchange.send = noting  # type: ignore[method-assign]
    await exchange.run()
    assert seen["order"] == [
        "view",
        "commit",
        "http.response.start",
        "http.response.body",
    ]


async def test_a_transaction_left_open_is_rolled_back_and_named(
    caplog: pytest.LogCaptureFixture, sessions: Callable[[], list[str]]
) -> None:
    at_first_byte = []
    exchange = Exchange(get_asgi_application(), "/left_open")
    send = exchange.send

    async def noting(message: Any) -> None:
        at_first_byte.append([s for s in sessions() if "transaction" in s])
        await send(message)

    exchange.send = noting  # type: ignore[method-assign]
    await exchange.run()
    assert exchange.status == 200
    assert at_first_byte == [[], []]
    assert "GET /left_open left a transaction on 'default' open" in caplog.text
    assert __file__ in caplog.text
    assert await tags() == []


# ----- clients that leave, servers that stop


@pytest.fixture
def finishes() -> Iterator[list[float]]:
    times: list[float] = []

    def finished(**kwargs: Any) -> None:
        times.append(time.monotonic())

    request_finished.connect(finished)
    yield times
    request_finished.disconnect(finished)


async def end(exchange: Exchange, task: asyncio.Task[Any], how: str) -> None:
    """Let the client go, or the server cancel the request."""
    if how == "leaves":
        exchange.left.set()
        await task
    else:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("url", ["/waits", "/waits_async"])
@pytest.mark.parametrize("how", ["leaves", "is cancelled"])
async def test_what_the_view_waits_for_is_cancelled(
    url: str,
    how: str,
    sessions: Callable[[], list[str]],
    finishes: list[float],
) -> None:
    seen["inside"] = asyncio.Event()
    exchange = Exchange(get_asgi_application(), url)
    task = exchange.start()
    await seen["inside"].wait()
    await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        await end(exchange, task, how)
    assert exchange.sent == []
    assert len(finishes) == 1
    assert seen.get("cancelled", False) is (url == "/waits_async")
    await gone(sessions, 5)
    assert await tags() == []


@pytest.mark.parametrize("how", ["leaves", "is cancelled"])
async def test_a_stream_ends_in_its_block_when_the_client_leaves(
    how: str, sessions: Callable[[], list[str]], finishes: list[float]
) -> None:
    exchange = Exchange(get_asgi_application(), "/endless")
    task = exchange.start()
    await exchange.first_byte.wait()
    await end(exchange, task, how)
    assert seen["stream closed"] == 0
    assert len(finishes) == 1
    await gone(sessions, 5)


async def test_a_request_without_a_body_to_the_end(finishes: list[float]) -> None:
    exchange = Exchange(get_asgi_application(), "/plain", [])
    exchange.left.set()
    await exchange.run()
    assert exchange.sent == []
    assert finishes == []


async def test_only_whoever_waits_is_listened_to() -> None:
    quick, slow = (Exchange(get_asgi_application(), "/sleeps") for _ in range(2))
    quick.application.get_response = lambda request: HttpResponse("at once")
    asked: list[Exchange] = []
    told = contextvars.ContextVar("told", default=0)
    seen["inside"] = asyncio.Event()

    async def listen(exchange: Exchange) -> dict[str, Any]:
        if not exchange.bodies:
            asked.append(exchange)
            assert told.get() == 7
        return await Exchange.receive(exchange)

    for each in (quick, slow):
        each.receive = partial(listen, each)  # type: ignore[method-assign]
    told.set(7)
    await quick.run()
    await asyncio.sleep(3 * clients.PAUSE)
    assert (quick.status, asked) == (200, [])
    task = slow.start()
    await asyncio.sleep(3 * clients.PAUSE)
    assert asked == [slow]
    slow.left.set()
    await asyncio.wait_for(task, 5)


async def test_a_client_with_the_whole_response_has_not_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def closing(**kwargs: Any) -> None:
        seen["exchange"].left.set()
        await asyncio.sleep(0.05)
        seen["closed"] = True

    application = get_asgi_application()
    application.get_response = lambda request: HttpResponse(
        str(driving.await_driven(asyncio.sleep(3 * clients.PAUSE, "late")))
    )
    exchange = seen["exchange"] = Exchange(application, "/sleeps")
    request_finished.connect(closing)
    try:
        await exchange.run()
    finally:
        request_finished.disconnect(closing)
    await asyncio.sleep(0.05)
    assert (exchange.body, seen["closed"], caplog.records) == (b"late", True, [])


async def test_a_client_leaves_and_the_server_cancels_as_well() -> None:
    async def ask(times: int) -> tuple[bool, int]:
        exchange = Exchange(get_asgi_application(), "/sleeps")
        seen["inside"] = asyncio.Event()
        task = exchange.start()
        await asyncio.wait_for(seen["inside"].wait(), 5)
        await asyncio.sleep(3 * clients.PAUSE)
        exchange.left.set()
        for _ in range(times):
            # After the listener has ended, before the view is told.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task], timeout=5)
        return task.cancelled(), task.cancelling()

    assert await ask(0) == (False, 0)
    assert await ask(1) == (True, 1)


async def test_a_message_after_the_body_is_an_error() -> None:
    async def wrong(exchange: Exchange) -> None:
        seen["inside"] = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if exchange.bodies:
                return {"type": "http.request", "body": exchange.bodies.pop()}
            await seen["inside"].wait()
            return {"type": "http.request", "body": b""}

        exchange.receive = receive  # type: ignore[method-assign]
        await exchange.run()

    for application in (ASGIHandler(), get_asgi_application()):
        with pytest.raises(AssertionError, match="Invalid ASGI message"):
            await wrong(Exchange(application, "/sleeps"))


async def test_an_error_in_the_middle_of_a_stream(
    sessions: Callable[[], list[str]], finishes: list[float]
) -> None:
    exchange = Exchange(get_asgi_application(), "/stream_failing")
    with pytest.raises(ValueError, match="in the stream"):
        await exchange.run()
    assert exchange.body == b"one"
    assert len(finishes) == 1
    await gone(sessions, 5)


def test_a_destroyed_request_leaves_nothing(
    sessions: Callable[[], list[str]], finishes: list[float]
) -> None:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)

    exchange = Exchange(get_asgi_application(), "/waits_async")
    call = exchange.application(exchange.scope, exchange.receive, exchange.send)
    context = contextvars.copy_context()

    async def until_it_waits() -> None:
        seen["inside"] = asyncio.Event()
        seen["task"] = loop.create_task(call, context=context)
        await seen["inside"].wait()

    loop.run_until_complete(until_it_waits())
    loop.close()
    context.run(call.close)
    assert len(finishes) == 1
    asyncio.run(gone(sessions, 5))
    assert asyncio.run(tags()) == []


# ----- thread-locals


class KeepsTheUser:
    """What django-currentuser and its like do."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        assert not hasattr(kept, "user"), kept.user
        kept.user = request.headers["x-user"]
        asgirefs.user = request.headers["x-user"]
        with translation.override(["de", "fr", "en"][int(kept.user) % 3]):
            return self.get_response(request)


def whoever() -> list[Any]:
    return [kept.user, asgirefs.user, translation.get_language()]


def told_by_turns(request: HttpRequest) -> HttpResponse:
    told = []
    with timezone.override(f"Etc/GMT+{int(kept.user) % 12}"):
        for _ in range(5):
            told.append([*whoever(), str(timezone.get_current_timezone())])
            Tag.objects.count()
    return JsonResponse({"told": told})


async def told_by_turns_async(request: HttpRequest) -> HttpResponse:
    told = []
    with timezone.override(f"Etc/GMT+{int(kept.user) % 12}"):
        for _ in range(5):
            told.append([*whoever(), str(timezone.get_current_timezone())])
            await Tag.objects.acount()
            await asyncio.sleep(0)
    return JsonResponse({"told": told})


class Told:
    def __iter__(self) -> Iterator[list[Any]]:
        for _ in range(5):
            name = str(timezone.get_current_timezone())
            yield [*whoever(), name, Tag.objects.count()][:4]


def told_in_a_template(request: HttpRequest) -> HttpResponse:
    html = (
        '{% load tz %}{"told": [{% for u, a, l, z in told %}["{{ u }}", "{{ a }}", '
        '"{{ l }}", "{{ z }}"]{% if not forloop.last %},{% endif %}{% endfor %}]}'
    )
    with timezone.override(f"Etc/GMT+{int(kept.user) % 12}"):
        text = engines["django"].from_string(html).render({"told": Told()})
    return HttpResponse(text)


urlpatterns += [
    path(view.__name__, view)
    for view in (told_by_turns, told_by_turns_async, told_in_a_template)
]


@pytest.mark.parametrize(
    "url", ["/told_by_turns", "/told_by_turns_async", "/told_in_a_template"]
)
def test_nobody_sees_anothers_thread_locals(
    url: str, settings_override: Callable[..., None], no_new_threads: None
) -> None:
    settings_override(MIDDLEWARE=[f"{__name__}.KeepsTheUser"])
    pooled = {"pool": {"min_size": 0, "max_size": 5, "timeout": 60}}
    before = connections.settings["default"]["OPTIONS"]
    connections.settings["default"]["OPTIONS"] = {**before, **pooled}

    async def main() -> None:
        import json

        application = get_asgi_application()
        exchanges = await asyncio.gather(
            *(get(url, application, headers={"x-user": str(i)}) for i in range(200))
        )
        for i, exchange in enumerate(exchanges):
            zone, language = f"Etc/GMT+{i % 12}", ["de", "fr", "en"][i % 3]
            told = json.loads(exchange.body)["told"]
            assert told == [[str(i), str(i), language, zone]] * 5

    try:
        asyncio.run(main())
        # A server that was started where such values are kept: they are not theirs.
        asyncio.run(new_connection()(main)())
    finally:
        connections.settings["default"]["OPTIONS"] = before
    assert not hasattr(kept, "user")


class Value(Counted):
    pass


def keeps_a_value(request: HttpRequest) -> HttpResponse:
    kept.value = Value()
    kept.cycle = [kept.value]
    threading.local().value = Value()
    return HttpResponse(str(Tag.objects.count()))


def asks_for_the_loop(request: HttpRequest) -> HttpResponse:
    policy = asyncio.get_event_loop_policy()
    return HttpResponse(str(id(policy.get_event_loop())))


urlpatterns += [
    path(view.__name__, view) for view in (keeps_a_value, asks_for_the_loop)
]


async def test_thread_locals_end_with_the_request() -> None:
    application = get_asgi_application()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await get("/keeps_a_value", application)
        assert Value.alive == 0
    finally:
        gc.enable()


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="policies are deprecated")
async def test_the_threads_loop_is_found() -> None:
    exchange = await get("/asks_for_the_loop")
    assert exchange.body.decode() == str(id(asyncio.get_running_loop()))


# ----- in threads


async def test_views_in_threads() -> None:
    application = get_asgi_application(sync="thread")
    exchange = await get("/where", application)
    assert exchange.body == b'{"block": false, "tags": 0}'
    assert seen["thread"] != threading.get_ident()
    assert (await get("/plain_async", application)).body == b"plain"
    assert (await get("/failing", application)).status == 500


async def test_the_setting(settings_override: Callable[..., None]) -> None:
    settings_override(DJANGO_ASYNC_FAST={"SYNC": "thread"})
    await get("/where")
    assert seen["thread"] != threading.get_ident()
    with pytest.raises(ValueError, match="loop"):
        get_asgi_application(sync="gevent")


def test_without_the_compiled_part_requests_take_no_turns_in_a_thread() -> None:
    assert _native.COMPILED
    program = """
        import asyncio, threading
        import django
        from django.conf import settings
        from django.http import HttpResponse
        from django.urls import path

        def sync(request):
            return HttpResponse(str(threading.get_ident()))

        async def asynchronous(request):
            return HttpResponse(str(threading.get_ident()))

        urlpatterns = [path("sync", sync), path("async", asynchronous)]
        settings.configure(
            ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="s",
            INSTALLED_APPS=["django_async_fast"],
        )
        from django_async_fast.asgi import get_asgi_application

        async def get(path):
            sent = []
            async def receive():
                if sent:
                    await asyncio.sleep(60)
                sent.append(b"")
                return {"type": "http.request", "body": b""}
            async def send(message):
                sent.append(message.get("body", b""))
            scope = {"type": "http", "method": "GET", "path": path, "headers": []}
            await get_asgi_application()(scope, receive, send)
            return int(b"".join(sent))

        here = threading.get_ident()
        assert asyncio.run(get("/async")) == here
        assert asyncio.run(get("/sync")) != here
    """
    from textwrap import dedent

    subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(program)],
        env={**os.environ, "DJANGO_ASYNC_FAST_IMPL": "python"},
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=60,
    )


# ----- other kinds of scope


async def test_lifespan() -> None:
    messages = ["lifespan.startup", "lifespan.shutdown"]
    sent = []

    async def receive() -> dict[str, str]:
        return {"type": messages.pop(0)}

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    await get_asgi_application()({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_other_scopes_are_not_served() -> None:
    with pytest.raises(ValueError, match="not websocket"):
        await get_asgi_application()({"type": "websocket"}, None, None)

"""get_asgi_application(): Django's handler and ours, given the same requests."""

import asyncio
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import (
    SyncToAsync,
    ThreadSensitiveContext,
    async_to_sync,
    sync_to_async,
)
from django.core.handlers import asgi
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.decorators import async_only_middleware, sync_only_middleware

from django_async_fast import _native, new_connection
from django_async_fast.asgi import get_asgi_application
from django_async_fast.connections.blocks import current_block
from django_async_fast.requests.request_block import in_request
from django_async_fast.test import shared_connection
from tests.support.fresh_python import run
from tests.support.noted import noted
from tests.support.request_sessions import States, gone
from tests.support.tags import tags
from tests.support.until import until
from tests.testapp.models import Tag

from .exchanges import Exchange, books, get
from .handler_site import MIDDLEWARE, seen

pytestmark = pytest.mark.usefixtures("served")


FORM = {"content-type": "application/x-www-form-urlencoded"}
PARTS = {"content-type": "multipart/form-data; boundary=B"}
UPLOAD = (
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\n%s\r\n--B--\r\n"
)


def posted(body: Any, headers: dict[str, str], url: str = "/posted") -> dict[str, Any]:
    return {"url": url, "method": "POST", "body": body, "headers": headers}


REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {"url": "/plain"},
    "an async view": {"url": "/plain_async"},
    "not found": {"url": "/nowhere"},
    "described": {"url": "/described?a=1&a=2&b=", "headers": {"cookie": "c=3; d=4"}},
    "below a root path": {"url": "/below/described", "root_path": "/below"},
    "https": {"url": "/described", "scheme": "https"},
    "head": {"url": "/plain", "method": "HEAD"},
    "a bad query string": {"url": "/plain", "query_string": b"\xff"},
    "a form": posted(b"a=1&b=2", FORM),
    "a form in pieces": posted([b"a=", b"1&b", b"=2"], FORM),
    "an upload": posted(UPLOAD % b"text", PARTS),
    "an upload to disk": posted([UPLOAD[:50], UPLOAD[50:] % (b"x" * 3_000_000)], PARTS),
    "too large a body": posted(
        b"x" * 2_700_000, {"content-length": "2700000"}, url="/body_length"
    ),
    "a broken form": posted(b"--B\r\n", {"content-type": "multipart/form-data"}),
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
    which: str, settings_override: Any, finished: list[Any]
) -> None:
    settings_override(CSRF_COOKIE_SECURE=True)
    books()

    async def ask(application: Any) -> tuple[Any, ...]:
        exchange = await get(application=application, **REQUESTS[which])
        return exchange.status, exchange.headers, exchange.body

    djangos = asyncio.run(ask(ASGIHandler()))
    count = len(finished)
    assert asyncio.run(ask(get_asgi_application())) == djangos
    assert len(finished) == 2 * count
    # Django sends it without a handler's class where no request was made.
    assert all(sender is None or issubclass(sender, ASGIHandler) for sender in finished)
    connections.close_all()


async def test_a_sync_stream_is_sent_part_by_part(no_new_threads: None) -> None:
    async with new_connection():
        await Tag.objects.abulk_create(Tag(name=f"t{i}") for i in range(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exchange = await get("/stream_sync")
    parts = [message["body"] for message in exchange.sent[1:] if message.get("body")]
    assert parts == [b"t0", b"t1", b"t2"]
    assert seen["stream closed"] == 3


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


class _Marked(StreamingHttpResponse):
    def make_bytes(self, value: Any) -> bytes:
        return b"<%s>" % super().make_bytes(value)


class _OwnIteration(StreamingHttpResponse):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.streaming_content:
            yield part.upper()


class _OwnContent(StreamingHttpResponse):
    @property
    def streaming_content(self) -> Iterator[bytes]:
        return (self.make_bytes(part).upper() for part in self._iterator)

    @streaming_content.setter
    def streaming_content(self, value: Any) -> None:
        self._set_streaming_content(value)


@pytest.mark.parametrize("kind", [_Marked, _OwnIteration, _OwnContent])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
async def test_a_sync_stream_of_its_own_kind(kind: type[StreamingHttpResponse]) -> None:
    async def view(request: HttpRequest) -> StreamingHttpResponse:
        return kind(iter(["a", "b"]))

    djangos, ours = ASGIHandler(), get_asgi_application()
    djangos.get_response_async = view  # type: ignore[method-assign, assignment]
    ours.get_response = lambda request: kind(iter(["a", "b"]))
    assert (await get("/", ours)).sent == (await get("/", djangos)).sent


@pytest.mark.parametrize("name", ["get_script_prefix", "set_script_prefix"])
async def test_a_tool_that_asks_for_a_scripts_name_is_asked(name: str) -> None:
    with noted(asgi, name) as asked:
        await get("/below/plain", root_path="/below")
    assert {"get_script_prefix": 2, "set_script_prefix": 1}[name] == len(asked)


async def test_the_connection_is_given_back(sessions: States) -> None:
    exchange = await get("/where")
    assert exchange.body == b'{"block": true, "tags": 0}'
    assert seen["thread"] == threading.get_ident()
    assert current_block() is None
    await gone(sessions, 5)


async def test_a_slow_client_keeps_no_connection(sessions: States) -> None:
    exchange = Exchange(get_asgi_application(), "/where")
    exchange.send_slowly = asyncio.Event()
    task = exchange.start()
    await until(lambda: exchange.sent)
    await gone(sessions, 5)
    exchange.send_slowly.set()
    await task


async def test_lazy_access_can_be_refused(settings_override: Any) -> None:
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


async def test_who_awaits_a_request_is_not_in_it_afterwards() -> None:
    async with shared_connection(force_rollback=True):
        request = Exchange(get_asgi_application(), "/where")
        await request.application(request.scope, request.receive, request.send)
        assert request.body == b'{"block": true, "tags": 0}'
        assert not in_request()


async def test_the_thread_that_a_request_has_asked_for_ends_with_it() -> None:
    threads: list[threading.Thread] = []

    def view(request: HttpRequest) -> HttpResponse:
        threads.append(async_to_sync(sync_to_async(threading.current_thread))())
        return HttpResponse("threaded")

    application = get_asgi_application()
    application.get_response = view  # type: ignore[method-assign]
    assert (await get("/", application)).body == b"threaded"
    assert threads[0] is not threading.current_thread()
    assert not threads[0].is_alive()
    assert SyncToAsync.thread_sensitive_context.get(None) is None
    async with ThreadSensitiveContext():  # whoever has one around it keeps its thread
        await get("/", application)
        assert threads[1].is_alive()


@pytest.mark.parametrize(
    ("owner", "name"),
    [(ASGIHandler, "__call__"), (ThreadSensitiveContext, "__aenter__")],
)
async def test_tools_around_a_request_are_called(owner: Any, name: str) -> None:
    application = get_asgi_application()
    await get("/plain", application)
    with noted(owner, name) as called:
        assert (await get("/plain", application)).status == 200
    assert len(called) == 1


def test_asgi_py_needs_no_setup_before_it() -> None:
    program = (
        "from django_async_fast.asgi import get_asgi_application\n"
        "application = get_asgi_application()\n"
        "from django.apps import apps\n"
        "assert apps.ready\n"
    )
    run(program, DJANGO_SETTINGS_MODULE="tests.settings")


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
async def test_middleware_of_both_kinds(
    lazy: str, settings_override: Any, no_new_threads: None
) -> None:
    chain = ["only_sync", "only_async", "only_sync", "only_async", "Hooks"]
    settings_override(
        MIDDLEWARE=[f"{__name__}.{name}" for name in chain],
        DJANGO_ASYNC_FAST={"LAZY": lazy},
    )

    application = get_asgi_application()
    here = str(threading.get_ident()).encode()
    for url in ("/plain", "/plain_async"):
        headers = dict((await get(url, application)).headers)
        assert headers[b"X-Async"] == headers[b"X-Sync"] == b"0 " + here
        assert seen.pop("process_view") == 0
    for url in ("/failing", "/failing_async"):
        exchange = await get(url, application)
        assert (exchange.status, exchange.body) == (200, b"failing, 1")
        async with new_connection():
            await Tag.objects.all().adelete()


def test_the_connection_middleware_joins_in(
    settings_override: Any, no_new_threads: None
) -> None:
    settings_override(
        MIDDLEWARE=["django_async_fast.middleware.ConnectionMiddleware", *MIDDLEWARE]
    )
    assert asyncio.run(get("/where")).body == b'{"block": true, "tags": 0}'


async def test_views_in_threads() -> None:
    application = get_asgi_application(sync="thread")
    exchange = await get("/where", application)
    assert exchange.body == b'{"block": false, "tags": 0}'
    assert seen["thread"] != threading.get_ident()
    assert (await get("/plain_async", application)).body == b"plain"
    assert (await get("/failing", application)).status == 500


async def test_the_setting(settings_override: Any) -> None:
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
        from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
        from django.urls import path

        def sync(request):
            return HttpResponse(str(threading.get_ident()))

        async def asynchronous(request):
            return sync(request)

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
    run(program, DJANGO_ASYNC_FAST_IMPL="python")


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

"""Asynchronous views as users write them, for the middleware: streams, transactions left open."""

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator
from typing import Any

from django.db import connections, transaction
from django.http import (
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path
from django.views import View

from django_async_fast import async_connections, run_sync
from django_async_fast.connections.blocks import current_block
from tests.testapp.models import Tag

from .handler_site import failing_async, failing_non_atomic, seen, stream_async

MIDDLEWARE = "django_async_fast.middleware.ConnectionMiddleware"
kept = threading.local()


async def keeping(request: Any) -> HttpResponse:
    """Keep what the request says, in the synchronous code that the view awaits."""
    value = request.GET["value"]
    assert not hasattr(kept, "value")  # the loop's thread
    assert await run_sync(getattr, kept, "value", None) is None
    await run_sync(setattr, kept, "value", value)
    for _ in range(5):
        await Tag.objects.acount()
        assert await run_sync(getattr, kept, "value") == value
        assert not hasattr(kept, "value")
        assert await run_sync(asyncio.get_event_loop) is asyncio.get_running_loop()
    return HttpResponse(value)


class Value:
    pass


async def keeping_in_a_stream(request: Any) -> HttpResponseBase:
    seen["value"] = weakref.ref(value := Value())
    await run_sync(setattr, kept, "value", value)

    async def parts() -> AsyncIterator[str]:
        found = await run_sync(getattr, kept, "value", None)
        yield str(found is seen["value"]())

    return StreamingHttpResponse(parts())


async def lazy(request: Any) -> HttpResponse:
    return JsonResponse({"wrappers": list(current_block().wrappers)})


async def counting(request: Any) -> HttpResponse:
    threads = threading.active_count()
    await Tag.objects.acreate(name="a")
    seen["conn"] = async_connections["default"]
    seen["thread"] = threading.get_ident()
    assert threading.active_count() == threads
    return JsonResponse({"count": await Tag.objects.acount()})


def synchronous(request: Any) -> HttpResponse:
    seen["wrapper"] = type(connections["default"]).__mro__[1].__name__
    seen["threaded"] = threading.current_thread() is not threading.main_thread()
    return JsonResponse({"count": Tag.objects.count()})


class ClassBased(View):
    async def get(self, request: Any) -> HttpResponse:
        await Tag.objects.acreate(name="class")
        seen["atomic"] = async_connections["default"].in_atomic_block
        return HttpResponse("done")


async def streaming(request: Any) -> HttpResponseBase:
    await Tag.objects.abulk_create(Tag(name=f"t{i}") for i in range(5))
    return stream_async(request)


async def streaming_failure(request: Any) -> HttpResponseBase:
    async def fail() -> AsyncIterator[str]:
        yield str(await Tag.objects.acount())
        raise ValueError("in the stream")

    return StreamingHttpResponse(fail())


async def streaming_in_atomic(request: Any) -> HttpResponseBase:
    async def stream() -> AsyncIterator[str]:
        async with transaction.atomic():
            await Tag.objects.acreate(name="a")
            yield "1"
            await Tag.objects.acreate(name="b")
            yield "2"

    return StreamingHttpResponse(stream())


async def endless(request: Any) -> HttpResponseBase:
    async def stream() -> AsyncIterator[str]:
        try:
            while True:
                async with transaction.atomic():
                    yield str(await Tag.objects.acount())
        finally:
            seen["closed"] = await Tag.objects.acount()

    return StreamingHttpResponse(stream())


async def slow(request: Any) -> HttpResponse:
    async with transaction.atomic():
        await Tag.objects.acreate(name="slow")
        seen["inside"].set()
        await asyncio.sleep(30)
    return HttpResponse("never")


async def in_a_query(request: Any) -> HttpResponse:
    async with async_connections["default"].acursor() as cursor:
        seen["inside"].set()
        await cursor.execute("SELECT pg_sleep(30)")
    return HttpResponse("never")


async def autocommit_off(request: Any) -> HttpResponse:
    await transaction.aset_autocommit(False)
    await Tag.objects.acreate(name="left over")
    return HttpResponse("done")


async def autocommit_off_settled(request: Any) -> HttpResponse:
    await transaction.aset_autocommit(False)
    await Tag.objects.acreate(name="committed")
    await transaction.acommit()
    return HttpResponse("done")


async def atomic_not_left(request: Any) -> HttpResponse:
    await transaction.atomic().__aenter__()
    await Tag.objects.acreate(name="left over")
    await transaction.atomic().__aenter__()
    await Tag.objects.acreate(name="left over too")
    return HttpResponse("done")


async def child_in_atomic(request: Any) -> HttpResponse:
    inside = asyncio.Event()

    async def child() -> None:
        async with transaction.atomic():
            await Tag.objects.acreate(name="left over")
            inside.set()
            await asyncio.sleep(30)

    seen["child"] = asyncio.create_task(child())
    await inside.wait()
    return HttpResponse("done")


VIEWS = (
    *(keeping, keeping_in_a_stream, lazy, counting, synchronous, failing_async),
    *(failing_non_atomic, streaming, streaming_failure, streaming_in_atomic, endless),
    *(slow, in_a_query, autocommit_off, autocommit_off_settled, atomic_not_left),
    child_in_atomic,
)
urlpatterns = [path(view.__name__, view) for view in VIEWS]
urlpatterns.append(path("class_based", ClassBased.as_view()))

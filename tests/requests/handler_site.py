"""Views of every kind: synchronous, asynchronous, streams, files, failing, endless."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from django.db import transaction
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
from django.urls import path, re_path

from bench.pages import site
from django_async_fast.connections.blocks import current_block
from tests.support.sql import execute
from tests.testapp.models import Book, Tag

seen: dict[str, Any] = {}

MIDDLEWARE = [path for path in site.MIDDLEWARE if "messages" not in path]


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

    async def render(self) -> "RenderedLater":  # type: ignore[override]
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
    execute("SELECT pg_sleep(30)")
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


VIEWS = (
    *(plain, plain_async, described, posted, body_length, failing, failing_async),
    *(failing_non_atomic, nothing, redirecting, large, file_response, file_in_memory),
    *(stream_sync, stream_async, stream_failing, endless, template, rendered_later),
    *(lazy, task_of_its_own, waits, waits_async, sleeps, left_open, on_commit, where),
)
urlpatterns = [path(view.__name__, view) for view in VIEWS]
urlpatterns.append(re_path(r"^left_open\s", left_open))

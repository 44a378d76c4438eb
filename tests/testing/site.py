"""Views that test cases ask: with blocks of their own, without, in threads."""

import asyncio
from typing import Any

from asgiref.sync import sync_to_async
from django.db import transaction
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

from django_async_fast import new_connection
from tests.testapp.models import Tag


async def committed() -> int:
    """Return how many tags the rest of the world sees."""

    async def look() -> int:
        async with new_connection():
            return await Tag.objects.acount()

    # A thread of its own knows nothing of the test's block.
    return await asyncio.to_thread(lambda: asyncio.run(look()))


async def own_block(request: Any) -> HttpResponse:
    async with new_connection(), transaction.atomic(durable=True):
        await Tag.objects.acreate(name="view")
        return JsonResponse({"count": await Tag.objects.acount()})


async def middlewares_block(request: Any) -> HttpResponse:
    await Tag.objects.acreate(name="view")
    return JsonResponse({"count": await Tag.objects.acount()})


def synchronous(request: Any) -> HttpResponse:
    Tag.objects.create(name="view")
    return JsonResponse({"count": Tag.objects.count()})


async def in_a_thread(request: Any) -> HttpResponse:
    return JsonResponse({"count": await sync_to_async(Tag.objects.count)()})


async def streaming(request: Any) -> StreamingHttpResponse:
    async def parts() -> Any:
        async for tag in Tag.objects.order_by("name").aiterator():
            yield tag.name

    return StreamingHttpResponse(parts())


async def leaves_atomic(request: Any) -> HttpResponse:
    await transaction.atomic().__aenter__()
    await Tag.objects.acreate(name="left over")
    return HttpResponse("done")


urlpatterns = [
    path(view.__name__.replace("_", "-"), view)
    for view in (
        own_block,
        middlewares_block,
        synchronous,
        in_a_thread,
        streaming,
        leaves_atomic,
    )
]

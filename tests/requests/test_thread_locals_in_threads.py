"""Threads that a request waits for see its thread-locals, and leave none behind."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from django_async_fast import blocking, new_connection, run_sync
from django_async_fast.asgi import get_asgi_application
from tests.support.counted import Counted
from tests.support.uncollected import uncollected
from tests.testapp.models import Tag

from .exchanges import get

kept = threading.local()
# A thread is the first to keep something in this one.
first = threading.local()
USERS = 40


class KeepsTheUser:
    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        assert not vars(kept), vars(kept)
        kept.user = request.headers["x-user"]
        response = self.get_response(request)
        response["x-seen"] = getattr(kept, "seen", "nothing")
        return response


@blocking
class Blocking:
    """In a thread: what it keeps is further in, and for middleware further out."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        assert in_thread()
        kept.tenant = kept.user
        response = self.get_response(request)
        kept.seen = kept.user
        return response


def in_thread() -> bool:
    return threading.current_thread() is not threading.main_thread()


def user_of_the_query() -> str:
    """A user of each place: in the thread, and on the loop that it waits for."""
    assert in_thread()
    first.user = kept.user

    async def on_loop() -> list[str]:
        assert not in_thread()
        return [await run_sync(lambda: kept.user + first.user)]

    kept.seen = kept.user
    (both,) = async_to_sync(on_loop)()
    Tag.objects.count()
    assert both == kept.user * 2
    return str(kept.user)


async def in_a_helper(request: HttpRequest) -> HttpResponse:
    told = [await sync_to_async(user_of_the_query)()]
    await asyncio.sleep(0)
    told += await asyncio.gather(
        sync_to_async(user_of_the_query)(), run_sync(lambda: str(kept.user))
    )
    return JsonResponse([*told, kept.user, first.user], safe=False)


def told(request: HttpRequest) -> HttpResponse:
    Tag.objects.count()
    users = [kept.user, getattr(kept, "tenant", kept.user), str(in_thread())]
    kept.seen = kept.user
    return JsonResponse(users, safe=False)


def without_a_loop(request: HttpRequest) -> HttpResponse:
    """What much code in threads does, which has no loop there."""

    def looks() -> str:
        with pytest.raises(RuntimeError, match="no current event loop"):
            asyncio.get_event_loop()
        return asyncio.run(asyncio.sleep(0, "ran"))

    return HttpResponse(blocking(looks)())


class Value(Counted):
    pass


async def keeps_a_value(request: HttpRequest) -> HttpResponse:
    def keep() -> None:
        kept.value = Value()
        threading.local().value = Value()

    await sync_to_async(keep)()
    return HttpResponse()


VIEWS = in_a_helper, told, without_a_loop, keeps_a_value
urlpatterns = [path(view.__name__, view) for view in VIEWS]


@pytest.fixture(autouse=True)
def _these_views(served: None, settings_override: Any) -> None:
    settings_override(ROOT_URLCONF=__name__, MIDDLEWARE=[f"{__name__}.KeepsTheUser"])


async def answers(url: str, **options: Any) -> list[Any]:
    application = get_asgi_application(**options)
    exchanges = await asyncio.gather(
        *(get(url, application, headers={"x-user": str(i)}) for i in range(USERS))
    )
    assert [dict(exchange.headers)[b"x-seen"] for exchange in exchanges] == [
        str(i).encode() for i in range(USERS)
    ]
    return [json.loads(exchange.body) for exchange in exchanges]


async def test_what_a_view_gives_to_a_thread() -> None:
    assert await answers("/in_a_helper") == [[str(i)] * 5 for i in range(USERS)]


async def test_a_view_in_a_thread() -> None:
    assert await answers("/told", sync="thread") == [
        [str(i), str(i), "True"] for i in range(USERS)
    ]


async def test_blocking_middleware(settings_override: Any) -> None:
    names = "KeepsTheUser", "Blocking"
    settings_override(MIDDLEWARE=[f"{__name__}.{name}" for name in names])
    assert await answers("/told") == [[str(i), str(i), "False"] for i in range(USERS)]


async def test_a_thread_has_no_loop_of_the_request() -> None:
    for _ in range(2):
        exchange = await get("/without_a_loop", headers={"x-user": "1"})
        assert exchange.body == b"ran"


async def test_they_end_with_the_request() -> None:
    with uncollected():
        for _ in range(20):
            await get("/keeps_a_value", headers={"x-user": "1"})
        assert Value.alive == 0


async def test_the_threads_own_are_there_again() -> None:
    await sync_to_async(setattr)(kept, "user", "of the thread")

    @new_connection()
    async def inside() -> None:
        assert not await sync_to_async(lambda: vars(kept))()
        await run_sync(setattr, kept, "user", "of the block")
        assert await sync_to_async(lambda: kept.user)() == "of the block"
        with pytest.raises(ZeroDivisionError):
            await sync_to_async(lambda: 1 / 0)()

    await inside()
    assert await sync_to_async(lambda: vars(kept))() == {"user": "of the thread"}
    await sync_to_async(lambda: vars(kept).clear())()

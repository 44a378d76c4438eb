"""Requests in one thread do not see each other's thread-locals, and leave none."""

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.local import Local
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template import engines
from django.urls import path
from django.utils import timezone, translation
from django.utils.decorators import async_only_middleware

from django_async_fast import new_connection
from django_async_fast.asgi import get_asgi_application
from tests.support.counted import Counted
from tests.support.uncollected import uncollected
from tests.testapp.models import Tag

from .exchanges import get

kept = threading.local()
asgirefs = Local()


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


class Told:
    def __iter__(self) -> Iterator[list[Any]]:
        for _ in range(5):
            name = str(timezone.get_current_timezone())
            yield [*whoever(), name, Tag.objects.count()][:4]


def zone_of_the_user() -> Any:
    return timezone.override(f"Etc/GMT+{int(kept.user) % 12}")


def told_by_turns(request: HttpRequest) -> HttpResponse:
    with zone_of_the_user():
        return JsonResponse({"told": [*Told()]})


async def told_by_turns_async(request: HttpRequest) -> HttpResponse:
    told = []
    with zone_of_the_user():
        for _ in range(5):
            told.append([*whoever(), str(timezone.get_current_timezone())])
            await Tag.objects.acount()
            await asyncio.sleep(0)
    return JsonResponse({"told": told})


def told_in_a_template(request: HttpRequest) -> HttpResponse:
    html = (
        '{% load tz %}{"told": [{% for u, a, l, z in told %}["{{ u }}", "{{ a }}", '
        '"{{ l }}", "{{ z }}"]{% if not forloop.last %},{% endif %}{% endfor %}]}'
    )
    with zone_of_the_user():
        text = engines["django"].from_string(html).render({"told": Told()})
    return HttpResponse(text)


@async_only_middleware
def failing(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def middleware(request: Any) -> Any:
        await asyncio.sleep(0)
        raise ValueError if request.path == "/broken" else Http404

    return middleware


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    Tag.objects.count()
    return JsonResponse({"told": [*whoever()]}, status=404)


def broken(request: HttpRequest) -> HttpResponse:
    error = type(sys.exception()).__name__  # what receivers and logs report
    return JsonResponse({"told": [*whoever(), error]}, status=500)


handler404, handler500 = not_found, broken


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


TOLD = told_by_turns, told_by_turns_async, told_in_a_template
VIEWS = *TOLD, keeps_a_value, asks_for_the_loop
urlpatterns = [path(view.__name__, view) for view in VIEWS]


@pytest.fixture(autouse=True)
def _these_views(served: None, settings_override: Any) -> None:
    settings_override(ROOT_URLCONF=__name__)


@pytest.mark.parametrize("url", [f"/{view.__name__}" for view in TOLD])
def test_nobody_sees_anothers_thread_locals(
    url: str,
    settings_override: Any,
    no_new_threads: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings_override(MIDDLEWARE=[f"{__name__}.KeepsTheUser"])
    pool = {"min_size": 0, "max_size": 5, "timeout": 60}
    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "pool", pool)

    async def main() -> None:
        application = get_asgi_application()
        exchanges = await asyncio.gather(
            *(get(url, application, headers={"x-user": str(i)}) for i in range(200))
        )
        for i, exchange in enumerate(exchanges):
            zone, language = f"Etc/GMT+{i % 12}", ["de", "fr", "en"][i % 3]
            told = json.loads(exchange.body)["told"]
            assert told == [[str(i), str(i), language, zone]] * 5

    asyncio.run(main())
    # A server that was started where such values are kept: they are not theirs.
    asyncio.run(new_connection()(main)())
    assert not hasattr(kept, "user")


async def test_error_pages_behind_asynchronous_middleware(
    settings_override: Any, no_new_threads: None
) -> None:
    names = "KeepsTheUser", "failing"
    settings_override(MIDDLEWARE=[f"{__name__}.{name}" for name in names])
    application = get_asgi_application()
    for url, status, more in (("/", 404, []), ("/broken", 500, ["ValueError"])):
        exchanges = await asyncio.gather(
            *(get(url, application, headers={"x-user": str(i)}) for i in range(6))
        )
        for i, exchange in enumerate(exchanges):
            assert exchange.status == status
            told = [str(i), str(i), ["de", "fr", "en"][i % 3], *more]
            assert json.loads(exchange.body)["told"] == told


async def test_thread_locals_end_with_the_request() -> None:
    application = get_asgi_application()
    with uncollected():
        for _ in range(20):
            await get("/keeps_a_value", application)
        assert Value.alive == 0


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="policies are deprecated")
async def test_the_threads_loop_is_found() -> None:
    exchange = await get("/asks_for_the_loop")
    assert exchange.body.decode() == str(id(asyncio.get_running_loop()))

"""`@blocking` in requests of the application, and the watch for what has none."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils.deprecation import MiddlewareMixin

from django_async_fast import blocking, bridge, new_connection, run_sync
from django_async_fast.bridge import stall_watch
from django_async_fast.connections import blocking_code
from django_async_fast.seams import installation
from tests.support.backend_pids import backend_pid
from tests.support.until import until
from tests.testapp.models import Tag

from .exchanges import get

seen: list[tuple[str, bool, int]] = []
Served = Callable[..., None]
Watched = Callable[[str], list[str]]


def see(what: str) -> None:
    on_loop = threading.current_thread() is threading.main_thread()
    seen.append((what, on_loop, backend_pid()))


def view(request: HttpRequest) -> HttpResponse:
    see("view")
    return HttpResponse("seen")


@blocking
def blocking_view(request: HttpRequest) -> HttpResponse:
    see("view")
    return HttpResponse("seen")


async def async_view(request: HttpRequest) -> HttpResponse:
    helper()
    await run_sync(helper)
    return HttpResponse("seen")


@blocking
def helper() -> None:
    see("helper")


@blocking
class Middle(MiddlewareMixin):
    """A middleware that blocks."""

    def process_request(self, request: HttpRequest) -> None:
        see("request")

    def process_view(self, request: HttpRequest, *args: Any) -> None:
        see("process_view")

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        see("response")
        return response


@blocking
def middle(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def inner(request: HttpRequest) -> Any:
        see("request")
        response = get_response(request)
        see("response")
        return response

    return inner


standing = threading.Lock()


def takes_lock(request: HttpRequest) -> HttpResponse:
    if standing.acquire(timeout=1.0):
        standing.release()
    return HttpResponse("got it")


def holds_lock(request: HttpRequest) -> HttpResponse:
    with standing, connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.2)")
    return HttpResponse("held it")


def computes(request: HttpRequest) -> HttpResponse:
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        sum(range(1000))
    return HttpResponse("computed")


VIEWS = (view, blocking_view, async_view, takes_lock, holds_lock, computes)
urlpatterns = [path(each.__name__, each) for each in VIEWS]


@pytest.fixture(autouse=True)
def served(settings_override: Any) -> Iterator[Served]:
    settings_override(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[])
    seen.clear()
    yield settings_override


async def test_a_view() -> None:
    assert (await get("/blocking_view")).body == b"seen"
    assert [each[:2] for each in seen] == [("view", False)]
    assert (await get("/view")).body == b"seen"
    assert seen[1][1]


async def test_a_function() -> None:
    assert (await get("/async_view")).body == b"seen"
    assert [each[:2] for each in seen] == [("helper", False)] * 2
    assert len({pid for *_, pid in seen}) == 1


def test_elsewhere_it_is_called_as_it_is() -> None:
    assert Client().get("/blocking_view").content == b"seen"
    assert [each[:2] for each in seen] == [("view", True)]
    connection.close()


@pytest.mark.parametrize("name", ["Middle", "middle"])
@pytest.mark.parametrize("url", ["view", "blocking_view", "async_view"])
async def test_middleware(served: Served, name: str, url: str) -> None:
    served(MIDDLEWARE=[f"{__name__}.{name}"] * 2)
    exchange = await get(f"/{url}")
    assert exchange.body == b"seen"
    by_name = {what: on_loop for what, on_loop, _ in seen}
    assert not by_name["request"]
    assert not by_name["response"]
    assert not by_name.get("process_view", False)
    assert by_name.get("view", False) is (url == "view")
    assert len({pid for *_, pid in seen}) == 1, "all on the request's connection"
    assert [what for what, *_ in seen].count("response") == 2


async def test_what_cannot_block() -> None:
    with pytest.raises(TypeError, match="async_view"):
        blocking(async_view)


async def test_the_setting(served: Served) -> None:
    served(DJANGO_ASYNC_FAST={"BLOCKING": [f"{__name__}.Other.slow"]})
    plain = vars(Other)["slow"]
    ((owner, name, replacement),) = blocking_code.named()
    assert (owner, name) == (Other, "slow")
    try:
        installation.install_blocking()
        async with new_connection():
            assert await run_sync(Other().slow) is not threading.current_thread()
    finally:
        Other.slow = plain  # type: ignore[method-assign]
        installation._applied.pop()
    async with new_connection():
        assert await run_sync(Other().slow) is threading.current_thread()
    assert replacement.__wrapped__ is plain


class Other:
    def slow(self) -> threading.Thread:
        return threading.current_thread()


@pytest.mark.parametrize("path", ["tests.nowhere.view", f"{__name__}.nothing", "x"])
def test_a_setting_that_names_nothing(served: Served, path: str) -> None:
    served(DJANGO_ASYNC_FAST={"BLOCKING": [path]})
    with pytest.raises(ImproperlyConfigured, match="BLOCKING"):
        blocking_code.named()


def test_a_setting_that_names_a_package_that_is_not_installed(served: Served) -> None:
    served(DJANGO_ASYNC_FAST={"BLOCKING": ["not_installed.Charge.create"]})
    with pytest.raises(ImproperlyConfigured, match="No module named 'not_installed'"):
        blocking_code.named()


# ----- the watch


@pytest.fixture
def watched(
    served: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watched]:
    served(DJANGO_ASYNC_FAST={"STALL_WATCH": 0.15})
    monkeypatch.setattr(stall_watch, "_reported", {})
    caplog.set_level(logging.WARNING, "django_async_fast")
    yield lambda what: [
        record.getMessage()
        for record in caplog.records
        if "stood still" in record.getMessage() and what in record.getMessage()
    ]
    served(DJANGO_ASYNC_FAST={})
    while stall_watch._watcher is not None:
        time.sleep(0.01)


async def test_f40_code_that_holds_the_loop_is_named_once(watched: Watched) -> None:
    for _ in range(3):
        assert (await get("/computes")).body == b"computed"
    (message,) = watched("computes (")
    assert f"{__file__}:" in message
    assert "@blocking" in message
    assert "threading.Lock" not in message


async def test_f40_a_lock_held_over_a_query(watched: Watched) -> None:
    holding = asyncio.create_task(get("/holds_lock"))
    await until(standing.locked)
    assert (await get("/takes_lock")).body == b"got it"
    await holding
    (message,) = watched("takes_lock (")
    assert "threading.Lock 'standing'" in message
    assert "holds_lock (" in message


async def test_waiting_is_no_standing_still(watched: Watched) -> None:
    assert (await get("/holds_lock")).body == b"held it"
    await asyncio.sleep(0.5)
    assert watched(__file__) == []


@pytest.mark.core
async def test_a_loop_whose_calls_go_on_is_not_asked(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ask(self: Any, now: float) -> None:
        asked.append(now)

    async def steps(for_s: float) -> None:
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            await bridge.run(time.monotonic)
            await asyncio.sleep(0)

    await get("/view")
    monkeypatch.setattr(stall_watch._WatchedLoop, "ask", ask)
    await steps(0.2)
    asked.clear()
    await steps(0.5)
    assert not asked
    await asyncio.sleep(0.5)
    assert asked


async def test_without_the_setting_nobody_watches(served: Served) -> None:
    served(DJANGO_ASYNC_FAST={})
    await get("/view")
    assert stall_watch._watcher is None
    assert await Tag.objects.acount() == 0

"""The signals of a request: their receivers, the caches and query logs they clear."""

import asyncio
import gc
import threading
import weakref
from typing import Any
from unittest import mock

import pytest
from asgiref.local import Local
from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started
from django.db import connection, connections
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse

from django_async_fast import new_connection, run_sync
from django_async_fast.asgi import get_asgi_application
from django_async_fast.requests import receivers
from tests.support.signals import receiving
from tests.testapp.models import Tag

from .exchanges import books, get
from .handler_site import seen

pytestmark = pytest.mark.usefixtures("served")


async def test_receivers_of_djangos_handler_are_asked() -> None:
    senders: list[Any] = []
    for signal in (request_started, request_finished):
        signal.connect(
            of_asgi := lambda sender, **_: senders.append(sender), ASGIHandler
        )
        try:
            assert (await get("/where")).status == 200
        finally:
            assert signal.disconnect(of_asgi, ASGIHandler)
    assert senders == [ASGIHandler, ASGIHandler]


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

    with (
        receiving(started, request_started),
        receiving(started_async, request_started),
        receiving(finished, request_finished),
        receiving(finished_async, request_finished),
    ):
        assert (await get("/where")).status == 200
    assert order == [
        ("started", "/where", 0),
        ("started async", 0),
        ("finished", 0),
        ("finished async", 0),
    ]


async def test_receivers_of_the_end_find_what_is_the_views_threads() -> None:
    threads: list[int] = []

    def finished(**kwargs: Any) -> None:
        threads.append(threading.get_ident())

    with receiving(finished, request_finished):
        for application in (ASGIHandler(), get_asgi_application(sync="thread")):
            await get("/where", application)
            assert threads.pop() == seen["thread"] != threading.get_ident()
        await sync_to_async(connections.close_all)()


@pytest.mark.parametrize("url", ["/lazy", "/task_of_its_own", "/template"])
async def test_queries_of_a_view_after_those_of_a_receiver(url: str) -> None:
    await sync_to_async(books)()
    with receiving(lambda **kwargs: Tag.objects.count(), request_started):
        async with asyncio.timeout(10):
            assert (await get(url)).status == 200


async def test_receivers_that_come_and_go_between_requests() -> None:
    heard: list[str] = []
    application = get_asgi_application()
    application.get_response = lambda request: HttpResponse("plain")
    await get("/plain", application)
    with receiving(lambda **kwargs: heard.append("started"), request_started):
        await get("/plain", application)
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
    closed = []

    def finished(sender: Any, **kwargs: Any) -> None:
        closed.append(sender)

    # Without those of other tests' tools.
    for signal in (request_started, request_finished):
        own = [each for each in signal.receivers if _is_djangos(each[1])]
        monkeypatch.setattr(signal, "receivers", own)
    application = get_asgi_application()
    looked = mock.Mock(side_effect=connections.all)
    monkeypatch.setattr(connections, "all", looked)
    await get("/plain", application)
    assert not looked.called
    with receiving(finished, request_finished):
        await get("/plain", application)
    assert closed == [ASGIHandler]
    assert looked.called  # as Django sends it, where others are told


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


async def test_caches_are_not_looked_for_where_none_has_been_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert caches.settings  # which are made at their first use
    monkeypatch.setattr(caches, "_connections", Local())
    for owner, name, value in (
        (type(caches), "close_all", lambda self: None),
        (caches, "close_all", lambda: None),
        (caches, "_connections", Local(thread_critical=True)),
    ):
        assert not receivers.has_caches()
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            assert receivers.has_caches()
    with monkeypatch.context() as patch:
        patch.delitem(vars(caches), "settings")
        assert receivers.has_caches()
    assert not receivers.has_caches()
    assert caches["default"] is not None
    assert receivers.has_caches()


async def test_a_finished_signal_answers_as_djangos() -> None:
    def both() -> tuple[Any, Any]:
        ours = request_finished.send(sender=None)
        return ours, Signal.send(request_finished, sender=None)

    async with new_connection():
        ours, djangos = await run_sync(both)
    assert ours == djangos != []


async def test_the_query_log_is_emptied(settings_override: Any) -> None:
    settings_override(DEBUG=True, MIDDLEWARE=[])
    logged = []
    with receiving(
        lambda **kwargs: logged.append(len(connection.queries)), request_finished
    ):
        await get("/where")
        await get("/where")
    assert logged == [0, 0]


# Before 6.1 Django leaves the file of the request's body open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_receiver_that_fails_ends_the_request() -> None:
    def started(**kwargs: Any) -> None:
        raise ValueError("started")

    with receiving(started, request_started):
        for application in (ASGIHandler(), get_asgi_application()):
            with pytest.raises(ValueError, match="started"):
                await get("/plain", application)
    gc.collect()

"""The life of a request's connections, through Django's own ASGI handler."""

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.db import connection, connections
from django.test import AsyncClient, Client
from django.utils.decorators import sync_only_middleware

from django_async_fast import async_connections, new_connection
from django_async_fast.asgi import lifespan
from django_async_fast.connections.blocks import current_block
from django_async_fast.pool import loop_pool
from tests.support.request_sessions import States, gone
from tests.support.tags import tags
from tests.testapp.models import Tag

from . import middleware_site
from .middleware_site import MIDDLEWARE, kept, seen

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
def served(settings_override: Any) -> Iterator[None]:
    settings_override(
        ROOT_URLCONF=middleware_site.__name__,
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=[MIDDLEWARE],
    )
    seen.clear()
    yield
    seen.clear()


def client() -> AsyncClient:
    return AsyncClient(raise_request_exception=False)


async def asked(path: str, application: Any = None) -> ApplicationCommunicator:
    """Return what a server holds of a request that has arrived."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": f"/{path}",
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
    }
    served = ApplicationCommunicator(application or ASGIHandler(), scope)
    await served.send_input({"type": "http.request"})
    return served


async def test_nothing_opens_before_the_first_query(sessions: States) -> None:
    response = await client().get("/lazy")
    assert response.json() == {"wrappers": []}
    assert sessions() == []


async def test_queries_run_on_the_loop_and_the_connection_is_given_back(
    sessions: States,
) -> None:
    response = await client().get("/counting")
    assert response.json() == {"count": 1}
    assert seen["thread"] == threading.get_ident()
    assert seen["conn"].connection is None
    assert current_block() is None
    await gone(sessions)


async def test_synchronous_views_keep_djangos_connections() -> None:
    response = await client().get("/synchronous")
    assert response.json() == {"count": 0}
    assert seen == {"wrapper": "BaseDatabaseWrapper", "threaded": True}
    await sync_to_async(connections.close_all)()


def test_wsgi_is_served_as_before() -> None:
    assert Client().get("/synchronous").json() == {"count": 0}
    assert seen["threaded"] is False
    connection.close()


@sync_only_middleware
def synchronous_middleware(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def middleware(request: Any) -> Any:
        seen["before"] = threading.get_ident()
        return get_response(request)

    return middleware


@pytest.mark.parametrize("ours_first", [True, False])
async def test_with_synchronous_middleware(
    settings_override: Any, ours_first: bool
) -> None:
    chain = [MIDDLEWARE, f"{__name__}.synchronous_middleware"]
    settings_override(MIDDLEWARE=chain if ours_first else chain[::-1])
    response = await client().get("/counting")
    assert response.json() == {"count": 1}
    assert seen["before"] != seen["thread"] == threading.get_ident()
    assert seen["conn"].connection is None
    streamed = await client().get("/streaming")
    assert b"".join([part async for part in streamed]) == b"at0t1t2t3t4"


async def test_a_failing_view() -> None:
    response = await client().get("/failing_async")
    assert response.status_code == 500
    assert await tags() == ["failing"]


@pytest.mark.usefixtures("atomic_requests")
class TestAtomicRequests:
    async def test_a_failing_view_is_rolled_back(self) -> None:
        assert (await client().get("/failing_async")).status_code == 500
        assert await tags() == []

    async def test_a_view_that_succeeds_is_committed(self) -> None:
        assert (await client().get("/class_based")).status_code == 200
        assert seen["atomic"]
        assert await tags() == ["class"]

    async def test_non_atomic_requests(self) -> None:
        assert (await client().get("/failing_non_atomic")).status_code == 500
        assert await tags() == ["failing"]

    async def test_synchronous_views(self) -> None:
        assert (await client().get("/synchronous")).json() == {"count": 0}
        await sync_to_async(connections.close_all)()

    async def test_without_the_middleware_django_refuses(
        self, settings_override: Any
    ) -> None:
        settings_override(MIDDLEWARE=[])
        with pytest.raises(RuntimeError, match="ATOMIC_REQUESTS"):
            await AsyncClient().get("/counting")
        async with new_connection():
            with pytest.raises(RuntimeError, match="ATOMIC_REQUESTS"):
                await AsyncClient().get("/counting")

    def test_wsgi_refuses(self) -> None:
        with pytest.raises(RuntimeError, match="ATOMIC_REQUESTS"):
            Client().get("/counting")
        connections.close_all()


async def test_the_block_stays_open_while_the_response_streams(
    sessions: States,
) -> None:
    response = await client().get("/streaming")
    assert current_block() is None
    received = []
    async for part in response:
        received.append(part)
        assert sessions() == ["idle in transaction"] or sessions() == ["idle"]
        assert current_block() is None
    assert received == [b"t0", b"t1", b"t2", b"t3", b"t4"]
    assert seen["stream closed"] == 5
    await gone(sessions)


async def test_a_failure_in_the_stream(sessions: States) -> None:
    response = await client().get("/streaming_failure")
    with pytest.raises(ValueError, match="in the stream"):
        async for part in response:
            assert part == b"0"
    await gone(sessions)


async def test_an_atomic_block_around_the_parts() -> None:
    response = await client().get("/streaming_in_atomic")
    received = []
    async for part in response:
        received.append(part)
        assert await tags() == []  # a block of ours; the stream's is not in the way
    assert received == [b"1", b"2"]
    assert await tags() == ["a", "b"]


async def test_a_stream_that_nobody_reads(sessions: States) -> None:
    response = await client().get("/streaming")
    assert sessions() == ["idle"]
    response.close()
    await gone(sessions)


async def test_a_stream_that_is_forgotten(sessions: States) -> None:
    response = await client().get("/streaming")
    assert sessions() == ["idle"]
    del response
    gc.collect()  # Django's response is part of a cycle
    await gone(sessions)


async def test_a_head_request_for_a_stream(sessions: States) -> None:
    response = await client().head("/streaming")
    assert response.status_code == 200
    response.close()
    await gone(sessions)


@pytest.mark.parametrize("view", ["slow", "in_a_query"])
async def test_f23_the_client_goes_away_during_the_view(
    view: str, sessions: States, finished: list[Any]
) -> None:
    seen["inside"] = asyncio.Event()
    app = await asked(view)
    await asyncio.wait_for(seen["inside"].wait(), 5)
    await app.send_input({"type": "http.disconnect"})
    await app.wait(5)
    assert finished == [ASGIHandler]
    await gone(sessions)
    assert await tags() == []


async def test_f23_the_client_goes_away_during_the_stream(
    sessions: States, finished: list[Any]
) -> None:
    app = await asked("endless")
    assert (await app.receive_output(5))["type"] == "http.response.start"
    for _ in range(3):
        assert (await app.receive_output(5))["body"] == b"0"
    await app.send_input({"type": "http.disconnect"})
    await app.wait(5)
    assert finished == [ASGIHandler]
    await gone(sessions)
    assert seen["closed"] == 0


@pytest.mark.skipif(
    django.VERSION < (6, 1), reason="Django's handler leaves the view's task running"
)
async def test_f23_the_server_cancels_the_request(sessions: States) -> None:
    seen["inside"] = asyncio.Event()
    app = await asked("slow")
    await asyncio.wait_for(seen["inside"].wait(), 5)
    app.future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await app.future
    await gone(sessions)


async def test_a_request_to_the_end(sessions: States, finished: list[Any]) -> None:
    app = await asked("counting")
    assert (await app.receive_output(5))["status"] == 200
    assert (await app.receive_output(5))["body"] == b'{"count": 1}'
    await app.wait(5)
    assert finished == [ASGIHandler]
    await gone(sessions)


@pytest.mark.parametrize(
    ("view", "places"),
    [("autocommit_off", 1), ("atomic_not_left", 2), ("child_in_atomic", 1)],
)
async def test_f22_a_transaction_left_open_is_rolled_back_with_a_warning(
    view: str, places: int, sessions: States, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "django_async_fast"):
        async with asyncio.timeout(10):  # nobody waits for a child's transaction
            response = await client().get(f"/{view}")
    assert response.status_code == 200
    if child := seen.get("child"):
        child.cancel()
        await asyncio.wait([child])
        assert child.cancelled()
    messages = [r.getMessage() for r in caplog.records if r.name == "django_async_fast"]
    assert len(messages) == places
    for message in messages:
        assert f"GET /{view} left a transaction on 'default' open" in message
        assert f"{middleware_site.__file__}:" in message
    await gone(sessions)
    assert await tags() == []


async def test_autocommit_off_with_nothing_open_is_no_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert (await client().get("/autocommit_off_settled")).status_code == 200
    assert caplog.records == []
    assert await tags() == ["committed"]


async def test_a_pooled_connection_comes_back_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = {"min_size": 0, "max_size": 1, "timeout": 5}
    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "pool", pool)
    for view in ("autocommit_off", "atomic_not_left", "counting", "lazy"):
        assert (await client().get(f"/{view}")).status_code == 200
    response = await client().get("/streaming")
    assert len([part async for part in response]) == 6
    assert await tags() == ["a", "t0", "t1", "t2", "t3", "t4"]


async def test_decorator() -> None:
    @new_connection()
    async def work(name: str) -> Any:
        await Tag.objects.acreate(name=name)
        return async_connections["default"]

    first, second = await asyncio.gather(work("a"), work("b"))
    assert first is not second
    assert first.connection is second.connection is None
    assert await tags() == ["a", "b"]


async def test_decorator_with_arguments() -> None:
    @new_connection(using="other", force_rollback=True)
    async def work() -> int:
        await Tag.objects.using("other").acreate(name="a")
        return await Tag.objects.using("other").acount()

    assert [await work(), await work()] == [1, 1]
    assert work.__name__ == "work"


def test_decorator_in_synchronous_code() -> None:
    @new_connection()
    async def work() -> int:
        return await Tag.objects.acount()

    assert async_to_sync(work)() == 0


def test_decorator_of_synchronous_code_is_refused() -> None:
    with pytest.raises(TypeError, match="async def"):
        new_connection()(lambda: None)  # type: ignore[type-var]


async def test_lifespan() -> None:
    served = ApplicationCommunicator(lifespan(ASGIHandler()), {"type": "lifespan"})
    await served.send_input({"type": "lifespan.startup"})
    message = await served.receive_output(5)
    assert message == {"type": "lifespan.startup.complete"}
    entries = loop_pool._pools[asyncio.get_running_loop()]
    (((_, alias), entry),) = entries.items()
    assert (alias, entry.opened) == ("pooled", True)
    await served.send_input({"type": "lifespan.shutdown"})
    message = await served.receive_output(5)
    assert message == {"type": "lifespan.shutdown.complete"}
    assert entries == {}
    await served.wait(5)


async def test_lifespan_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = connections.settings["pooled"]
    monkeypatch.setitem(settings, "NAME", "django_async_fast_nowhere")
    monkeypatch.setitem(settings, "OPTIONS", {"pool": {"timeout": 0.5}})
    served = ApplicationCommunicator(lifespan(ASGIHandler()), {"type": "lifespan"})
    await served.send_input({"type": "lifespan.startup"})
    message = await served.receive_output(5)
    assert message["type"] == "lifespan.startup.failed"
    with pytest.raises(Exception, match=r"."):
        await served.wait(5)


async def test_lifespan_leaves_requests_alone() -> None:
    served = await asked("lazy", lifespan(ASGIHandler()))
    assert (await served.receive_output(5))["status"] == 200
    await served.receive_output(5)
    await served.wait(5)


@pytest.mark.core
async def test_thread_locals_of_awaited_code_are_the_requests() -> None:
    client = AsyncClient()
    asked = [client.get("/keeping", {"value": str(n)}) for n in range(8)]
    answers = await asyncio.gather(*asked)
    assert [each.content for each in answers] == [b"%d" % n for n in range(8)]
    assert not hasattr(kept, "value")


@pytest.mark.core
async def test_thread_locals_of_a_stream_are_there_until_its_end() -> None:
    response = await AsyncClient().get("/keeping_in_a_stream")
    assert [part async for part in response] == [b"True"]
    assert seen["value"]() is None

"""A connection that is given back with its wrapper, and taken with it."""

from __future__ import annotations

import asyncio
import copy
import gc
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, ProgrammingError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.query import QuerySet
from django.test.utils import CaptureQueriesContext, override_settings

from django_async_fast import bridge, new_connection, pool, run_sync, shapes, wrapper
from django_async_fast.connections import current_block
from django_async_fast.drivers import statement
from tests.testapp.models import Tag

pytestmark = pytest.mark.usefixtures("_compiled", "tag")


@pytest.fixture
def _compiled() -> None:
    if QuerySet.get is not shapes.get:
        pytest.skip("without the compiled core Django's get() runs")


@pytest.fixture
def tag() -> Any:
    found = Tag.objects.create(pk=1, name="one")
    yield found
    found.delete()


async def get() -> Tag:
    return await Tag.objects.using("pooled").aget(pk=1)


async def unseen() -> None:
    """Begin a block with a known get(), and look at nothing."""
    async with new_connection("pooled"):
        await get()


async def block() -> Any:
    """Begin a block with a known get(); return the wrapper's identity, not itself."""
    async with new_connection("pooled"):
        await get()
        return id(connections_of_block())


def connections_of_block() -> Any:
    found = current_block()
    assert found is not None
    return found.wrapper("pooled")


async def warm() -> Any:
    """Leave a parked wrapper; return its connection's origin."""
    for _ in range(3):
        await block()
    (entry,) = pool._pools[asyncio.get_running_loop()].values()
    return next(each for each in entry.connections if each.parked is not None)


async def test_the_next_block_has_the_same_wrapper() -> None:
    origin = await warm()
    assert await block() == await block() == id(origin.parked[0])
    assert origin.parked[0].connection.origin is origin
    assert origin.parked[0].connection.returned
    assert origin.parked[0].block is None


async def test_it_belongs_to_its_block_while_that_lasts() -> None:
    origin = await warm()
    async with new_connection("pooled"):
        await get()
        assert origin.parked is None
        conn = connections_of_block()
        assert conn.connection.origin is origin
        assert conn.gate.root.open
        assert conn.pool.gate is conn.connection.gate is conn.gate
        assert conn.block.wrappers["pooled"] is conn


async def test_who_has_the_blocks_wrapper_keeps_it() -> None:
    origin = await warm()
    async with new_connection("pooled") as conn:
        await get()
        assert connections_of_block() is conn
    assert origin.parked is None
    assert conn.connection is None


MARKS = {
    "an execute wrapper": lambda conn: conn.execute_wrappers.append(print),
    "a debug cursor": lambda conn: setattr(conn, "force_debug_cursor", True),
    "an attribute": lambda conn: setattr(conn, "tenant", 7),
    "a callback": lambda conn: conn.run_on_commit.append((set(), print, False)),
    "thread sharing": lambda conn: conn.inc_thread_sharing(),
    "an error": lambda conn: setattr(conn, "errors_occurred", True),
    "a notice handler": lambda conn: conn.connection.add_notice_handler(print),
    "a row factory": lambda conn: setattr(conn.connection, "row_factory", print),
    "a cursor factory": lambda conn: setattr(conn.connection, "cursor_factory", print),
    "a read-only session": lambda conn: setattr(conn.connection, "_read_only", True),
}


@pytest.mark.parametrize("mark", MARKS)
async def test_what_has_been_left_in_it_is_not_seen_again(mark: str) -> None:
    origin = await warm()
    async with new_connection("pooled"):
        await get()
        MARKS[mark](connections_of_block())
    if mark == "a callback":  # it ends with the block
        return
    assert origin.parked is None
    await warm()


@pytest.mark.parametrize("which", ["the wrapper", "its connection", "its cursor"])
async def test_what_somebody_has_is_not_given_to_the_next(which: str) -> None:
    origin = await warm()
    async with new_connection("pooled"):
        await get()
        conn = connections_of_block()
        kept = {
            "the wrapper": conn,
            "its connection": conn.connection,
            "its cursor": conn.connection.cursor(),
        }[which]
        del conn
    assert origin.parked is None
    assert kept is not None


async def test_a_helper_that_somebody_has_is_of_its_block() -> None:
    origin = await warm()
    async with new_connection("pooled"):
        await get()
        ops = connections_of_block().ops
    assert origin.parked is None
    assert ops.connection.connection is None


async def test_the_signal_is_sent_for_each_block() -> None:
    await warm()
    seen: list[int] = []

    def receiver(connection: Any, **kwargs: Any) -> None:
        assert connection.connection is not None
        seen.append(id(connection))

    connection_created.connect(receiver)
    try:
        assert [await block(), await block()] == seen
    finally:
        connection_created.disconnect(receiver)


async def test_a_receiver_that_fails_leaves_nothing_taken() -> None:
    origin = await warm()

    def receiver(**kwargs: Any) -> None:
        raise ValueError("no")

    connection_created.connect(receiver)
    try:
        with pytest.raises(ValueError, match="no"):
            await block()
    finally:
        connection_created.disconnect(receiver)
    assert origin.closed  # as after Django's connect()
    await warm()


async def test_settings_changed_in_place_are_read_again() -> None:
    await warm()
    settings = connections.settings["pooled"]
    settings["CONN_HEALTH_CHECKS"] = True
    try:
        async with new_connection("pooled"):
            await get()
            assert connections_of_block().health_check_enabled
    finally:
        settings["CONN_HEALTH_CHECKS"] = False
    for _ in range(2):  # the one that was left then is not taken now
        async with new_connection("pooled"):
            await get()
            assert not connections_of_block().health_check_enabled


async def test_one_left_before_django_connected_anew_is_not_taken() -> None:
    origin = await warm()
    assert origin.parked is not None
    parked = origin.parked[0]
    known = type(parked).connects
    known["pooled"] = copy.copy(known["pooled"])
    async with new_connection("pooled"):
        await get()
        assert connections_of_block() is not parked


async def test_one_that_nobody_saw_is_what_it_was_taken_as() -> None:
    origin = await warm()
    assert origin.parked is not None
    parked = origin.parked[0]
    known = type(parked).connects
    async with new_connection("pooled"):
        await get()
        known["pooled"] = copy.copy(known["pooled"])  # Django has connected anew
    async with new_connection("pooled"):
        await get()
        assert connections_of_block() is not parked


async def test_the_time_zone_is_asked_for_in_each_block() -> None:
    await warm()
    before = connections["pooled"].timezone
    with override_settings(USE_TZ=False):
        async with new_connection("pooled"):
            await get()
            assert connections_of_block().timezone is None
    async with new_connection("pooled"):
        await get()
        assert connections_of_block().timezone == before


async def test_a_block_that_is_rolled_back_makes_its_own() -> None:
    await warm()
    async with new_connection("pooled", force_rollback=True):
        await get()
        assert connections_of_block().in_atomic_block


@pytest.mark.parametrize("parked", [False, True])
async def test_the_log_is_as_long_as_it_may_be(
    parked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
    if parked:
        await warm()
    monkeypatch.setattr(BaseDatabaseWrapper, "queries_limit", 3)
    async with new_connection("pooled"):
        await get()
        assert connections_of_block().queries_log.maxlen == 3


async def test_statements_in_a_block_are_logged_as_ever() -> None:
    await warm()
    with override_settings(DEBUG=True):
        async with new_connection("pooled"):
            await get()
            log = connections_of_block().queries
    assert len(log) == 1


async def test_a_log_that_nobody_reads_ends_with_its_block() -> None:
    await warm()
    with override_settings(DEBUG=True):
        for _ in range(3):
            await unseen()
        async with new_connection("pooled"):
            await get()
            assert len(connections_of_block().queries) == 1


async def test_an_error_that_nobody_looks_at_ends_with_its_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await warm()

    def fails(*args: Any) -> Any:
        raise psycopg.OperationalError("no")

    with monkeypatch.context() as patch:
        patch.setattr(statement, "_fetch", fails)
        with pytest.raises(OperationalError, match="no"):
            await unseen()
    async with new_connection("pooled"):
        await get()
        assert not connections_of_block().errors_occurred


async def test_captured_queries_of_a_block() -> None:
    await warm()

    def captured() -> int:
        with CaptureQueriesContext(connections["pooled"]) as queries:
            Tag.objects.using("pooled").get(pk=1)
        return len(queries)

    async with new_connection("pooled"):
        assert await run_sync(captured) == 1


async def test_two_tasks_ask_first_in_one_block() -> None:
    await warm()
    async with new_connection("pooled"):
        tags = await asyncio.gather(*(get() for _ in range(6)))
        assert {each.pk for each in tags} == {1}
        assert len(pool_connections_out()) == 1


def pool_connections_out() -> list[Any]:
    (entry,) = pool._pools[asyncio.get_running_loop()].values()
    return [each for each in entry.connections if each not in entry.pool._pool]


async def all_taken(release: asyncio.Event) -> None:
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
        await release.wait()


async def crowd() -> tuple[asyncio.Event, list[asyncio.Task[None]]]:
    release = asyncio.Event()
    tasks = [asyncio.create_task(all_taken(release)) for _ in range(4)]
    async with asyncio.timeout(10):
        while len(pool_connections_out()) < 4:
            await asyncio.sleep(0.01)
    return release, tasks


async def test_two_tasks_of_a_block_wait_in_line() -> None:
    await warm()
    release, tasks = await crowd()
    async with new_connection("pooled"):
        asked = [asyncio.create_task(get()) for _ in range(3)]
        await asyncio.sleep(0.05)
        release.set()
        assert {each.pk for each in await asyncio.gather(*asked)} == {1}
        await asyncio.gather(*tasks)
        assert len(pool_connections_out()) == 1
    assert not pool_connections_out()


@pytest.mark.parametrize("late", [False, True])
async def test_cancelled_in_line(late: bool) -> None:
    await warm()
    release, tasks = await crowd()
    waiting = asyncio.create_task(block())
    await asyncio.sleep(0.05)
    if late:
        release.set()
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    release.set()
    await asyncio.gather(*tasks)
    async with asyncio.timeout(10):
        while pool_connections_out():
            await asyncio.sleep(0.01)
    await block()


async def test_a_full_pool_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    await warm()
    (entry,) = pool._pools[asyncio.get_running_loop()].values()
    release, tasks = await crowd()
    monkeypatch.setattr(entry.pool, "timeout", 0.1)
    with pytest.raises(OperationalError, match="all 4 of at most 4 connections"):
        await block()
    release.set()
    await asyncio.gather(*tasks)


async def test_blocks_without_a_parked_one_take_their_own() -> None:
    await warm()
    release, tasks = await crowd()  # four that nobody has parked
    waiting = [asyncio.create_task(block()) for _ in range(8)]
    await asyncio.sleep(0.05)
    release.set()
    await asyncio.gather(*tasks, *waiting)
    assert not pool_connections_out()


async def test_nothing_is_left_to_collect() -> None:
    await warm()
    gc.collect()
    gc.disable()
    try:
        gc.set_debug(gc.DEBUG_SAVEALL)
        for _ in range(5):
            await block()
        gc.collect()
        left = [each for each in gc.garbage if isinstance(each, wrapper.BlockWrapper)]
        assert not left
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_a_closed_pool_lets_go_of_them() -> None:
    origin = await warm()
    parked = weakref.ref(origin.parked[0])
    async with new_connection("pooled") as conn:
        await run_sync(conn.close_pool)
    gc.collect()
    assert parked() is None
    await block()


async def later(what: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    await asyncio.sleep(0.02)
    return await what()


OTHERS: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
    "one like it": get,
    "another query": lambda: Tag.objects.using("pooled").acount(),
}


@pytest.mark.parametrize("other", OTHERS)
async def test_tasks_of_a_block_wait_for_one_connection(other: str) -> None:
    # With one more for each, every block would have one and wait for another.
    await warm()
    release, tasks = await crowd()

    async def two() -> None:
        async with new_connection("pooled"):
            await asyncio.gather(get(), later(OTHERS[other]), later(get))

    blocks = [asyncio.create_task(two()) for _ in range(5)]
    await asyncio.sleep(0.05)
    release.set()
    async with asyncio.timeout(3):
        await asyncio.gather(*tasks, *blocks)
    assert not pool_connections_out()


async def test_the_second_goes_on_when_the_first_is_cancelled() -> None:
    await warm()
    release, tasks = await crowd()
    async with new_connection("pooled"):
        first, second = (asyncio.create_task(get()) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.sleep(0.05)
        release.set()
        async with asyncio.timeout(3):
            assert (await second).pk == 1
        await asyncio.gather(*tasks)
    assert first.cancelled()
    assert not pool_connections_out()


async def test_a_task_that_outlives_its_block_takes_none() -> None:
    await warm()
    left = new_connection("pooled")
    await left.__aenter__()
    ended = asyncio.Event()

    def late() -> Any:
        bridge.await_(ended.wait())
        return Tag.objects.using("pooled").get(pk=1)

    task = asyncio.create_task(run_sync(late))
    await asyncio.sleep(0)
    await left.__aexit__(GeneratorExit, GeneratorExit(), None)
    ended.set()
    with pytest.raises(InterfaceError, match="has ended"):
        await task
    assert not pool_connections_out()


async def test_autocommit_changed_without_django() -> None:
    await warm()
    async with new_connection("pooled"):
        await get()
        await run_sync(connections_of_block().connection.set_autocommit, False)
    async with new_connection("pooled"):
        await get()
        assert connections_of_block().connection.autocommit


def test_a_loop_that_goes_on_in_another_thread() -> None:
    loop = asyncio.new_event_loop()
    found: list[int] = []

    def run() -> None:
        found.append(loop.run_until_complete(block()))

    loop.run_until_complete(warm())
    run()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    run()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert len(found) == 3
    assert len(set(found)) == 1


async def test_other_settings_of_the_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    await warm()
    other = {**connections.settings["pooled"]}
    monkeypatch.setitem(connections.settings, "pooled", other)
    async with new_connection("pooled"):
        await get()
        assert connections_of_block().settings_dict is other


async def test_a_time_zone_without_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings["pooled"], "TIME_ZONE", "UTC")
    await warm()
    with (
        override_settings(USE_TZ=False),
        pytest.raises(ImproperlyConfigured, match="USE_TZ is False"),
    ):
        await block()


@pytest.mark.parametrize("name", ["__init__", "connect", "check_settings"])
async def test_a_step_that_somebody_replaces(name: str) -> None:
    await warm()
    before, seen = getattr(DatabaseWrapper, name), []

    def own(self: Any, *args: Any) -> Any:
        seen.append(name)
        return before(self, *args)

    with mock.patch.object(DatabaseWrapper, name, own):
        await block()
    assert seen
    await warm()


@contextmanager
def receiving(receiver: Callable[..., None]) -> Iterator[None]:
    connection_created.connect(receiver)
    try:
        yield
    finally:
        connection_created.disconnect(receiver)


async def test_a_wrapper_that_somebody_knows_weakly_is_not_met_again() -> None:
    await warm()
    seen: weakref.WeakSet[Any] = weakref.WeakSet()
    told: list[bool] = []

    def receiver(connection: Any, **kwargs: Any) -> None:
        told.append(connection in seen)
        seen.add(connection)

    with receiving(receiver):
        await block()
        await block()
    assert told == [False, False]


async def test_an_error_in_a_receiver_is_djangos() -> None:
    await warm()

    def receiver(connection: Any, **kwargs: Any) -> None:
        connection.connection.execute("SELECT nothing")

    with receiving(receiver), pytest.raises(ProgrammingError, match="nothing"):
        await block()


async def test_nobody_comes_between_the_statements_of_a_receiver() -> None:
    await warm()
    said: list[str] = []

    def receiver(connection: Any, **kwargs: Any) -> None:
        with connection.cursor() as cursor:
            for each in ("one", "two"):
                cursor.execute("SELECT pg_sleep(0.05)")
                said.append(each)

    async def second() -> None:
        await later(get)
        said.append("get")

    with receiving(receiver):
        async with new_connection("pooled"):
            await asyncio.gather(get(), second())
    assert said == ["one", "two", "get"]


def left_in_a_list(conn: Any) -> Callable[[], None]:
    held = conn.execute_wrappers
    return lambda: held.append(print)


def left_in_libpq(conn: Any) -> Callable[[], None]:
    conn.connection.pgconn.notice_handler = print
    return lambda: None


@pytest.mark.parametrize("leave", [left_in_a_list, left_in_libpq])
async def test_what_reaches_into_it_later_does_not(leave: Callable[..., Any]) -> None:
    await warm()
    async with new_connection("pooled"):
        await get()
        reach = leave(connections_of_block())
    reach()
    async with new_connection("pooled"):
        await get()
        conn = connections_of_block()
        assert conn.execute_wrappers == []
        assert conn.connection.pgconn.notice_handler is not print


@pytest.mark.parametrize("closed", [False, True])
async def test_a_block_that_ends_while_its_task_is_in_line(closed: bool) -> None:
    await warm()
    release, tasks = await crowd()
    left = new_connection("pooled")
    await left.__aenter__()
    child = asyncio.create_task(get())
    await asyncio.sleep(0.03)
    error = GeneratorExit() if closed else None
    await left.__aexit__(error and type(error), error, None)
    release.set()
    with pytest.raises(InterfaceError, match="has ended"):
        await child
    await asyncio.gather(*tasks)
    async with asyncio.timeout(10):
        while pool_connections_out():
            await asyncio.sleep(0.01)
    await block()


async def test_an_async_receiver_that_is_broken_off() -> None:
    origin = await warm()

    async def receiver(**kwargs: Any) -> None:
        await asyncio.sleep(10)

    with receiving(receiver):
        task = asyncio.create_task(block())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert origin.closed
    await block()

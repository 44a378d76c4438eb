"""A pooled connection for a block whose first statement is known."""

from __future__ import annotations

import asyncio
import copy
import gc
import threading
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, ProgrammingError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import Cursor, DatabaseWrapper
from django.db.backends.signals import connection_created
from django.test.utils import CaptureQueriesContext, override_settings

from django_async_fast import bridge, new_connection, run_sync
from django_async_fast.connections import wrapper
from django_async_fast.connections.blocks import current_block
from django_async_fast.pool import loop_pool
from tests.support.signals import receiving
from tests.testapp.models import Tag

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("tag")]


async def get() -> Tag:
    return await Tag.objects.using("pooled").aget(pk=1)


async def warm() -> Any:
    """Let Django connect once; return the origin that the next block will have."""
    for _ in range(3):
        await origin_of_a_block()
    return await origin_of_a_block()


async def origin_of_a_block() -> Any:
    async with new_connection("pooled"):
        await get()
        return its_wrapper().connection.session


async def block() -> Any:
    """Begin a block with a known get(); return its wrapper, whose block has ended."""
    async with new_connection("pooled"):
        await get()
        return its_wrapper()


def its_wrapper() -> Any:
    found = current_block()
    assert found is not None
    return found.wrapper("pooled")


@contextmanager
def not_connecting() -> Iterator[None]:
    """Fail where a wrapper is connected in Django's way."""
    with mock.patch.object(wrapper.BlockWrapper, "_connect") as connect:
        yield
    assert not connect.called


@pytest.mark.not_verified
async def test_django_does_not_connect_again() -> None:
    session = await warm()
    with not_connecting():
        async with new_connection("pooled") as conn:
            await get()
            assert conn.connection.session is session
            assert its_wrapper() is conn
            assert conn.gate.root.open
            assert conn.pool.gate is conn.connection.gate is conn.gate
            assert conn.block.wrappers["pooled"] is conn


@pytest.mark.not_verified
async def test_it_is_as_one_that_django_has_connected() -> None:
    """The attributes and their values, but for what is of each."""
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
        theirs, raw = state_of(conn), state_of(conn.connection)
    await warm()
    with not_connecting():
        async with new_connection("pooled") as conn:
            await get()
            ours = state_of(conn)
            assert state_of(conn.connection) == raw
    assert theirs.pop("close_at") <= ours.pop("close_at")
    assert ours == theirs


def state_of(thing: Any) -> dict[str, Any]:
    mutable = (list, dict, set, deque)
    shown = (type(None), bool, int, float, str, bytes, *mutable)
    # Of the class too: some attributes are there until one is set.
    names = [name for name in dir(thing) if name in STATE or name in vars(thing)]
    values = ((name, getattr(thing, name)) for name in names)
    return {
        name: copy.copy(value)
        for name, value in values
        if isinstance(value, shown)
        and name not in ("_thread_ident", "settings_dict", "timezone_name")
    }


# Of a psycopg connection that no cursor has been made of.
STATE = {
    *("_autocommit", "_closed", "_isolation_level", "_num_transactions", "_pipeline"),
    *("_read_only", "_deferrable", "_begin_statement", "_tpc"),
}


KEPT: dict[str, Callable[[Any], Any]] = {
    "the wrapper": lambda conn: conn,
    "its psycopg connection": lambda conn: conn.connection,
    "its cursor": lambda conn: conn.connection.cursor(),
    "a helper": lambda conn: conn.ops,
    "its attributes": vars,
    "the connection's attributes": lambda conn: vars(conn.connection),
    "its execute wrappers": lambda conn: conn.execute_wrappers,
    "its log": lambda conn: conn.queries_log,
    "its functions on commit": lambda conn: conn.run_on_commit,
    "its gate": lambda conn: conn.gate,
    "its pool": lambda conn: conn.pool,
    "notice handlers": lambda conn: conn.connection._notice_handlers,
}


@pytest.mark.parametrize("which", KEPT)
async def test_what_somebody_keeps_is_not_the_next_blocks(which: str) -> None:
    session = await warm()
    async with new_connection("pooled"):
        await get()
        kept = KEPT[which](its_wrapper())
    async with new_connection("pooled"):
        await get()
        conn = its_wrapper()
        assert conn.connection.session is session
        assert KEPT[which](conn) is not kept


async def test_a_wrapper_that_somebody_keeps_is_of_an_ended_block() -> None:
    await warm()
    kept = await block()
    assert kept.connection is None
    assert kept.alias == "pooled"
    async with new_connection("pooled"):
        await get()
        with pytest.raises(InterfaceError, match="has ended"):
            await run_sync(lambda: kept.cursor().execute("SELECT 1"))


async def test_the_handle_of_a_block_is_enough_to_reach_its_connection() -> None:
    """Kept from the beginning, and not looked at until the block has ended."""
    await warm()
    async with new_connection("pooled") as conn:
        await get()
    async with new_connection("pooled"):
        await get()
        assert conn.connection is None
        with pytest.raises(InterfaceError, match="has ended"):
            await conn.aensure_connection()


REACHES: dict[str, Callable[[Any, Any], Any]] = {
    "executes": lambda raw, cursor: raw.execute("SELECT 1"),
    "executes on a cursor": lambda raw, cursor: cursor.execute("SELECT 1"),
    "commits": lambda raw, cursor: raw.commit(),
    "switches autocommit": lambda raw, cursor: raw.set_autocommit(False),
    "closes": lambda raw, cursor: raw.close(),
    "drops": lambda raw, cursor: raw.drop(),
    "cancels": lambda raw, cursor: raw.cancel_safe(),
    "cancels at once": lambda raw, cursor: raw.cancel(),
}


@pytest.mark.parametrize("reach", REACHES)
async def test_a_connection_that_somebody_keeps_reaches_no_session(reach: str) -> None:
    session = await warm()
    async with new_connection("pooled"):
        await get()
        raw = its_wrapper().connection
        cursor = raw.cursor()

    def sleep() -> Any:
        with connections["pooled"].cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.05), 7")
            return cursor.fetchone()[1]

    async with new_connection("pooled"):
        await get()
        asleep = asyncio.create_task(run_sync(sleep))
        await asyncio.sleep(0.02)
        try:
            await run_sync(REACHES[reach], raw, cursor)
        except InterfaceError as exc:
            assert "has ended" in str(exc)
        assert await asleep == 7
        assert its_wrapper().connection.session is session
        assert its_wrapper().connection.autocommit


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
    session = await warm()
    async with new_connection("pooled"):
        await get()
        conn = its_wrapper()
        before = state_of(conn), state_of(conn.connection)
        MARKS[mark](conn)
    async with new_connection("pooled"):
        await get()
        conn = its_wrapper()
        assert conn.connection.session is session
        assert conn.connection.cursor_factory is Cursor
        assert conn.connection.row_factory is psycopg.rows.tuple_row
        assert (state_of(conn), state_of(conn.connection)) == before


async def test_another_alias_s_wrapper_is_connected_as_its_own() -> None:
    await warm()

    def exchanged() -> Any:
        connections["pooled"] = connections["default"]
        Tag.objects.using("pooled").get(pk=1)
        return connections["pooled"]

    async with new_connection("pooled"):
        conn = await run_sync(exchanged)
        assert (conn.alias, conn.pool) == ("default", None)
        assert getattr(conn.connection, "_pool", None) is None


async def test_the_signal_is_sent_for_each_block() -> None:
    await warm()
    seen: list[Any] = []

    def receiver(connection: Any, **kwargs: Any) -> None:
        assert connection.connection is not None
        seen.append(connection)

    connection_created.connect(receiver)
    try:
        assert [await block(), await block()] == seen
    finally:
        connection_created.disconnect(receiver)


async def test_a_receiver_that_fails_leaves_nothing_taken() -> None:
    session = await warm()

    def receiver(**kwargs: Any) -> None:
        raise ValueError("no")

    connection_created.connect(receiver)
    try:
        with pytest.raises(ValueError, match="no"):
            await block()
    finally:
        connection_created.disconnect(receiver)
    assert session.closed  # as after Django's connect()
    await warm()


async def test_settings_changed_in_place_are_read_again() -> None:
    await warm()
    settings = connections.settings["pooled"]
    settings["CONN_HEALTH_CHECKS"] = True
    try:
        async with new_connection("pooled"):
            await get()
            assert its_wrapper().health_check_enabled
    finally:
        settings["CONN_HEALTH_CHECKS"] = False
    for _ in range(2):  # the one that was left then is not taken now
        async with new_connection("pooled"):
            await get()
            assert not its_wrapper().health_check_enabled


async def test_the_time_zone_is_asked_for_in_each_block() -> None:
    await warm()
    before = connections["pooled"].timezone
    with override_settings(USE_TZ=False):
        async with new_connection("pooled"):
            await get()
            assert its_wrapper().timezone is None
    async with new_connection("pooled"):
        await get()
        assert its_wrapper().timezone == before


async def test_a_block_that_is_rolled_back_makes_its_own() -> None:
    await warm()
    async with new_connection("pooled", force_rollback=True):
        await get()
        assert its_wrapper().in_atomic_block


@pytest.mark.parametrize("known", [False, True])
async def test_the_log_is_as_long_as_it_may_be(
    known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
    if known:
        await warm()
    monkeypatch.setattr(BaseDatabaseWrapper, "queries_limit", 3)
    async with new_connection("pooled"):
        await get()
        assert its_wrapper().queries_log.maxlen == 3


async def test_statements_in_a_block_are_logged_as_ever() -> None:
    await warm()
    with override_settings(DEBUG=True):
        async with new_connection("pooled"):
            await get()
            log = its_wrapper().queries
    assert len(log) == 1


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
    (entry,) = loop_pool._pools[asyncio.get_running_loop()].values()
    return [each for each in entry.connections if each not in entry.pool._pool]


async def all_taken(release: asyncio.Event) -> None:
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
        await release.wait()


async def crowd() -> tuple[asyncio.Event, list[asyncio.Task[None]]]:
    release = asyncio.Event()
    tasks = [asyncio.create_task(all_taken(release)) for _ in range(4)]
    async with asyncio.timeout(20):
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
    async with asyncio.timeout(20):
        while pool_connections_out():
            await asyncio.sleep(0.01)
    await block()


async def test_a_full_pool_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    await warm()
    (entry,) = loop_pool._pools[asyncio.get_running_loop()].values()
    release, tasks = await crowd()
    monkeypatch.setattr(entry.pool, "timeout", 0.1)
    with pytest.raises(OperationalError, match="all 4 of at most 4 connections"):
        await block()
    release.set()
    await asyncio.gather(*tasks)


async def test_blocks_take_what_others_have_had() -> None:
    await warm()
    release, tasks = await crowd()
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
    async with asyncio.timeout(20):
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
        async with asyncio.timeout(20):
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
        await run_sync(its_wrapper().connection.set_autocommit, False)
    async with new_connection("pooled"):
        await get()
        assert its_wrapper().connection.autocommit


def test_a_loop_that_goes_on_in_another_thread() -> None:
    loop = asyncio.new_event_loop()
    found: list[Any] = []

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


async def test_other_settings_of_the_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    await warm()
    other = {**connections.settings["pooled"]}
    monkeypatch.setitem(connections.settings, "pooled", other)
    async with new_connection("pooled"):
        await get()
        assert its_wrapper().settings_dict is other


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
        reach = leave(its_wrapper())
    reach()
    async with new_connection("pooled"):
        await get()
        conn = its_wrapper()
        assert conn.execute_wrappers == []
        assert conn.connection.pgconn.notice_handler is not print


@pytest.mark.not_verified
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
    async with asyncio.timeout(20):
        while pool_connections_out():
            await asyncio.sleep(0.01)
    await block()


async def test_an_async_receiver_that_is_broken_off() -> None:
    session = await warm()

    async def receiver(**kwargs: Any) -> None:
        await asyncio.sleep(10)

    with receiving(receiver):
        task = asyncio.create_task(block())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert session.closed
    await block()

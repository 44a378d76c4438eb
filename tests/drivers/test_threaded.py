"""Blocks whose alias is no PostgreSQL: Django's own backend, its driver in a thread."""

import asyncio
import gc
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.db import InterfaceError, OperationalError, connections, transaction

from django_async_fast import async_connections, new_connection
from django_async_fast.drivers import threaded
from tests.support.other_databases import IN_THREADS, names, other_database, threads
from tests.support.signals import receiving
from tests.support.until import until
from tests.testapp.models import Tag


class Slow:
    """A function of SQL that takes as long as the test wants."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        self.began.set()
        assert self.may_end.wait(20)
        return self.calls

    async def begun(self) -> None:
        await until(self.began.is_set)


@pytest.fixture(params=IN_THREADS)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An alias that is no PostgreSQL, with tables."""
    with other_database(request.param, tmp_path) as alias:
        yield alias
    assert not threads()


@pytest.fixture
def slow(log: str) -> Iterator[Slow]:
    """`slow()` in the SQL of connections that open from now on."""
    function = Slow()

    def add(connection: Any, **kwargs: Any) -> None:
        if connection.alias == log:
            connection.connection.create_function("slow", 0, function)

    with receiving(add):
        yield function
        function.may_end.set()
    ended()


def ended() -> None:
    """Wait for threads whose calls were not waited for."""
    for thread in threads():
        thread.join(20)


async def test_without_a_query_there_is_no_thread(log: str) -> None:
    async with new_connection(log) as conn:
        assert connections[log] is conn
        assert conn in connections.all()
        assert {each.vendor for each in connections.all()} > {"postgresql"}
        assert str(Tag.objects.using(log).filter(name="a").query)
        assert not threads()


# ----- what goes on meanwhile


async def test_the_loop_goes_on(log: str, slow: Slow) -> None:
    async with new_connection():
        asking = asyncio.create_task(ask_slowly(log))
        await slow.begun()
        async with new_connection():
            assert await Tag.objects.acount() == 0  # the other database
        assert not asking.done()
        slow.may_end.set()
        assert await asking == 1


async def ask_slowly(log: str) -> int:
    async with async_connections[log].acursor() as cursor:
        await cursor.execute("SELECT slow()")
        return int((await cursor.fetchone())[0])


@asynccontextmanager
async def cancelled_at_work(log: str, slow: Slow) -> AsyncIterator[asyncio.Task[Any]]:
    """Yield a task that is cancelled while its statement runs in the thread."""
    asking = asyncio.create_task(ask_slowly(log))
    await slow.begun()
    asking.cancel()
    await asyncio.sleep(0.05)
    yield asking
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_cancelled_statement_is_waited_for(log: str, slow: Slow) -> None:
    async with new_connection(log) as conn:
        await names(log)
        before = conn.connection
        async with cancelled_at_work(log, slow) as asking:
            other = asyncio.create_task(names(log))
            await asyncio.sleep(0.05)
            assert not asking.done()
            assert not other.done()  # the connection is not used meanwhile
            slow.may_end.set()
        assert await other == []
        assert conn.connection is before
        assert len(threads()) == 1


async def test_a_statement_that_does_not_end_loses_its_connection(
    log: str, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threaded, "DRAIN_TIMEOUT", 0.1)
    async with new_connection(log) as conn:
        async with cancelled_at_work(log, slow):
            before = conn.connection
        assert before.closed
        assert not before.transaction_broken
        assert await names(log) == []
        assert conn.connection is not before
        assert len(threads()) == 2
        slow.may_end.set()
    ended()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        before._raw.total_changes  # noqa: B018 - asks the database


async def test_cancelled_twice(log: str, slow: Slow) -> None:
    async with new_connection(log) as conn:
        async with cancelled_at_work(log, slow) as asking:
            before = conn.connection
            asking.cancel()
        assert before.closed
        assert await names(log) == []
        slow.may_end.set()
    ended()


async def test_a_transaction_outlives_a_cancelled_statement(
    log: str, slow: Slow
) -> None:
    async with new_connection(log):
        async with transaction.atomic(using=log):
            await Tag.objects.using(log).acreate(name="a")
            async with cancelled_at_work(log, slow):
                slow.may_end.set()
            await Tag.objects.using(log).acreate(name="b")
        assert await names(log) == ["a", "b"]


@pytest.mark.parametrize("caught", [True, False])
async def test_a_transaction_is_lost_with_its_connection(
    log: str, slow: Slow, caught: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threaded, "DRAIN_TIMEOUT", 0.1)
    expected = transaction.TransactionManagementError if caught else ZeroDivisionError
    async with new_connection(log):
        with pytest.raises(expected):
            async with transaction.atomic(using=log):
                await Tag.objects.using(log).acreate(name="a")
                async with cancelled_at_work(log, slow):
                    pass
                with pytest.raises(InterfaceError, match="closed"):
                    await Tag.objects.using(log).acreate(name="b")
                slow.may_end.set()
                ended()
                if not caught:
                    raise ZeroDivisionError
        assert await names(log) == []


@pytest.mark.parametrize("method", ["BEGIN", "commit"])
async def test_cancelled_at_the_edges_of_a_transaction(
    log: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is closed: its transaction is neither open nor anybody's."""
    called: list[str] = []
    async with new_connection(log) as conn:
        await names(log)
        before, work = conn.connection, threaded.DriverThread.begin

        def begin(self: Any, function: Any) -> Any:
            outcome = work(self, function)
            if method in repr(function):
                asyncio.current_task().cancel()
            return outcome

        async def change() -> None:
            async with transaction.atomic(using=log):
                await Tag.objects.using(log).acreate(name="a")
                transaction.on_commit(lambda: called.append("committed"), using=log)

        with monkeypatch.context() as patch:
            patch.setattr(threaded.DriverThread, "begin", begin)
            with pytest.raises(asyncio.CancelledError):
                await asyncio.create_task(change())
        assert before.closed
        assert called == []
        await Tag.objects.using(log).acreate(name="b")
        assert not conn.in_transaction()
        assert "b" in await names(log)


async def test_cancelled_while_connecting(
    log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_end = threading.Event(), threading.Event()
    opened: list[Any] = []
    async with new_connection(log) as conn:
        base = type(conn).backend
        django_connect = base.get_new_connection

        def connect(self: Any, params: Any) -> Any:
            began.set()
            assert may_end.wait(20)
            opened.append(django_connect(self, params))
            return opened[-1]

        with monkeypatch.context() as patch:
            patch.setattr(base, "get_new_connection", connect)
            connecting = asyncio.create_task(names(log))
            await until(began.is_set)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
        may_end.set()
        await until(lambda: not threads())
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            opened[0].total_changes  # noqa: B018 - asks the database
        assert await names(log) == []


async def test_a_coroutine_closed_at_work(log: str, slow: Slow) -> None:
    async with new_connection(log) as conn:
        await names(log)
        before = conn.connection
        asking = ask_slowly(log)
        asking.send(None)
        await slow.begun()
        asking.close()
        assert before.closed
        assert await names(log) == []
        slow.may_end.set()
    ended()


async def test_tasks_connect_once(log: str) -> None:
    async with new_connection(log):
        assert await asyncio.gather(*(names(log) for _ in range(5))) == [[]] * 5
        assert len(threads()) == 1


def test_a_block_that_its_loop_does_not_end(log: str) -> None:
    async def begin() -> new_connection:
        block = new_connection(log)
        await block.__aenter__()
        await names(log)
        return block

    loop = asyncio.new_event_loop()
    block = loop.run_until_complete(begin())
    loop.close()
    assert len(threads()) == 1
    del block, loop
    end = time.monotonic() + 20
    while threads() and time.monotonic() < end:
        gc.collect()  # the thread may still have the context of its last call
        time.sleep(0.001)


async def test_a_database_that_cannot_be_opened(log: str, tmp_path: Path) -> None:
    changed = {"NAME": tmp_path / "no" / "such" / "folder"}
    with mock.patch.dict(connections.settings[log], changed):
        async with new_connection(log):
            for _ in range(2):
                with pytest.raises(OperationalError, match="unable to open"):
                    await names(log)
    ended()

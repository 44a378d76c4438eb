"""Blocks whose alias is no PostgreSQL: Django's own backend, its driver in a thread."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connections,
    router,
    transaction,
)
from django.db.backends.signals import connection_created
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext

from django_async_fast import async_connections, bridge, new_connection, run_sync
from django_async_fast.drivers import threaded
from tests.testapp.models import (
    Author,
    Book,
    Novel,
    Profile,
    Publisher,
    Reading,
    Tag,
)

ENGINES = ("django.db.backends.sqlite3", "tests.backends.strict")
TABLES = (Author, Publisher, Tag, Book, Profile, Novel, Reading)


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
        async with asyncio.timeout(20):
            while not self.began.is_set():
                await asyncio.sleep(0.001)


@pytest.fixture(params=["file", "strict file", "test database"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An alias that is no PostgreSQL, with tables."""
    settings = {
        **connections.settings["default"],
        "ENGINE": ENGINES["strict" in request.param],
        "NAME": ":memory:" if request.param == "test database" else tmp_path / "log",
        "OPTIONS": {},
        "TEST": {**connections.settings["default"]["TEST"], "NAME": None},
    }
    connections.settings["log"] = settings
    wrapper = connections["log"]
    if request.param == "test database":  # in memory, shared by its connections
        settings["NAME"] = wrapper.creation._get_test_db_name()
    with wrapper.schema_editor() as editor:
        for model in TABLES:
            editor.create_model(model)
    yield "log"
    del connections.settings["log"]
    wrapper.connection.close()
    del connections["log"]
    assert not threads()


@pytest.fixture
def slow(log: str) -> Iterator[Slow]:
    """`slow()` in the SQL of connections that open from now on."""
    function = Slow()

    def add(connection: Any, **kwargs: Any) -> None:
        if connection.alias == log:
            connection.connection.create_function("slow", 0, function)

    connection_created.connect(add)
    yield function
    function.may_end.set()
    connection_created.disconnect(add)
    ended()


def threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("connection to")]


def ended() -> None:
    """Wait for threads whose calls were not waited for."""
    for thread in threads():
        thread.join(20)


async def names(log: str) -> list[str]:
    return [tag.name async for tag in Tag.objects.using(log).order_by("name")]


# ----- the ORM


async def test_the_orm(log: str) -> None:
    authors, tags = Author.objects.using(log), Tag.objects.using(log)
    async with new_connection():
        mentor = await authors.acreate(name="m")
        author = await authors.acreate(name="a", mentor=mentor)
        await authors.abulk_create([Author(name=f"b{i}") for i in range(300)])
        assert await authors.acount() == 302
        found = await authors.select_related("mentor").aget(pk=author.pk)
        assert found.mentor == mentor
        assert (await authors.aget(pk=author.pk)).name == "a"
        for size in (7, 1000):
            streamed = authors.order_by("pk").aiterator(size)
            assert len([each async for each in streamed]) == 302
        assert len([each async for each in authors.all()]) == 302
        raw = authors.raw("SELECT * FROM testapp_author WHERE name = %s", ["b7"])
        assert [each.name async for each in raw] == ["b7"]
        assert await authors.filter(name__startswith="b").aupdate(mentor=author) == 300
        assert [s.name async for s in mentor.students.all()] == ["a"]
        tag, created = await tags.aget_or_create(name="t")
        assert created
        with pytest.raises(IntegrityError):
            await tags.acreate(name="t")
        tag.name = "u"
        await tag.asave()
        assert await names(log) == ["u"]
        await tag.adelete()
        assert not await tags.aexists()
        async with async_connections[log].acursor() as cursor:
            await cursor.execute("SELECT name FROM testapp_author ORDER BY id")
            assert await cursor.fetchone() == ("m",)
            assert len([row async for row in cursor]) == 301
            delete = "DELETE FROM testapp_author WHERE name = %s"
            await cursor.executemany(delete, [["b1"], ["b2"]])
        assert await authors.acount() == 300
        # The other database is none the worse.
        assert await Author.objects.acount() == 0
        assert len(threads()) == 1
    assert not threads()


async def test_what_receivers_and_routers_send_there(
    log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Router:
        def db_for_read(self, model: Any, **hints: Any) -> str | None:
            return log if model is Tag else None

        db_for_write = db_for_read

    def receiver(instance: Author, **kwargs: Any) -> None:
        Tag.objects.create(name=instance.name)

    monkeypatch.setattr(router, "routers", [Router()])
    post_save.connect(receiver, sender=Author)
    try:
        async with new_connection():
            await Author.objects.acreate(name="a")
            with suppress(ZeroDivisionError):
                async with transaction.atomic():
                    await Author.objects.acreate(name="b")
                    raise ZeroDivisionError
            assert await Author.objects.acount() == 1
            assert await names(log) == ["a", "b"]
    finally:
        post_save.disconnect(receiver, sender=Author)


async def test_without_a_query_there_is_no_thread(log: str) -> None:
    async with new_connection(log) as conn:
        assert connections[log] is conn
        assert conn in connections.all()
        assert {each.vendor for each in connections.all()} > {"postgresql"}
        assert str(Tag.objects.using(log).filter(name="a").query)
        assert not threads()


async def test_blocks_nest_and_undo(log: str) -> None:
    async with new_connection(log, force_rollback=True):
        await Tag.objects.using(log).acreate(name="a")
        assert await names(log) == ["a"]
    async with new_connection(log):
        assert await names(log) == []


async def test_wrappers_and_logs(log: str) -> None:
    seen: list[str] = []

    def record(execute: Any, sql: str, *args: Any) -> Any:
        seen.append(sql)
        return execute(sql, *args)

    async with new_connection(log):
        await names(log)
        with (
            connections[log].execute_wrapper(record),
            CaptureQueriesContext(connections[log]) as captured,
        ):
            await Tag.objects.using(log).filter(name="a").aexists()
        assert len(captured) == len(seen) == 1
        assert "'a'" in captured[0]["sql"]
        with pytest.raises(SynchronousOnlyOperation, match="acursor"):
            connections[log].cursor()
        with pytest.raises(bridge.BridgeError):
            connections[log].connection.execute("SELECT 1")
        assert await names(log) == []


# ----- transactions


async def test_atomic_blocks_of_two_databases(log: str) -> None:
    tags = Tag.objects.using(log)
    called: list[str] = []
    async with new_connection():
        async with transaction.atomic(), transaction.atomic(using=log):
            await Tag.objects.acreate(name="postgres")
            await tags.acreate(name="a")
            with suppress(ZeroDivisionError):
                async with transaction.atomic(using=log):
                    await tags.acreate(name="b")
                    raise ZeroDivisionError
            transaction.on_commit(lambda: called.append("log"), using=log)
            assert not called
        assert called == ["log"]
        assert await names(log) == ["a"]
        with suppress(ZeroDivisionError):
            async with transaction.atomic(using=log), transaction.atomic():
                await Tag.objects.all().adelete()
                await tags.all().adelete()
                raise ZeroDivisionError
        assert await names(log) == ["a"]
        assert await Tag.objects.acount() == 1


async def test_tasks_take_turns(log: str) -> None:
    tags = Tag.objects.using(log)

    async def both(number: int) -> None:
        async with transaction.atomic(using=log):
            await tags.acreate(name=f"{number}-1")
            await asyncio.sleep(0)
            assert await tags.filter(name__startswith=f"{number}-").acount() == 1
            await tags.acreate(name=f"{number}-2")
            if number % 2:
                transaction.set_rollback(True, using=log)

    async with new_connection(log):
        await asyncio.gather(
            *(both(number) for number in range(10)),
            *(tags.aget_or_create(name="same") for _ in range(5)),
        )
        assert len(await names(log)) == 11


async def test_a_transaction_left_open_is_rolled_back(
    log: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with new_connection(log) as conn:
        await transaction.aset_autocommit(False, using=log)
        await Tag.objects.using(log).acreate(name="a")
        assert conn.in_transaction()
    assert "left a transaction on 'log' open" in caplog.text
    async with new_connection(log):
        assert await names(log) == []


async def test_synchronous_code_in_a_block(log: str) -> None:
    def work() -> list[str]:
        with transaction.atomic(using=log):
            Tag.objects.using(log).create(name="a")
            with suppress(ZeroDivisionError), transaction.atomic(using=log):
                Tag.objects.using(log).create(name="b")
                raise ZeroDivisionError
        with connections[log].cursor() as cursor:
            cursor.execute("SELECT name FROM testapp_tag")
            assert cursor.description[0][0] == "name"
            return [name for (name,) in cursor]

    async with new_connection():
        assert await run_sync(work) == ["a"]


async def test_rows_are_fetched_when_they_are_asked_for(log: str) -> None:
    """A row that fails is an error for who asks for it, as without a block."""
    failing = (
        "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 "
        "UNION ALL SELECT abs(-9223372036854775807 - 1)"
    )

    def fetch() -> list[Any]:
        found: list[Any] = []
        with connections[log].cursor() as cursor:
            cursor.execute(failing)
            try:
                for row in cursor:
                    found.append(row)
            except DatabaseError as error:
                found.append(str(error))
        return found

    def close() -> None:
        connections[log].connection.close()
        del connections[log]

    without = await sync_to_async(fetch)()
    await sync_to_async(close)()
    assert without[0] == (1,)
    assert without[-1] == "integer overflow"
    async with new_connection(log):
        assert await run_sync(fetch) == without


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
        assert not before.spoilt
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


async def test_a_long_statement_of_sqlite_is_interrupted(log: str) -> None:
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT count(*) FROM n"
    )
    async with new_connection(log) as conn:
        await names(log)
        before = conn.connection
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), conn.acursor() as cursor:
                await cursor.execute(endless)
        assert conn.connection is before
        assert await names(log) == []


@pytest.mark.parametrize("method", ["BEGIN", "commit"])
async def test_cancelled_at_the_edges_of_a_transaction(
    log: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is closed: its transaction is neither open nor anybody's."""
    called: list[str] = []
    async with new_connection(log) as conn:
        await names(log)
        before, work = conn.connection, threaded.Worker.begin

        def begin(self: Any, function: Any) -> Any:
            outcome = work(self, function)
            if method in repr(function):
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            return outcome

        async def change() -> None:
            async with transaction.atomic(using=log):
                await Tag.objects.using(log).acreate(name="a")
                transaction.on_commit(lambda: called.append("committed"), using=log)

        with monkeypatch.context() as patch:
            patch.setattr(threaded.Worker, "begin", begin)
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
            while not began.is_set():
                await asyncio.sleep(0.001)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
        may_end.set()
        while threads():
            await asyncio.sleep(0.001)
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


async def test_a_stream_left_before_its_end(log: str) -> None:
    tags = Tag.objects.using(log)
    async with new_connection(log):
        await tags.abulk_create([Tag(name=f"b{i}") for i in range(300)])
        async for _ in tags.aiterator(10):
            break
        left = aiter(tags.aiterator(10))
        await anext(left)
        await tags.filter(name__gt="b5").adelete()
        assert 0 < await tags.acount() < 300
    with pytest.raises((InterfaceError, StopAsyncIteration)):
        [each async for each in left]


async def test_a_cursor_that_is_closed(log: str) -> None:
    def use(made: bool) -> None:
        with connections[log].cursor() as cursor:
            if made:
                cursor.execute("SELECT 1")
        cursor.execute("SELECT 1")

    async with new_connection(log):
        await names(log)
        for made in (True, False):
            with pytest.raises(DatabaseError, match="closed"):
                await run_sync(use, made)
        assert await names(log) == []


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
    before = connections.settings[log]
    connections.settings[log] = {**before, "NAME": tmp_path / "no" / "such" / "folder"}
    try:
        async with new_connection(log):
            for _ in range(2):
                with pytest.raises(OperationalError, match="unable to open"):
                    await names(log)
    finally:
        connections.settings[log] = before
    ended()

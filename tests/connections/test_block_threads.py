"""Threads that a block's task waits for see the block: connection, transaction, scope."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    connection,
    connections,
    transaction,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from django_async_fast import new_connection, run_sync
from django_async_fast.connections.blocks import current_block
from django_async_fast.drivers.psycopg.statement import unobserved
from tests.support.backend_pids import abackend_pid, backend_pid
from tests.support.needed import needed
from tests.support.noted import noted
from tests.support.sql import execute
from tests.testapp.models import Author, Book, Publisher, Tag


def pid() -> int:
    assert threading.current_thread() is not threading.main_thread()
    return backend_pid()


async def test_it_is_the_blocks_connection() -> None:
    outside = await sync_to_async(pid)()
    async with new_connection() as conn:
        assert await sync_to_async(pid)() == await abackend_pid() != outside
        assert await sync_to_async(lambda: connections["default"])() is conn
        assert await sync_to_async(pid)() == await abackend_pid()
    assert await sync_to_async(pid)() == outside


async def test_without_a_query_nothing_is_opened() -> None:
    async with new_connection() as conn:
        assert await sync_to_async(len)("abc") == 3
        assert not current_block().connected()  # type: ignore[union-attr]
        assert await sync_to_async(lambda: connection.vendor)() == "postgresql"
        assert conn.connection is None


async def test_a_thread_of_its_own_has_djangos_connection() -> None:
    async with new_connection(), transaction.atomic():
        await Tag.objects.acreate(name="not committed")
        free = sync_to_async(_count_and_close, thread_sensitive=False)
        assert await free() == 0
        assert await asyncio.to_thread(_count_and_close) == 0
        started: list[int] = []

        def start() -> None:
            thread = threading.Thread(target=lambda: started.append(_count_and_close()))
            thread.start()
            thread.join()

        await sync_to_async(start)()
        assert started == [0]


def _count_and_close() -> int:
    try:
        return Tag.objects.count()
    finally:
        connection.close()


# ----- transactions


async def test_it_is_in_the_transaction() -> None:
    def more() -> int:
        Tag.objects.create(name="b")
        return Tag.objects.count()

    async with new_connection():
        with pytest.raises(ZeroDivisionError):
            async with transaction.atomic():
                await Tag.objects.acreate(name="a")
                assert await sync_to_async(more)() == 2
                raise ZeroDivisionError
        assert await Tag.objects.acount() == 0


async def test_atomic_blocks_of_the_thread() -> None:
    done: list[str] = []

    def in_thread() -> None:
        with transaction.atomic():
            Tag.objects.create(name="outer")
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                Tag.objects.create(name="inner")
                raise ZeroDivisionError
            transaction.on_commit(lambda: done.append("committed"))
            assert connection.in_atomic_block
            assert not done
        assert done == ["committed"]
        assert not connection.in_atomic_block

    async with new_connection():
        await sync_to_async(in_thread)()
        assert [tag.name async for tag in Tag.objects.all()] == ["outer"]
        async with transaction.atomic():
            await sync_to_async(in_thread_atomic)()


def in_thread_atomic() -> None:
    with transaction.atomic():
        assert len(connection.savepoint_ids) == 1
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic(durable=True):
        pass


async def test_errors_are_djangos() -> None:
    def twice() -> None:
        Tag.objects.create(pk=1, name="a")
        with pytest.raises(IntegrityError), transaction.atomic():
            Tag.objects.create(pk=1, name="b")
        with pytest.raises(Author.DoesNotExist):
            Author.objects.get(pk=1)
        with connection.cursor() as cursor, pytest.raises(DatabaseError):
            cursor.execute("SELECT nonsense")

    async with new_connection():
        await sync_to_async(twice)()
        assert await Tag.objects.acount() == 1


async def test_on_commit_of_the_outer_block() -> None:
    done: list[str] = []
    async with new_connection():
        async with transaction.atomic():
            await sync_to_async(transaction.on_commit)(lambda: done.append("x"))
            assert not done
        assert done == ["x"]


# ----- what can be done in there


async def test_querysets_cursors_and_streams() -> None:
    def everything() -> None:
        publisher = Publisher.objects.create(name="p")
        for i in range(5):
            Author.objects.create(name=f"a{i}")
        assert [a.name for a in Author.objects.order_by("name")] == [
            f"a{i}" for i in range(5)
        ]
        assert list(Author.objects.order_by("name").values_list("name", flat=True))
        with transaction.atomic():
            rows = Author.objects.order_by("name").iterator(chunk_size=2)
            assert next(rows).name == "a0"
            rows.close()
            assert len(list(Author.objects.iterator(chunk_size=2))) == 5
        assert Author.objects.filter(name="a1").update(name="b") == 1
        assert len(list(Author.objects.raw("SELECT * FROM testapp_author"))) == 5
        with connection.cursor() as cursor:
            cursor.execute("SELECT generate_series(1, 3)")
            assert cursor.rowcount == 3
            assert cursor.fetchone() == (1,)
            assert list(cursor) == [(2,), (3,)]
            assert cursor.description[0].name == "generate_series"
        assert Publisher.objects.in_bulk([publisher.pk]) == {publisher.pk: publisher}
        assert connection.introspection.table_names()
        assert Author.objects.all().delete()[0] == 5

    async with new_connection():
        await sync_to_async(everything)()
        await run_sync(Author.objects.create, name="after")
        assert await Author.objects.acount() == 1


async def test_async_code_inside() -> None:
    async def count() -> int:
        return await Tag.objects.acount()

    def outer() -> int:
        Tag.objects.create(name="a")
        return async_to_sync(count)()

    async with new_connection(), transaction.atomic():
        assert await sync_to_async(outer)() == 1
        transaction.set_rollback(True)
    async with new_connection():
        assert await count() == 0


# ----- the order of tasks


@pytest.mark.core
async def test_the_loop_goes_on_without_cursors() -> None:
    async with new_connection() as conn:
        await Tag.objects.acreate(name="known")
        assert await run_sync(unobserved, conn)
        in_thread = sync_to_async(lambda: unobserved(connections["default"]))
        assert await in_thread() is None
        assert await sync_to_async(Tag.objects.get)(name="known")
        assert await run_sync(unobserved, conn)


async def test_a_later_wrapper_of_cursor_is_called() -> None:
    async with new_connection():
        await sync_to_async(Tag.objects.count)()
        with noted(BaseDatabaseWrapper, "cursor") as called:
            await sync_to_async(Tag.objects.count)()
            assert len(called) == 1
            await Tag.objects.acount()
            assert len(called) == 2


async def test_a_function_is_a_unit() -> None:
    def raise_by_one() -> None:
        tag = Tag.objects.get(pk=1)
        tag.name = str(int(tag.name) + 1)
        tag.save()

    async with new_connection():
        await Tag.objects.acreate(pk=1, name="0")
        await asyncio.gather(
            *(sync_to_async(raise_by_one)() for _ in range(3)),
            *(run_sync(raise_by_one) for _ in range(3)),
            *(Tag.objects.aget(pk=1) for _ in range(3)),
        )
        assert (await Tag.objects.aget(pk=1)).name == "6"


async def test_the_loop_goes_on(dsn: str) -> None:
    """Else nobody would release the lock that the thread's statement waits for."""

    def wait() -> None:
        execute("SET lock_timeout TO '20s'")
        execute("SELECT pg_advisory_lock(7)")

    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    )
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as holder:
        await holder.execute("SELECT pg_advisory_lock(7)")
        async with new_connection():
            thread = asyncio.create_task(sync_to_async(wait)())
            while await (await holder.execute(waiting)).fetchone() == (0,):
                assert not thread.done()
            await holder.execute("SELECT pg_advisory_unlock(7)")
            await thread


async def test_blocks_of_requests_side_by_side() -> None:
    async def request(name: str) -> None:
        def write() -> None:
            with transaction.atomic():
                Tag.objects.create(name=name)
                assert Tag.objects.count() == 1
                transaction.set_rollback(True)

        async with ThreadSensitiveContext(), new_connection():
            for _ in range(3):
                await sync_to_async(write)()

    await asyncio.gather(*(request(str(i)) for i in range(8)))


# ----- ends


async def test_the_waiting_task_is_cancelled() -> None:
    def sleep() -> None:
        execute("SELECT pg_sleep(30)")

    async with new_connection():
        async with transaction.atomic():
            await Tag.objects.acreate(name="a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await sync_to_async(sleep)()
        assert await Tag.objects.acount() == 1
        assert await sync_to_async(Tag.objects.count)() == 1


async def test_a_thread_that_outlives_its_block() -> None:
    goes_on, seen = threading.Event(), []

    def late() -> None:
        assert goes_on.wait(20)
        uses: list[Callable[[], Any]]
        uses = [Tag.objects.count, lambda: connection.cursor(), in_thread_atomic]
        for use in uses:
            try:
                use()
            except InterfaceError as exc:
                seen.append(str(exc))

    async with new_connection():
        await Tag.objects.acount()
        task = asyncio.create_task(sync_to_async(late)())
        await asyncio.sleep(0.05)
    goes_on.set()
    await task
    assert len(seen) == 3
    assert all("block that this thread" in each for each in seen), seen


@pytest.mark.parametrize("name", ["{}", "{}.database_only"])
async def test_functions_that_are_bridged(settings_override: Any, name: str) -> None:
    settings_override(DJANGO_ASYNC_FAST={"BRIDGED": [name.format(__name__)]})
    async with new_connection():
        assert await sync_to_async(database_only)() is threading.current_thread()
    assert await sync_to_async(database_only)() is not threading.current_thread()


def database_only() -> threading.Thread:
    Book.objects.count()
    return threading.current_thread()


async def test_channels_says_that_it_is_the_database() -> None:
    needed("channels")
    from channels.db import database_sync_to_async

    call = database_sync_to_async(database_only)
    async with new_connection():
        assert await call() is threading.current_thread()


async def test_a_cursor_method_of_the_connections_own_is_called_on_the_loop() -> None:
    threads: list[Any] = []
    asked: list[str] = []

    def instrument() -> None:
        cursor, chunked_cursor = connection.cursor, connection.chunked_cursor

        def noting(*args: Any) -> Any:
            made = cursor(*args)
            threads.append(threading.current_thread())
            return _Asked(made.cursor, made.db, asked)

        connection.cursor = noting  # type: ignore[method-assign]
        assert connection.chunked_cursor == chunked_cursor

    async with new_connection(), transaction.atomic():
        await Tag.objects.acreate(name="in the block")
        instrument()
        await sync_to_async(Tag.objects.create)(name="in a thread")
        assert await sync_to_async(Tag.objects.exists)()
        assert await sync_to_async(_pid_of_own_cursor)() == await abackend_pid()
        assert {*threads} == {threading.main_thread()}
        assert [each.partition(" ")[0] for each in asked][:2] == ["INSERT", "SELECT"]
        del connection.cursor
        count = len(asked)
        assert await sync_to_async(Tag.objects.count)() == 2
        assert len(asked) == count
        transaction.set_rollback(True)


class _Asked(CursorWrapper):
    def __init__(self, cursor: Any, db: Any, asked: list[str]) -> None:
        super().__init__(cursor, db)
        self.asked = asked

    def execute(self, sql: str, params: Any = None) -> Any:
        self.asked.append(sql)
        return super().execute(sql, params)


def _pid_of_own_cursor() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        row: tuple[int] = cursor.fetchone()
        return row[0]

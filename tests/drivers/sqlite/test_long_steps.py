"""A statement of SQLite's with long steps runs in a thread; the loop goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
import time
import warnings
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.db import connections, transaction

from django_async_fast import async_connections, new_connection, run_sync
from django_async_fast.drivers.sqlite import long_steps, progress
from django_async_fast.drivers.sqlite.long_steps import has_long_steps
from tests.support.other_databases import names
from tests.support.until import until
from tests.testapp.models import Tag

LONG = (
    *("VACUUM", " vacuum into 'x'", "REINDEX", "PRAGMA main.integrity_check(1)"),
    *("PRAGMA quick_check", 'DELETE FROM "a b"', "delete from t ;", "DROP TABLE t"),
    *("CREATE UNIQUE INDEX i ON t (a)", "CREATE INDEX i ON t (a)", "DROP INDEX i"),
)
SHORT = (
    *('DELETE FROM "t" WHERE "t"."id" IN (1)', "DELETE FROM t RETURNING id"),
    *("SELECT 1", "PRAGMA table_info(t)", "CREATE TABLE t (a)", "DROP TRIGGER t"),
)


def test_what_is_long() -> None:
    assert all(map(has_long_steps, LONG))
    assert not any(map(has_long_steps, SHORT))


@pytest.fixture(autouse=True)
def _of_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have SQLite ask at each step: the tables here have two rows."""
    monkeypatch.setattr(long_steps, "STEPS", 1)
    monkeypatch.setattr(long_steps, "SMALL", 0)


class Step:
    """A step of a DELETE that ends when it is told."""

    def __init__(self) -> None:
        self.begun = False
        self.thread: int | None = None
        self.end = threading.Event()

    def __call__(self) -> None:
        self.begun, self.thread = True, threading.get_ident()
        assert self.end.wait(20)


@asynccontextmanager
async def deleting(alias: str) -> AsyncIterator[tuple[Step, asyncio.Task[Any]]]:
    """Yield a step of a statement that deletes all tags, and the task that waits."""
    step = Step()

    def prepare() -> None:
        raw = connections[alias].connection

        def ask() -> int:
            assert raw.execute("SELECT 7").fetchone() == (7,)
            step()
            return 7

        # Not as the project's: with one of those there is no thread.
        sqlite3.Connection.create_function(raw, "step", 0, ask)
        raw.execute(
            "CREATE TEMP TRIGGER slow BEFORE DELETE ON testapp_tag WHEN old.name = 'a' "
            "BEGIN SELECT step(); END"
        )

    await run_sync(prepare)
    task = asyncio.create_task(execute(alias, "DELETE FROM testapp_tag"))
    await until(lambda: step.begun)
    try:
        yield step, task
    finally:
        step.end.set()
        await asyncio.wait([task])


async def cancel(step: Step, task: asyncio.Task[Any], times: int = 1) -> None:
    """Cancel a statement in its step: its task ends when that does."""
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0.05)
    assert not task.done()
    step.end.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def execute(alias: str, sql: str) -> None:
    async with async_connections[alias].acursor() as cursor:
        await cursor.execute(sql)


async def fill(alias: str) -> None:
    await Tag.objects.using(alias).abulk_create(Tag(name=name) for name in "ab")


async def test_the_loop_goes_on(log: str) -> None:
    async with new_connection(log):
        await fill(log)
        async with deleting(log) as (step, task):
            assert step.thread != threading.get_ident()
            reading = asyncio.create_task(names(log))
            await asyncio.sleep(0.01)
            assert not task.done()
            assert not reading.done()
            step.end.set()
            await task
            assert await reading == []


async def test_vacuum_leaves_the_processor_to_the_loop(file: str) -> None:
    fill = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
        "100000) INSERT INTO testapp_tag (name) SELECT hex(randomblob(20)) FROM n"
    )
    async with new_connection(file):
        await execute(file, fill)
        here, everywhere = time.thread_time(), time.process_time()
        for sql in ("VACUUM", "PRAGMA integrity_check"):
            await execute(file, sql)
        here, everywhere = time.thread_time() - here, time.process_time() - everywhere
        assert here < everywhere / 2


async def test_cancelled_it_is_undone(log: str) -> None:
    async with new_connection(log) as conn:
        await fill(log)
        async with deleting(log) as (step, task):
            await cancel(step, task)
        assert not conn.connection.closed
        assert await names(log) == ["a", "b"]


async def test_cancelled_it_ends_no_other_read(log: str) -> None:
    async with new_connection(log):
        await fill(log)
        await Tag.objects.using(log).abulk_create(Tag(name=name) for name in "cd")
        tags = Tag.objects.using(log).order_by("pk").aiterator(chunk_size=1)
        assert (await anext(tags)).name == "a"
        async with deleting(log) as (step, task):
            await cancel(step, task)
        assert [tag.name async for tag in tags] == ["b", "c", "d"]


async def test_in_a_transaction_it_is_waited_for(log: str) -> None:
    async with new_connection(log), transaction.atomic(using=log):
        await fill(log)
        async with deleting(log) as (step, task):
            await cancel(step, task)
        assert await names(log) == []


@pytest.mark.parametrize("again", [True, False])
async def test_a_transaction_is_lost_with_what_does_not_end(
    log: str, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not again:
        monkeypatch.setattr(progress, "PATIENCE", 0.01)
    async with new_connection(log) as conn:
        with pytest.raises(transaction.TransactionManagementError):
            async with transaction.atomic(using=log):
                await fill(log)
                before = weakref.ref(conn.connection)
                async with deleting(log) as (step, task):
                    await cancel(step, task, times=1 + again)
                assert before().closed
        assert await names(log) == []
        del task
        # Or its database, if that is in memory, would go on.
        await until(lambda: before() is None)


async def test_a_cursor_is_closed_meanwhile(log: str) -> None:
    async with new_connection(log) as conn:
        await fill(log)
        cursor = await run_sync(conn.connection.execute, "SELECT id FROM testapp_tag")
        assert len(await run_sync(cursor.fetchmany, 1)) == 1
        async with deleting(log) as (step, task):
            threading.Timer(1, step.end.set).start()
            cursor.close()
            assert not step.end.is_set()
            await task
        with pytest.raises(sqlite3.ProgrammingError):
            await run_sync(cursor.fetchone)


async def test_a_child_that_is_forked_meanwhile_finds_no_locks(log: str) -> None:
    async with new_connection(log) as conn:
        await fill(log)
        async with deleting(log) as (step, task):
            threading.Timer(0.2, step.end.set).start()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # it has threads
                pid = os.fork()
            if not pid:
                signal.alarm(10)
                sqlite3.Connection.set_progress_handler(conn.connection, None, 1)
                os._exit(0)
            assert (await asyncio.to_thread(os.waitpid, pid, 0))[1] == 0
            await task


async def test_a_function_of_the_projects_is_called_on_the_loop(log: str) -> None:
    seen: list[int] = []

    def prepare() -> None:
        raw = connections[log].connection
        raw.create_function("see", 0, lambda: seen.append(threading.get_ident()))
        raw.execute(
            "CREATE TEMP TRIGGER seeing BEFORE DELETE ON testapp_tag "
            "BEGIN SELECT see(); END"
        )

    async with new_connection(log):
        await fill(log)
        await run_sync(prepare)
        await execute(log, "DELETE FROM testapp_tag")
    assert seen == [threading.get_ident()] * 2


async def test_a_small_file_needs_no_thread(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(long_steps, "DriverThread", begun.append)
    monkeypatch.setattr(long_steps, "SMALL", 1 << 20)
    async with new_connection(file):
        await fill(file)
        await execute(file, "DELETE FROM testapp_tag")
        assert await names(file) == []
        monkeypatch.setattr(long_steps, "SMALL", 4096)
        with pytest.raises(AttributeError):
            await execute(file, "DELETE FROM testapp_tag")
    assert len(begun) == 1


async def test_a_coroutine_closed_meanwhile(log: str) -> None:
    async with new_connection(log) as conn:
        await fill(log)
        async with deleting(log) as (step, task):
            step.end.set()
            await task
            await fill(log)
            vacuum = execute(log, "DELETE FROM testapp_tag")
            vacuum.send(None)
            vacuum.close()
        assert not conn.in_transaction()
        assert await names(log) in (["a", "b"], [])


async def test_a_handler_of_the_projects_stays_in_the_loops_thread(log: str) -> None:
    def prepare() -> None:
        connections[log].connection.set_progress_handler(lambda: False, 100)

    async with new_connection(log):
        await fill(log)
        async with deleting(log) as (step, task):
            step.end.set()
            await task
            await fill(log)
            await run_sync(prepare)
            await execute(log, "DELETE FROM testapp_tag")
            assert step.thread == threading.get_ident()

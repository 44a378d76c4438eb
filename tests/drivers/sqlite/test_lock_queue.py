"""Blocks of one loop, and processes, that want to write to one file of SQLite's."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction

from django_async_fast import async_connections, new_connection, run_sync
from tests.support.other_databases import names
from tests.support.sql import execute
from tests.testapp.models import Author, Tag


@asynccontextmanager
async def held(alias: str) -> AsyncIterator[asyncio.Event]:
    """Lock the file in another block's transaction, until the event or the end."""
    began, end = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with new_connection(alias), transaction.atomic(alias):
            await Author.objects.using(alias).acreate(name="holder")
            began.set()
            await end.wait()

    task = asyncio.create_task(hold())
    await began.wait()
    try:
        yield end
    finally:
        end.set()
        await task


async def test_a_block_waits_for_anothers_transaction(log: str) -> None:
    tags = Tag.objects.using(log)
    async with new_connection(log):
        async with held(log) as release:
            creating = asyncio.create_task(tags.acreate(name="a"))
            await asyncio.sleep(0.05)
            assert not creating.done()
            release.set()
            await creating
        assert await names(log) == ["a"]


async def change(log: str, atomic: bool) -> None:
    """Write in a block of its own."""
    tags = Tag.objects.using(log)
    async with new_connection(log):
        if atomic:
            async with transaction.atomic(log):
                await tags.filter(name="b").aupdate(name="b")
                await asyncio.sleep(0)
                await tags.acreate(name=f"t{time.monotonic_ns()}")
        else:
            await tags.acreate(name=f"t{time.monotonic_ns()}")


@pytest.mark.parametrize("atomic", [True, False])
async def test_everybody_gets_a_turn(file: str, atomic: bool) -> None:
    """Those who write again and again do not keep out those who wait."""
    done: Counter[int] = Counter()

    async def write(number: int) -> None:
        while len(done) < 5 or min(done.values()) < 5:
            await change(file, atomic)
            done[number] += 1

    async with asyncio.timeout(30):
        await asyncio.gather(*map(write, range(5)))
    async with new_connection(file):
        assert await Tag.objects.using(file).acount() == sum(done.values())
    assert max(done.values()) < 20 * min(done.values())


async def test_a_file_that_stays_locked(file: str, options: dict[str, Any]) -> None:
    options["timeout"] = 0.2
    async with new_connection(file), held(file):
        began = time.monotonic()
        with pytest.raises(OperationalError, match="database is locked"):
            await Tag.objects.using(file).acreate(name="a")
        assert time.monotonic() - began >= 0.2
        # Nothing is left of the attempts.
        assert not connections[file].in_transaction()


async def test_without_a_timeout_nobody_waits(
    file: str, options: dict[str, Any]
) -> None:
    options["timeout"] = 0
    async with new_connection(file), held(file):
        with pytest.raises(OperationalError, match="database is locked"):
            await Tag.objects.using(file).acreate(name="a")


async def test_the_timeout_is_a_pragma_too(file: str) -> None:
    def ask(sql: str) -> list[Any]:
        return execute(sql, using=file)

    async with new_connection(file):
        assert await run_sync(ask, "PRAGMA busy_timeout") == [(5000,)]
        assert await run_sync(ask, "pragma busy_timeout = 150;") == [(150,)]
        async with held(file):
            began = time.monotonic()
            with pytest.raises(OperationalError, match="database is locked"):
                await Tag.objects.using(file).acreate(name="a")
            assert 0.15 <= time.monotonic() - began < 4


async def test_whoever_has_read_does_not_wait(
    file: str, options: dict[str, Any]
) -> None:
    """It would wait for one that waits for it; SQLite says so at once."""
    options["transaction_mode"] = "DEFERRED"
    async with held(file), new_connection(file):
        began = time.monotonic()
        with pytest.raises(OperationalError, match="database is locked"):
            async with transaction.atomic(file):
                assert await names(file) == []
                await Tag.objects.using(file).acreate(name="a")
        assert time.monotonic() - began < 4


async def test_the_first_statement_of_a_transaction_waits(
    file: str, options: dict[str, Any]
) -> None:
    options["transaction_mode"] = "DEFERRED"

    async def write() -> None:
        async with transaction.atomic(file), transaction.atomic(file):
            await Tag.objects.using(file).acreate(name="a")

    async with new_connection(file):
        async with held(file):
            writing = asyncio.create_task(write())
            await asyncio.sleep(0.05)
            assert not writing.done()
        await writing
        assert await names(file) == ["a"]


async def test_a_commit_waits_for_a_reader(file: str) -> None:
    """Without write-ahead logging; RETURNING has shown its rows before it commits."""
    tags = Tag.objects.using(file)
    async with new_connection(file):
        await tags.abulk_create([Tag(name=f"a{i}") for i in range(300)])
        stream = aiter(tags.aiterator(10))
        await anext(stream)
        creating = asyncio.create_task(write_apart(file))
        await asyncio.sleep(0.05)
        await stream.aclose()
        assert await creating == [1, 2, 3]
        assert await Author.objects.using(file).acount() == 3


async def write_apart(file: str) -> list[int]:
    authors = Author.objects.using(file)
    async with new_connection(file):
        one = await authors.acreate(name="a")
        async with async_connections[file].acursor() as cursor:
            await cursor.executemany(
                "INSERT INTO testapp_author (name) VALUES (%s)", [["b"], ["c"]]
            )
            assert cursor.rowcount == 2
        return [one.pk, *[(await authors.aget(name=name)).pk for name in "bc"]]


@pytest.mark.parametrize("again", [False, True])
async def test_cancelled_in_the_line(file: str, again: bool) -> None:
    """Who waits is gone at once, and those behind get their turn."""
    tags = Tag.objects.using(file)

    async def create(name: str) -> None:
        async with new_connection(file):
            await tags.acreate(name=name)

    async with new_connection(file):
        async with held(file):
            tasks = [asyncio.create_task(create(name)) for name in "abc"]
            await asyncio.sleep(0.05)
            for task in tasks[:: 2 if again else 3]:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await asyncio.wait(tasks)
        assert await names(file) == (["b"] if again else ["b", "c"])


async def test_the_loop_goes_on_while_others_wait(file: str) -> None:
    turns = 0
    async with new_connection(file), held(file) as release:
        creating = asyncio.create_task(Tag.objects.using(file).acreate(name="a"))
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            await asyncio.sleep(0.001)
            turns += 1
        assert not creating.done()
        release.set()
        await creating
    assert turns > 10


async def test_a_long_statement_that_has_waited_lets_the_loop_go_on(file: str) -> None:
    turns = 0

    async def fill() -> None:
        async with async_connections[file].acursor() as cursor:
            await cursor.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                "INSERT INTO testapp_tag (name) SELECT 'n' || i FROM n LIMIT 300000"
            )

    async with new_connection(file):
        async with held(file):
            filling = asyncio.create_task(fill())
            await asyncio.sleep(0.05)
        while not filling.done():
            await asyncio.sleep(0)
            turns += 1
        await filling
    assert turns > 20


WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
for number in range(50):
    connection.execute("BEGIN IMMEDIATE")
    name = f"{sys.argv[2]}-{number}"
    connection.execute("INSERT INTO testapp_tag (name) VALUES (?)", [name])
    connection.execute("COMMIT")
"""


async def test_other_processes_write_too(file: str) -> None:
    path = str(connections.settings[file]["NAME"])
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, str(i)]) for i in range(2)
    ]
    written = 0
    try:
        while any(process.poll() is None for process in processes) or written < 10:
            await change(file, atomic=written % 2 == 0)
            written += 1
    finally:
        for process in processes:
            process.kill()
    assert [process.wait() for process in processes] == [0, 0]
    async with new_connection(file):
        assert await Tag.objects.using(file).acount() == 100 + written


async def test_executemany_begins_where_it_was_stopped(file: str) -> None:
    """Each of its statements is a transaction of its own; none is done twice."""
    taken: list[int] = []

    def params() -> Any:
        for number in range(20):
            taken.append(number)
            if number == 10:
                other.execute("BEGIN IMMEDIATE")
            yield [f"a{number:02}"]

    def insert() -> int:
        with connections[file].cursor() as cursor:
            cursor.executemany("INSERT INTO testapp_tag (name) VALUES (%s)", params())
            return int(cursor.rowcount)

    other = sqlite3.connect(connections.settings[file]["NAME"], isolation_level=None)
    try:
        async with new_connection(file):
            inserting = asyncio.create_task(run_sync(insert))
            while not taken or taken[-1] < 10:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.02)
            other.execute("ROLLBACK")
            assert await inserting == 20
            assert taken == [*range(20)]
            assert await names(file) == [f"a{number:02}" for number in range(20)]
    finally:
        other.close()

"""Connections to a file of SQLite's that are kept for the next block."""

import asyncio
import os
import shutil
import sqlite3
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction

from django_async_fast import new_connection, run_sync
from django_async_fast.drivers.sqlite import idle_connections
from tests.support.other_databases import names
from tests.support.signals import receiving
from tests.testapp.models import Tag


async def raw_of(alias: str, function: Callable[[Any], Any] | None = None) -> Any:
    """Return the connection of a block that has done `function` with it."""
    async with new_connection(alias) as conn:
        await names(alias)
        raw = conn.connection
        if function is not None:
            await run_sync(function, raw)
        return raw


async def test_the_next_block_has_the_same(file: str) -> None:
    first = await raw_of(file)
    assert await raw_of(file) is first
    async with new_connection(file) as conn:
        async with transaction.atomic(file):
            await Tag.objects.using(file).acreate(name="a")
        assert conn.connection is first
        assert await raw_of(file) is not first  # which this block has
    assert not first.closed


async def test_in_memory_none_is_kept(log: str) -> None:
    in_memory = connections[log].is_in_memory_db()
    first = await raw_of(log)
    assert first.closed == in_memory


@pytest.mark.parametrize(
    "function",
    [
        lambda raw: raw.execute("PRAGMA case_sensitive_like = ON"),
        lambda raw: raw.execute("/* mine */ pragma foreign_keys = OFF"),
        lambda raw: raw.execute("CREATE TEMP TABLE mine (a)"),
        lambda raw: raw.execute("ATTACH ':memory:' AS mine"),
        lambda raw: raw.executescript("SELECT 1; PRAGMA foreign_keys = OFF"),
        lambda raw: raw.create_function("mine", 0, lambda: 1),
        lambda raw: raw.create_collation("mine", lambda a, b: 0),
        lambda raw: raw.set_progress_handler(lambda: 0, 10),
        lambda raw: raw.set_trace_callback(lambda sql: None),
        lambda raw: setattr(raw, "row_factory", sqlite3.Row),
        lambda raw: setattr(raw, "text_factory", bytes),
    ],
)
async def test_what_a_block_has_changed_is_not_the_nexts(
    file: str, function: Callable[[Any], Any]
) -> None:
    assert (await raw_of(file, function)).closed


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "CREATE TABLE other (a)",
        "-- mine\nSELECT 1",
        "VALUES (1)",
    ],
)
async def test_other_statements_leave_it_as_new(file: str, sql: str) -> None:
    assert not (await raw_of(file, lambda raw: raw.execute(sql))).closed


async def test_receivers_make_each_ready(file: str) -> None:
    calls: list[str] = []

    def receive(connection: Any, **kwargs: Any) -> None:
        if connection.alias == file:
            calls.append(file)
            connection.connection.create_function("seven", 0, lambda: 7)
            connection.connection.execute("PRAGMA cache_size = 100")

    with receiving(receive):
        first = await raw_of(file)
        assert await raw_of(file) is first
        assert calls == [file, file]


async def test_cursors_that_are_left_are_closed(file: str) -> None:
    async with new_connection(file) as conn:
        await Tag.objects.using(file).abulk_create([Tag(name="a"), Tag(name="b")])
        before = conn.connection
        left = await run_sync(before.execute, "SELECT name FROM testapp_tag")
    async with new_connection(file) as conn:
        assert await names(file) == ["a", "b"]
        assert conn.connection is before
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            await run_sync(left.fetchone)
    # It has locked nothing any more.
    other = sqlite3.connect(connections.settings[file]["NAME"], isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    other.close()


async def test_another_file_in_its_place(file: str, tmp_path: Path) -> None:
    path = Path(connections.settings[file]["NAME"])
    await raw_of(file)
    shutil.copy(path, tmp_path / "copy")
    async with new_connection(file):
        await Tag.objects.using(file).acreate(name="a")
    for each in path.parent.glob(f"{path.name}-*"):
        each.unlink()
    (tmp_path / "copy").replace(path)
    async with new_connection(file):
        assert await names(file) == []


async def test_other_settings(file: str, options: dict[str, Any]) -> None:
    before = await raw_of(file)
    options["timeout"] = 3
    after = await raw_of(file)
    assert before.closed
    assert after.timeout == 3


async def test_so_many_at_most(file: str) -> None:
    together = asyncio.Barrier(idle_connections.MAX_IDLE + 2)

    async def one() -> Any:
        async with new_connection(file) as conn:
            await names(file)
            await together.wait()
            return conn.connection

    raws = await asyncio.gather(*(one() for _ in range(idle_connections.MAX_IDLE + 2)))
    assert sum(not raw.closed for raw in raws) == idle_connections.MAX_IDLE


def test_closed_with_the_loop(file: str) -> None:
    first = asyncio.run(raw_of(file))
    assert first.closed
    assert asyncio.run(raw_of(file)) is not first


def test_closed_after_a_loop_that_was_just_closed(file: str) -> None:
    loop = asyncio.new_event_loop()
    first = loop.run_until_complete(raw_of(file))
    loop.close()
    assert not first.closed
    asyncio.run(raw_of(file))
    assert first.closed


async def test_a_child_process_opens_its_own(file: str) -> None:
    async def write_on_its_own() -> None:
        async with new_connection(file):
            await Tag.objects.using(file).acreate(name="child")

    await raw_of(file)
    async with new_connection(file) as conn:
        await names(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pytest has threads
            pid = os.fork()
        if not pid:
            status = 1
            try:
                assert conn.connection.inherited
                conn.connection.close()
                asyncio.run(write_on_its_own())
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert status == 0
        assert await names(file) == ["child"]

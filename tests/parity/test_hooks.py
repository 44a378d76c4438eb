"""What a tool hooks in is called as often as in stock Django, whichever way is taken."""

import asyncio
from functools import partial
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.db import connection, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import Cursor, DatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet
from django.db.models.query import ModelIterable, ValuesListIterable
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler, SQLInsertCompiler

from django_async_fast import new_connection, run_sync
from tests.support.without_seams import stock
from tests.testapp.models import Tag

from .hooking import (
    TIMES,
    counts,
    counts_of_coroutines,
    everywhere,
    hooked,
    in_thread,
    sees_each_get,
)

CLASSES: list[tuple[Any, str]] = [
    *((CursorWrapper, name) for name in ("execute", "_execute")),
    (CursorWrapper, "_execute_with_wrappers"),
    *((BaseDatabaseWrapper, name) for name in ("cursor", "_cursor", "_prepare_cursor")),
    *((BaseDatabaseWrapper, name) for name in ("make_cursor", "ensure_connection")),
    (BaseDatabaseWrapper, "validate_thread_sharing"),
    *((DatabaseWrapper, name) for name in ("create_cursor", "chunked_cursor")),
    *((Cursor, name) for name in ("execute", "close")),
    *((psycopg.Cursor, name) for name in ("execute", "__init__")),
    *((psycopg.Cursor, name) for name in ("fetchone", "fetchmany", "close")),
    *((psycopg.Cursor, name) for name in ("fetchall", "__iter__")),
    *((psycopg.ServerCursor, name) for name in ("execute", "fetchmany", "close")),
    (psycopg.Connection, "cursor"),
    *((SQLCompiler, name) for name in ("execute_sql", "as_sql", "results_iter")),
    *((SQLCompiler, name) for name in ("pre_sql_setup", "get_select")),
    (SQLInsertCompiler, "execute_sql"),
    *((QuerySet, name) for name in ("get", "filter", "_clone", "_fetch_all")),
    *((Query, name) for name in ("add_q", "get_compiler")),
    (ModelIterable, "__iter__"),
    (ValuesListIterable, "__iter__"),
    *((models.Model, name) for name in ("__init__", "save")),
]
INSTANCE = ("cursor", "_cursor", "create_cursor", "make_cursor", "chunked_cursor")


@pytest.mark.usefixtures("_tag")
@pytest.mark.parametrize(
    ("owner", "name"), CLASSES, ids=lambda each: getattr(each, "__name__", each)
)
async def test_a_class(owner: Any, name: str) -> None:
    seen: list[str] = []

    def installed() -> dict[str, int]:
        with hooked(owner, name, seen):
            return counts(seen)

    async def coroutines() -> dict[str, int]:
        await Tag.objects.acount()  # it is open
        with hooked(owner, name, seen):
            found = await counts_of_coroutines(seen)
        await run_sync(lambda: connection.close())
        return found

    def expect_of_coroutines() -> dict[str, int]:
        with stock():
            return asyncio.run(coroutines())

    assert sum((await everywhere(installed)).values())
    expected = await in_thread(expect_of_coroutines)
    async with new_connection():
        assert await coroutines() == expected


@pytest.mark.usefixtures("_tag")
@pytest.mark.parametrize("name", INSTANCE)
async def test_one_connection(name: str) -> None:
    seen: list[str] = []

    def installed() -> dict[str, int]:
        with hooked(connection, name, seen):
            return counts(seen)

    assert sum((await everywhere(installed)).values())


@pytest.mark.usefixtures("_tag")
async def test_a_connection_of_psycopgs() -> None:
    seen: list[str] = []

    def installed() -> dict[str, int]:
        connection.ensure_connection()
        with hooked(connection.connection, "cursor", seen):
            return counts(seen)

    await sees_each_get(installed)


@pytest.mark.usefixtures("_tag")
async def test_an_execute_wrapper() -> None:
    seen: list[str] = []

    def wrapper(execute: Any, sql: str, *args: Any) -> Any:
        seen.append(sql)
        return execute(sql, *args)

    def installed() -> dict[str, int]:
        with connection.execute_wrapper(wrapper):
            return counts(seen)

    await sees_each_get(installed)


class Counting(CursorWrapper):
    """As a tool has it that times what is fetched."""

    seen: list[str] = []

    def fetchmany(self, *args: Any) -> Any:
        self.seen.append("fetchmany")
        return self.cursor.fetchmany(*args)

    def __iter__(self) -> Any:
        self.seen.append("__iter__")
        return super().__iter__()


@pytest.mark.usefixtures("_tag")
async def test_cursors_of_a_connections_own() -> None:
    def installed() -> dict[str, int]:
        make = partial(Counting, db=connection)
        with mock.patch.object(connection, "make_cursor", make):
            return counts(Counting.seen)

    expected = await everywhere(installed)
    assert expected["list"] == expected["iterator"] == 2 * TIMES
    assert expected["raw"] == TIMES


@pytest.mark.usefixtures("_tag")
async def test_one_cursor() -> None:
    """A tool that hooks itself into each cursor that a connection makes."""
    seen: list[str] = []

    def installed() -> dict[str, int]:
        django_cursor = connection.create_cursor

        def create(name: Any = None) -> Any:
            cursor = django_cursor(name)
            fetchmany = cursor.fetchmany
            cursor.fetchmany = lambda *args: seen.append("") or fetchmany(*args)
            return cursor

        with mock.patch.object(connection, "create_cursor", create):
            return counts(seen)

    expected = await everywhere(installed)
    assert expected["list"] == expected["iterator"] == 2 * TIMES

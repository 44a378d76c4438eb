"""What a tool hooks in is called as often as in stock Django, whichever way is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.db import OperationalError, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import Cursor, DatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet
from django.db.models.query import ModelIterable, ValuesListIterable
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler, SQLInsertCompiler

from django_async_fast import new_connection, run_sync
from django_async_fast.pool import loop_pool
from tests.support.without_seams import stock
from tests.testapp.models import Tag

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


async def all_of(rows: Any) -> list[Any]:
    return [row async for row in rows]


def stream() -> Any:
    return Tag.objects.order_by("pk")


def by_cursor() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 UNION SELECT 2")
        return cursor.fetchall()


STEPS: dict[str, tuple[Callable[[], Any], Callable[[], Awaitable[Any]]]] = {
    "list": (lambda: list(Tag.objects.all()), lambda: all_of(Tag.objects.all())),
    "get": (lambda: Tag.objects.get(name="a"), lambda: Tag.objects.aget(name="a")),
    "tuples": (
        lambda: list(Tag.objects.values_list("name")),
        lambda: all_of(Tag.objects.values_list("name")),
    ),
    "iterator": (
        lambda: list(stream().iterator()),
        lambda: all_of(stream().aiterator()),
    ),
    "raw": (
        lambda: list(Tag.objects.raw("SELECT * FROM testapp_tag")),
        lambda: run_sync(list, Tag.objects.raw("SELECT * FROM testapp_tag")),
    ),
    "cursor": (by_cursor, lambda: run_sync(by_cursor)),
    "count": (lambda: Tag.objects.count(), lambda: Tag.objects.acount()),
    "exists": (lambda: Tag.objects.exists(), lambda: Tag.objects.aexists()),
    "update": (
        lambda: Tag.objects.update(name="a"),
        lambda: Tag.objects.aupdate(name="a"),
    ),
    "create": (
        lambda: Tag.objects.create(name="b").delete(),
        lambda: run_sync(lambda: Tag.objects.create(name="b").delete()),
    ),
    "refresh": (
        lambda: Tag.objects.get().refresh_from_db(),
        lambda: run_sync(lambda: Tag.objects.get().refresh_from_db()),
    ),
}


@pytest.fixture
def _tag() -> Iterator[None]:
    Tag.objects.create(name="a")
    for step, _ in STEPS.values():
        step()  # what is remembered is not to be taken now
    yield


def counts(seen: list[str]) -> dict[str, int]:
    """Return how often each step has come to what is hooked, in synchronous code."""
    found = {}
    for name, (step, _) in STEPS.items():
        seen.clear()
        step()
        found[name] = len(seen)
    return found


async def counts_of_coroutines(seen: list[str]) -> dict[str, int]:
    found = {}
    for name, (_, step) in STEPS.items():
        seen.clear()
        await step()
        found[name] = len(seen)
    return found


@contextmanager
def hooked(owner: Any, name: str, seen: list[str]) -> Iterator[None]:
    found = getattr(owner, name)

    @wraps(found)
    def outer(*args: Any, **kwargs: Any) -> Any:
        seen.append(name)
        return found(*args, **kwargs)

    if not isinstance(owner, type):
        setattr(owner, name, outer)
        yield
        delattr(owner, name)
    else:
        with mock.patch.object(owner, name, outer):
            yield


@pytest.mark.usefixtures("_tag")
@pytest.mark.parametrize(
    ("owner", "name"), CLASSES, ids=lambda each: getattr(each, "__name__", each)
)
async def test_a_class(owner: Any, name: str) -> None:
    seen: list[str] = []

    def expect() -> dict[str, int]:
        with stock(), hooked(owner, name, seen):
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

    expected = await in_thread(expect)
    assert sum(expected.values())

    def installed() -> dict[str, int]:
        with hooked(owner, name, seen):
            return counts(seen)

    assert await in_thread(installed) == expected
    async with new_connection():
        await Tag.objects.acount()
        with hooked(owner, name, seen):
            assert await run_sync(counts, seen) == expected
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

    expected = await everywhere(installed)
    assert sum(expected.values())


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
        def make(cursor: Any) -> Any:
            return Counting(cursor, connection)

        with mock.patch.object(connection, "make_cursor", make):
            return counts(Counting.seen)

    expected = await everywhere(installed)
    assert expected["list"] == expected["iterator"] == 2
    assert expected["raw"] == 1


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
    assert expected["list"] == expected["iterator"] == 2


async def sees_each_get(installed: Callable[[], dict[str, int]]) -> None:
    expected = await everywhere(installed)
    assert expected["get"] == 1


async def everywhere(installed: Callable[[], dict[str, int]]) -> dict[str, int]:
    """Assert that as much is counted in a thread and in a block as in stock."""
    expected = await in_stock(installed)
    assert await in_thread(installed) == expected
    async with new_connection():
        await Tag.objects.acount()
        assert await run_sync(installed) == expected
    return expected


async def in_stock(installed: Callable[[], dict[str, int]]) -> dict[str, int]:
    """Return what is counted without the package."""

    def expect() -> dict[str, int]:
        with stock():
            return installed()

    return dict(await in_thread(expect))


async def in_thread(function: Callable[[], Any]) -> Any:
    """Call it with the thread's own connection, whatever block is around."""
    return await asyncio.to_thread(closing_connection, function)


def closing_connection(function: Callable[[], Any]) -> Any:
    connection.ensure_connection()
    try:
        return function()
    finally:
        connection.close()


# ----- connecting


def tracing(connect: Any, seen: list[str], label: str) -> Any:
    """As OpenTelemetry has it: the cursors of what is connected are traced."""

    def outer(*args: Any, cursor_factory: Any = psycopg.Cursor, **kwargs: Any) -> Any:
        class Traced(cursor_factory):
            def execute(self, *args: Any, **kwargs: Any) -> Any:
                seen.append("execute")
                return super().execute(*args, **kwargs)

        seen.append(label)
        return connect(*args, cursor_factory=Traced, **kwargs)

    return outer


@contextmanager
def tracing_connections(seen: list[str]) -> Iterator[None]:
    inner = vars(psycopg.Connection)["connect"]
    pooled = classmethod(tracing(inner.__func__, seen, "Connection.connect"))
    beside = vars(psycopg.AsyncConnection)["connect"]

    async def asynchronous(cls: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append("AsyncConnection.connect")
        return await beside.__func__(cls, *args, **kwargs)

    with (
        mock.patch.object(
            psycopg, "connect", tracing(psycopg.connect, seen, "connect")
        ),
        mock.patch.object(psycopg.Connection, "connect", pooled),
        mock.patch.object(
            psycopg.AsyncConnection, "connect", classmethod(asynchronous)
        ),
    ):
        yield


@pytest.mark.usefixtures("_tag")
async def test_a_tracer_that_gives_cursors_of_its_own() -> None:
    seen: list[str] = []

    def fresh() -> list[str]:
        seen.clear()
        with tracing_connections(seen):
            connection.close()
            counts([])
        return seen.copy()

    def expect() -> list[str]:
        with stock():
            return fresh()

    expected = await in_thread(expect)
    assert expected.count("connect") == 1
    assert expected.count("execute") > 5
    assert await in_thread(fresh) == expected
    seen.clear()
    with tracing_connections(seen):
        async with new_connection():
            await run_sync(counts, [])
        assert seen == expected
        seen.clear()
        async with new_connection():
            await counts_of_coroutines([])
        assert seen == expected


async def test_a_tracer_with_a_pool() -> None:
    """The pool connects once; every block that has the connection is traced."""
    pools = loop_pool._pools
    seen: list[str] = []
    with (
        tracing_connections(seen),
        mock.patch.object(loop_pool, "_pools", type(pools)()),
    ):
        for _ in range(3):
            async with new_connection("pooled"):
                await Tag.objects.using("pooled").filter(name="a").afirst()
        assert seen.count("Connection.connect") >= 1
        assert seen.count("execute") >= 3
        assert "AsyncConnection.connect" not in seen
        async with new_connection("pooled") as conn:
            await run_sync(conn.close_pool)


@pytest.mark.parametrize(
    ("owner", "name"), [(BaseDatabaseWrapper, "close"), (DatabaseWrapper, "_close")]
)
async def test_giving_a_connection_back_to_its_pool(owner: Any, name: str) -> None:
    seen: list[str] = []

    def use() -> None:
        pooled = connections["pooled"]
        for _ in range(3):
            Tag.objects.using("pooled").count()
            pooled.close()

    def expect() -> None:
        with stock(), hooked(owner, name, seen):
            use()
        connections["pooled"].close_pool()

    await asyncio.to_thread(expect)
    expected = seen.copy()
    seen.clear()
    assert len(expected) == 3
    async with new_connection("pooled"):
        pass  # the pool is open
    with hooked(owner, name, seen):
        for _ in range(3):
            async with new_connection("pooled"):
                await Tag.objects.using("pooled").acount()
    assert seen == expected


async def test_what_replaces_close_for_one_connection_is_called() -> None:
    seen: list[str] = []
    async with new_connection("pooled") as conn:
        await Tag.objects.using("pooled").acount()
        close = conn._close
        conn._close = lambda: (seen.append("_close"), close())
    assert seen == ["_close"]


async def test_errors_of_a_connect_that_is_replaced_are_djangos() -> None:
    async with new_connection() as conn:
        conn.settings_dict = {**conn.settings_dict, "PORT": "1", "HOST": "127.0.0.1"}
        with (
            tracing_connections([]),
            pytest.raises(OperationalError, match="Connection refused") as caught,
        ):
            await conn.aensure_connection()
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)


async def test_what_a_tool_wraps_around_a_connection_is_used() -> None:
    class Wrapped:
        """As Datadog has it."""

        def __init__(self, inner: Any) -> None:
            self.__dict__["inner"] = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def __setattr__(self, name: str, value: Any) -> None:
            setattr(self.inner, name, value)

        def cursor(self, *args: Any, **kwargs: Any) -> Any:
            seen.append("cursor")
            return self.inner.cursor(*args, **kwargs)

    seen: list[str] = []
    connect = psycopg.connect
    with mock.patch.object(psycopg, "connect", lambda **kw: Wrapped(connect(**kw))):
        async with new_connection() as conn:
            await conn.aensure_connection()
            seen.clear()
            assert [tag async for tag in Tag.objects.all()] == []
            assert await Tag.objects.filter(name="a").afirst() is None
    assert seen == ["cursor", "cursor"]


class Marked(psycopg.Connection[Any]):
    made: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made.append("init")

    @classmethod
    def connect(cls, *args: Any, **kwargs: Any) -> Any:
        cls.made.append("connect")
        return super().connect(*args, **kwargs)

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        self.made.append("cursor")
        return super().cursor(*args, **kwargs)


async def test_a_pool_of_a_connection_class_of_the_projects() -> None:
    Marked.made.clear()
    settings = connections.settings["pooled"]
    options = {"min_size": 1, "max_size": 1, "connection_class": Marked}
    options = {**settings["OPTIONS"], "pool": options}
    with (
        mock.patch.dict(settings, OPTIONS=options),
        mock.patch.object(loop_pool, "_pools", type(loop_pool._pools)()),
    ):
        for _ in range(2):
            async with new_connection("pooled") as conn:
                await conn.aensure_connection()
                assert isinstance(conn.connection, Marked)
                Marked.made.append("block")
                assert await Tag.objects.using("pooled").acount() == 0
        async with new_connection("pooled") as conn:
            await run_sync(conn.close_pool)
    assert Marked.made[0] == "connect"
    assert Marked.made.count("connect") == 1
    blocks = "".join(f"{each} " for each in Marked.made).split("block ")
    assert len(blocks) == 3
    assert all("cursor" in each for each in blocks[1:])

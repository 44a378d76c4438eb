"""What a tool does to connecting: wrapped, traced, replaced, given back to a pool."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.db import OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper

from django_async_fast import new_connection, run_sync
from django_async_fast.pool import loop_pool
from tests.support.without_seams import stock
from tests.testapp.models import Tag

from .hooking import counts, counts_of_coroutines, hooked, in_thread


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

    connect = tracing(psycopg.connect, seen, "connect")
    of_async = classmethod(asynchronous)
    with (
        mock.patch.object(psycopg, "connect", connect),
        mock.patch.object(psycopg.Connection, "connect", pooled),
        mock.patch.object(psycopg.AsyncConnection, "connect", of_async),
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

"""Blocks whose alias is no PostgreSQL, on the loop and in threads: the same."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    connections,
    router,
    transaction,
)
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext

from django_async_fast import async_connections, bridge, conf, new_connection, run_sync
from tests.support.describe import Queries
from tests.support.other_databases import (
    IN_THREADS,
    ON_THE_LOOP,
    names,
    other_database,
    threads,
)
from tests.support.signals import receiving
from tests.support.transactions import add_two
from tests.testapp.models import Author, Tag


@pytest.fixture(params=IN_THREADS + ON_THE_LOOP)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An alias that is no PostgreSQL, with tables."""
    with other_database(request.param, tmp_path) as alias:
        yield alias
    assert not threads()


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
        assert len(threads()) == bool(conf.get("THREADED"))
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
    with receiving(receiver, post_save, sender=Author):
        async with new_connection():
            await Author.objects.acreate(name="a")
            with suppress(ZeroDivisionError):
                async with transaction.atomic():
                    await Author.objects.acreate(name="b")
                    raise ZeroDivisionError
            assert await Author.objects.acount() == 1
            assert await names(log) == ["a", "b"]


async def test_blocks_nest_and_undo(log: str) -> None:
    async with new_connection(log, force_rollback=True):
        await Tag.objects.using(log).acreate(name="a")
        assert await names(log) == ["a"]
    async with new_connection(log):
        assert await names(log) == []


async def test_wrappers_and_logs(log: str) -> None:
    seen = Queries()
    async with new_connection(log):
        await names(log)
        with (
            connections[log].execute_wrapper(seen),
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
    async with new_connection(log):
        await asyncio.gather(
            *(add_two(log, number) for number in range(10)),
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

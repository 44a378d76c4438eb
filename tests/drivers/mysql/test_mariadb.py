"""A block on MariaDB: Django's own backend, on the loop or in a thread."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import (
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    transaction,
)

from django_async_fast import async_connections, new_connection
from tests.support.every_await import HOWS
from tests.support.other_databases import names, threads
from tests.support.transactions import (
    SCENARIOS,
    Scenario,
    add_two,
    break_off_at_every_await,
)
from tests.testapp.models import Author, Everything, Tag

from .conftest import NUMBERS, both_ways

SLOW = "SELECT SLEEP(30)"


async def execute(log: str, sql: str, *params: Any) -> Any:
    async with async_connections[log].acursor() as cursor:
        await cursor.execute(sql, params or None)
        return await cursor.fetchall()


# ----- the ORM


async def test_the_orm(log: str) -> None:
    authors, tags = Author.objects.using(log), Tag.objects.using(log)
    async with new_connection(log):
        mentor = await authors.acreate(name="m")
        await authors.abulk_create([Author(name=f"b{i}") for i in range(300)])
        author = await authors.acreate(name="ä€😀", mentor=mentor)
        found = await authors.select_related("mentor").aget(pk=author.pk)
        assert found.mentor == mentor
        for size in (7, 1000):
            streamed = authors.order_by("pk").aiterator(size)
            assert [each.pk async for each in streamed] == [
                each.pk async for each in authors.order_by("pk")
            ]
        assert [each.name async for each in mentor.students.all()] == ["ä€😀"]
        assert await authors.filter(name__startswith="b").aupdate(mentor=author) == 300
        tag, created = await tags.aget_or_create(name="t")
        assert created
        assert not (await tags.aget_or_create(name="t"))[1]
        async with transaction.atomic(using=log):
            assert await tags.select_for_update().aget() == tag
        await tag.adelete()
        assert not await tags.aexists()


async def test_values_are_those_of_stock(log: str) -> None:
    full = Everything(
        small=-1,
        integer=2,
        big=-(2**62),
        positive=2**62,
        char="c",
        text="ä€😀",
        boolean=True,
        decimal=Decimal("1234567.0000000001"),
        float=0.1,
        datetime=datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC),
        date=date(1000, 1, 1),
        time=clock(1, 2, 3, 4),
        duration=timedelta(days=-3, microseconds=5),
        uuid=UUID(int=7),
        json={"a": [1, None, "ä"]},
        inet="::1",
        binary=b"\x00\xff",
    )
    fields = [field.name for field in Everything._meta.fields]

    def read() -> list[Any]:
        found = Everything.objects.using(log).order_by("pk")
        rows = [[getattr(each, name) for name in fields] for each in found]
        rows += map(list, found.values_list(*fields))
        return [[(type(value), str(value)) for value in row] for row in rows]

    async with new_connection(log):
        await full.asave(using=log)
        await Everything(boolean=False).asave(using=log)
    found = await both_ways(log, read)
    assert (type(full.json), str(full.json)) in found[0]
    assert [row[fields.index("boolean")][1] for row in found[:2]] == ["True", "False"]


@pytest.mark.parametrize(
    ("sql", "error", "code"),
    [
        ("SELECT nothing", OperationalError, 1054),
        ("SELEKT", ProgrammingError, 1064),
        ("INSERT INTO testapp_tag (name) VALUES (NULL)", IntegrityError, 1048),
        ("INSERT INTO testapp_tag (id, name) VALUES (99e99, 'a')", DataError, 1264),
    ],
)
async def test_errors(log: str, sql: str, error: type[Exception], code: int) -> None:
    async with new_connection(log):
        with pytest.raises(error) as caught:
            await execute(log, sql)
        assert caught.value.args[0] == code
        assert await names(log) == []


# ----- transactions


async def test_atomic_blocks_and_savepoints(log: str) -> None:
    tags = Tag.objects.using(log)
    called: list[str] = []
    async with new_connection(log) as conn:
        async with transaction.atomic(using=log):
            await tags.acreate(name="a")
            with suppress(IntegrityError):
                async with transaction.atomic(using=log):
                    await tags.acreate(name="b")
                    await tags.acreate(name="a")
            transaction.on_commit(lambda: called.append("a"), using=log)
            assert await names(log) == ["a"]
            assert conn.in_transaction()
        assert called == ["a"]
        assert not conn.in_transaction()
        with suppress(ZeroDivisionError):
            async with transaction.atomic(using=log):
                await tags.all().adelete()
                raise ZeroDivisionError
        assert await names(log) == ["a"]


async def test_tasks_take_turns(log: str, driver: str) -> None:
    async with new_connection(log):
        await asyncio.gather(*(add_two(log, number) for number in range(10)))
        assert len(await names(log)) == 10
        assert len(threads()) == (driver == "threads")


async def test_deadlocks_of_two_blocks_are_errors(log: str) -> None:
    tags = Tag.objects.using(log)
    async with new_connection(log):
        await tags.abulk_create([Tag(name="a"), Tag(name="b")])
    first = asyncio.Barrier(2)

    async def both(order: str) -> str:
        try:
            async with new_connection(log), transaction.atomic(using=log):
                await tags.select_for_update().aget(name=order[0])
                await first.wait()
                await tags.select_for_update().aget(name=order[1])
        except OperationalError as error:
            assert error.args[0] == 1213
            return "deadlock"
        return "done"

    async with asyncio.timeout(20):
        assert {*await asyncio.gather(both("ab"), both("ba"))} == {"done", "deadlock"}


# ----- what is broken off


async def test_a_cancelled_statement_is_killed(log: str) -> None:
    """The connection and its transaction go on."""
    async with new_connection(log) as conn:
        async with transaction.atomic(using=log):
            await Tag.objects.using(log).acreate(name="a")
            before = conn.connection
            for _ in range(3):
                began = time.monotonic()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await execute(log, SLOW)
                assert time.monotonic() - began < 4
            await Tag.objects.using(log).acreate(name="b")
        assert conn.connection is before
        assert await names(log) == ["a", "b"]


async def test_the_loop_goes_on_and_other_tasks_wait(log: str) -> None:
    async with new_connection(log):
        await names(log)
        asking = asyncio.create_task(execute(log, "SELECT SLEEP(0.2), 7"))
        await asyncio.sleep(0.05)
        assert not asking.done()
        assert await names(log) == []
        assert asking.done()
        assert await asking == [(0, 7)]


async def test_a_killed_change_is_undone_alone(log: str) -> None:
    # MySQL's SLEEP() is no error where it is ended.
    slow = f"{NUMBERS} SELECT CONCAT('x', COUNT(*)) FROM n a, n b, n c, n d, n e"
    async with new_connection(log):
        async with transaction.atomic(using=log):
            await Tag.objects.using(log).acreate(name="a")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await execute(log, f"INSERT INTO testapp_tag (name) {slow}")
        assert await names(log) == ["a"]


async def test_a_kill_that_comes_late_ends_no_other_statement(log: str) -> None:
    async with new_connection(log):
        await names(log)
        for pause in range(60):
            asking = asyncio.create_task(execute(log, "SELECT SLEEP(0.002)"))
            await asyncio.sleep(0.001 + pause * 0.00005)
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
            assert await execute(log, "SELECT SLEEP(0.001)") == [(0,)]


async def test_a_connection_that_the_server_has_ended(log: str) -> None:
    async with new_connection(log):
        await names(log)
        ((mine,),) = await execute(log, "SELECT CONNECTION_ID()")
        async with new_connection(log):
            await execute(log, "KILL CONNECTION %s", mine)
        with pytest.raises(OperationalError):
            await names(log)
    async with new_connection(log):
        assert await names(log) == []


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_broken_off_at_every_await(
    log: str, scenario: Scenario, how: str
) -> None:
    await break_off_at_every_await(log, scenario, how, no_other_session)


async def no_other_session(log: str) -> None:
    """Wait until the server has done what others have sent, and seen them go."""
    others = "information_schema.processlist WHERE db = 'tests'"
    while await execute(log, f"SELECT 1 FROM {others} AND id <> CONNECTION_ID()"):
        await asyncio.sleep(0.01)

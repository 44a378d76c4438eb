"""Reads that are sent before their call has a greenlet: they end as all others do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import greenlet
import psycopg
import pytest
from django.db import DatabaseError, OperationalError, transaction
from django.db.models import Max
from django.db.models.signals import post_init

from django_async_fast import new_connection
from tests.support.configured import configured, pool_is_whole, pool_options
from tests.support.every_await import run
from tests.support.until import until
from tests.testapp.models import Author, Book, Publisher, Tag

from .conftest import Watch, connected

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("untimed")]

# In asyncio's debug mode steps are timed: each call has its greenlet.
LOOPS = ("plain", "uvloop")


async def get() -> Any:
    return (await Tag.objects.aget(name="a")).name


async def count() -> Any:
    return await Tag.objects.filter(name="a").acount()


async def exists() -> Any:
    return await Tag.objects.filter(name="a").aexists()


async def rows() -> Any:
    return [name async for name in Tag.objects.filter(name="a").values_list("name")]


async def related() -> Any:
    author = Author(pk=1)
    author._state.adding, author._state.db = False, "default"
    return [book.author is author async for book in author.books.filter(title="a")]


async def put_off() -> Any:
    author = Author(pk=1)
    author._state.adding, author._state.db = False, "default"
    return await author.books.acount()


async def first() -> Any:
    return (await Tag.objects.filter(name="a").afirst()).name


async def last() -> Any:
    return await Tag.objects.filter(name="a").order_by("name").values("name").alast()


async def no_first() -> Any:
    return await Tag.objects.filter(name="z").values_list("pk", flat=True).afirst()


async def aggregate() -> Any:
    return await Tag.objects.filter(name="a").aaggregate(highest=Max("name"))


READS: dict[Callable[[], Awaitable[Any]], Any] = {
    get: "a",
    count: 1,
    exists: True,
    rows: [("a",)],
    related: [True],
    put_off: 1,
    first: "a",
    last: {"name": "a"},
    no_first: None,
    aggregate: {"highest": "a"},
}
each_read = pytest.mark.parametrize("read", READS, ids=lambda each: each.__name__)


async def learn(read: Callable[[], Awaitable[Any]]) -> None:
    """Have the statement known, and the session know how to decode its rows."""
    for _ in range(8):
        assert await read() == READS[read]


async def switches(read: Callable[[], Awaitable[Any]]) -> int:
    """Return how often a greenlet is entered or left while `read` runs."""
    found: list[Any] = []
    before = greenlet.settrace(lambda event, _: found.append(event))
    try:
        assert await read() == READS[read]
    finally:
        greenlet.settrace(before)
    return len(found)


@asynccontextmanager
async def locked(watch: Watch) -> AsyncIterator[None]:
    """Keep the server from answering."""
    async with await psycopg.AsyncConnection.connect(**watch.dsn) as other:
        tables = "testapp_tag, testapp_book"
        await other.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
        yield
        await other.rollback()


@pytest.fixture
def tag() -> Any:
    author = Author.objects.create(pk=1, name="a")
    Book.objects.create(title="a", author=author)
    return Tag.objects.create(name="a")


@each_read
async def test_no_greenlet_is_entered(tag: Any, read: Any) -> None:
    async with new_connection():
        await learn(read)
        assert await switches(read) == 0
        async with transaction.atomic():
            await learn(read)
            assert await switches(read) == 0


async def test_a_greenlet_is_entered_for_the_projects_code(tag: Any) -> None:
    def received(**kwargs: Any) -> None:
        assert Author.objects.count() == 1
        seen.append(kwargs["instance"])

    seen: list[Any] = []
    async with new_connection():
        await learn(get)
        post_init.connect(received, sender=Tag)
        try:
            assert await switches(get)
        finally:
            post_init.disconnect(received, sender=Tag)
        assert len(seen) == 1
        await learn(get)
        assert await switches(get) == 0


@each_read
async def test_no_greenlet_is_entered_where_another_model_has_a_receiver(
    tag: Any, read: Any
) -> None:
    def received(**kwargs: Any) -> None:
        raise AssertionError

    async with new_connection():
        await learn(read)
        post_init.connect(received, sender=Publisher)
        try:
            await learn(read)
            assert await switches(read) == 0
        finally:
            post_init.disconnect(received, sender=Publisher)


async def test_none_and_many_are_djangos_errors(tag: Any) -> None:
    async def gets(name: str) -> Any:
        return await Tag.objects.aget(name__startswith=name)

    async with new_connection():
        await Tag.objects.acreate(name="b")
        for _ in range(5):
            assert (await gets("a")).pk == tag.pk
        with pytest.raises(Tag.DoesNotExist, match="Tag matching query does not exist"):
            await gets("c")
        with pytest.raises(Tag.MultipleObjectsReturned, match="it returned 2!"):
            await gets("")
        assert (await gets("a")).pk == tag.pk


@each_read
@pytest.mark.parametrize("loop", LOOPS)
def test_cancelled_while_the_server_works(
    tag: Any, watch: Watch, read: Any, loop: str
) -> None:
    loop, options, settled = connected(watch, loop)

    async def main() -> None:
        async with new_connection() as conn:
            await learn(read)
            raw = conn.connection
            async with locked(watch):
                task = asyncio.create_task(read())
                await until(lambda: bool(watch.working()))
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await watch.idle()
            assert await read() == READS[read]
            assert conn.connection is raw
        await settled()

    with configured(OPTIONS=options):
        run(loop, main())


@each_read
async def test_closed_while_the_server_works(tag: Any, watch: Watch, read: Any) -> None:
    """The task is gone: nothing may be waited for, and the connection is dropped."""
    with configured(OPTIONS=pool_options()):
        async with new_connection() as conn:
            await learn(read)
            raw = conn.connection
            async with locked(watch):
                coroutine: Any = read()
                coroutine.send(None)
                await until(lambda: bool(watch.working()))
                coroutine.close()
            assert raw.closed
            assert await read() == READS[read]
        await pool_is_whole()


@each_read
async def test_the_servers_errors_are_djangos(
    tag: Any, watch: Watch, read: Any
) -> None:
    async with new_connection() as conn:
        await learn(read)
        async with conn.acursor() as cursor:
            await cursor.execute("SET statement_timeout = 50")
        async with locked(watch):
            with pytest.raises(OperationalError, match="statement timeout") as found:
                await read()
        assert isinstance(found.value.__cause__, psycopg.errors.QueryCanceled)
        assert await read() == READS[read]


@each_read
async def test_a_session_that_is_killed(tag: Any, watch: Watch, read: Any) -> None:
    with configured(OPTIONS=pool_options()):
        async with new_connection() as conn:
            await learn(read)
            async with locked(watch):
                task = asyncio.create_task(read())
                await until(lambda: bool(watch.working()))
                watch.terminate(conn.connection.info.backend_pid)
                with pytest.raises(DatabaseError):
                    await task
        async with new_connection():
            assert await read() == READS[read]
        await pool_is_whole()


async def test_those_who_come_meanwhile_wait_their_turn(tag: Any, watch: Watch) -> None:
    async def write() -> None:
        await Tag.objects.filter(name="a").aupdate(name="z")
        ended.append("write")

    async def timed() -> None:
        assert await get() == "a"
        ended.append("get")

    ended: list[str] = []
    with configured(OPTIONS=pool_options()):
        async with new_connection():
            await learn(get)
            async with locked(watch):
                tasks = [asyncio.create_task(timed()), asyncio.create_task(write())]
                await until(lambda: bool(watch.working()))
                await asyncio.sleep(0.02)
            await asyncio.gather(*tasks)
            assert ended == ["get", "write"]
            # And a read that waits gets it from one that is broken off.
            await Tag.objects.filter(name="z").aupdate(name="a")
            async with locked(watch):
                tasks = [asyncio.create_task(timed()), asyncio.create_task(timed())]
                await until(lambda: bool(watch.working()))
                tasks[0].cancel()
                await asyncio.wait(tasks[:1])
            await tasks[1]
            assert tasks[0].cancelled()

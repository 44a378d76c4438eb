"""Streams that are left, sessions that are killed, and statements that the server refuses."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from django.db import DataError, OperationalError, connection, transaction
from django.db.models import F
from django.db.transaction import TransactionManagementError

from django_async_fast import alist, new_connection, run_sync
from tests.support.backend_pids import abackend_pid, backend_pid
from tests.support.cancelling import cancelled
from tests.support.configured import configured, pool_is_whole, pool_options
from tests.support.until import until
from tests.testapp.models import Author, Tag, Unique

from .conftest import Watch, through_proxy
from .failing import PATIENCE, Cases, fill_authors, sleep_on_the_server

CASES = Cases()


@contextlib.asynccontextmanager
async def locked_tags(watch: Watch) -> AsyncIterator[None]:
    """Keep the server from answering for the tags."""
    async with await psycopg.AsyncConnection.connect(**watch.dsn) as other:
        await other.execute("LOCK TABLE testapp_tag IN ACCESS EXCLUSIVE MODE")
        yield
        await other.rollback()


@CASES.numbered(10)
async def a_stream_left_half_way(watch: Watch) -> None:
    await fill_authors(20)
    async with new_connection() as conn:
        for leave_by in ("break", "raise", "aclose"):
            rows = Author.objects.aiterator(chunk_size=3)
            with contextlib.suppress(ValueError):
                async for _ in rows:
                    if leave_by == "raise":
                        raise ValueError
                    break
            if leave_by == "aclose":
                await rows.aclose()
            del rows
            async with conn.acursor() as cursor:
                await cursor.execute("SELECT count(*) FROM pg_cursors")
                assert await cursor.fetchone() == (0,), leave_by
        await watch.idle()


@CASES.numbered(10)
async def a_chunk_in_flight_is_not_lost_with_anothers_statement(watch: Watch) -> None:
    await fill_authors(30)
    async with through_proxy(watch) as proxy, new_connection():
        seen = []
        rows = Author.objects.order_by("pk").aiterator(chunk_size=10)
        async for author in rows:
            seen.append(author.name)
            if len(seen) == 5:
                # Whoever comes has to take in the second chunk first.
                proxy.answers.delay = 0.2
                assert await cancelled(Tag.objects.acount(), after=0.05) < 0.1
                proxy.answers.delay = 0
        assert seen == [str(i) for i in range(30)]


@CASES.numbered(10)
async def who_ends_a_streams_transaction_is_broken_off(watch: Watch) -> None:
    await fill_authors(30)
    async with through_proxy(watch) as proxy, new_connection():
        rows = Author.objects.order_by("pk").aiterator(chunk_size=10)
        await anext(rows)
        proxy.answers.delay = 0.1
        # It takes in the second chunk, and commits.
        counting = asyncio.create_task(Tag.objects.acount())
        await asyncio.sleep(0.02)
        reading = asyncio.create_task(alist(rows))
        await asyncio.sleep(0.13)
        counting.cancel()
        assert len(await reading) == 29
        assert counting.cancelled()


@CASES.numbered(12)
async def a_connection_that_is_closed_in_a_transaction(watch: Watch) -> None:
    async with new_connection():
        for _ in range(3):
            assert await Tag.objects.acount() == 0
        with pytest.raises(OperationalError, match="the connection is closed"):
            async with transaction.atomic():
                assert await Tag.objects.acount() == 0
                connection.connection.close()
                with pytest.raises(OperationalError, match="the connection is closed"):
                    await Tag.objects.acount()
        assert await Tag.objects.acount() == 0


@CASES.numbered(12)
async def a_stream_where_the_first_statement_was_killed(watch: Watch) -> None:
    async with new_connection() as conn, locked_tags(watch):
        await conn.aensure_connection()
        with pytest.raises(OperationalError, match="the connection is closed"):
            async with transaction.atomic():
                counting = asyncio.create_task(Tag.objects.acount())
                await until(lambda: bool(watch.working()))
                watch.terminate(conn.connection.info.backend_pid)
                with pytest.raises(OperationalError):
                    await counting
                with pytest.raises(OperationalError, match="the connection is closed"):
                    await anext(Author.objects.aiterator())


@CASES.numbered(10)
async def a_stream_dropped_in_a_later_transaction(watch: Watch) -> None:
    await fill_authors(20)
    async with new_connection():
        async with transaction.atomic():
            rows = Author.objects.aiterator(chunk_size=3)
            await anext(rows)
        async with transaction.atomic():
            await Tag.objects.acreate(name="kept")
            del rows  # its cursor has ended with the first transaction
            await Tag.objects.acreate(name="kept too")
    assert watch.value("SELECT count(*) FROM testapp_tag") == 2


@CASES.numbered(12)
async def the_backend_is_killed_in_a_stream(watch: Watch) -> None:
    await fill_authors(50)
    with configured(OPTIONS=pool_options()):
        began = time.monotonic()
        with pytest.raises(OperationalError):
            async with new_connection() as conn:
                pid = await abackend_pid(conn)
                async for _ in Author.objects.aiterator(chunk_size=5):
                    watch.terminate(pid)
                    await asyncio.sleep(0.02)
        assert time.monotonic() - began < PATIENCE
        await pool_is_whole()


@CASES.numbered(13)
async def killed_in_a_transaction(watch: Watch) -> None:
    """The error on its way arrives, and nobody connects again to roll back."""
    async with through_proxy(watch) as proxy:
        async with new_connection():
            with pytest.raises(ValueError, match="ours"):
                async with transaction.atomic():
                    async with transaction.atomic():
                        await Tag.objects.acreate(name="gone")
                    proxy.cut()
                    await asyncio.sleep(0.05)
                    raise ValueError("ours")
            assert proxy.accepted == 1
            assert await Tag.objects.acount() == 0
        with pytest.raises(OperationalError):
            async with new_connection(), transaction.atomic():
                await Tag.objects.acreate(name="gone")
                proxy.cut()
                await asyncio.sleep(0.05)
    assert not watch.value("SELECT count(*) FROM testapp_tag")


@CASES.numbered(26)
async def statement_timeout_in_atomic(watch: Watch) -> None:
    async with new_connection() as conn:
        with pytest.raises(ValueError, match="ours"):
            async with transaction.atomic():
                async with conn.acursor() as cursor:
                    await cursor.execute("SET LOCAL statement_timeout = '50ms'")
                with pytest.raises(OperationalError):
                    async with transaction.atomic(savepoint=False):
                        await sleep_on_the_server(conn, 5)
                with pytest.raises(TransactionManagementError):
                    await Tag.objects.acount()
                raise ValueError("ours")
        assert await Tag.objects.acount() == 0
        await watch.idle()


@CASES.numbered(26)
async def an_error_of_the_data(watch: Watch) -> None:
    async with new_connection():
        with pytest.raises(DataError):
            async with transaction.atomic():
                await Unique.objects.acreate(key="x")
                await Unique.objects.aupdate(value=F("value") / 0)
        assert await Unique.objects.acount() == 0
        await watch.idle()


@pytest.mark.parametrize("name", CASES)
def test_failure(name: str, watch: Watch, pytestconfig: pytest.Config) -> None:
    CASES.run(name, watch, pytestconfig.option.loop)


def test_what_a_lost_transaction_raises(watch: Watch) -> None:
    """As in stock Django: whoever tries again after an OperationalError does."""

    def lost_in_a_savepoint() -> list[Any]:
        raised: list[Any] = []
        for attempt in range(2):
            try:
                with transaction.atomic():
                    if not attempt:
                        with (
                            contextlib.suppress(OperationalError),
                            transaction.atomic(),
                        ):
                            watch.terminate(backend_pid())
                            Tag.objects.count()
                    Tag.objects.count()
            except Exception as exc:
                raised += type(exc), str(exc), type(exc.__cause__)
        connection.close()
        return raised

    in_stock = lost_in_a_savepoint()
    assert in_stock[0] is OperationalError
    assert asyncio.run(new_connection()(run_sync)(lost_in_a_savepoint)) == in_stock


async def test_a_cursor_whose_closing_is_broken_off_is_not_closed_twice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def close() -> None:
        cursor = connection.chunked_cursor()
        cursor.execute("SELECT generate_series(1, 9)")
        assert cursor.fetchmany(1)
        task.cancel()
        cursor.close()

    async with new_connection():
        task = asyncio.create_task(run_sync(close))
        await asyncio.wait([task])
        assert task.cancelled()
        async with connection.acursor() as cursor:
            await cursor.execute("SELECT name FROM pg_cursors")
            assert await cursor.fetchall() == []
    assert not caplog.records

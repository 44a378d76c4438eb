"""Streams of rows: among other queries, left half way, read slowly."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F

from django_async_fast import new_connection, run_sync
from tests.support.sql import execute
from tests.support.until import until
from tests.testapp.models import Book, Tag

from .fifty_books import ROWS

pytestmark = [
    pytest.mark.keep_rows,
    pytest.mark.core,
    pytest.mark.usefixtures("fifty_books"),
]


CURSORS = "SELECT name FROM pg_cursors"


async def test_other_queries_in_the_loops_body() -> None:
    async with new_connection():
        titles = []
        async for book in Book.objects.order_by("pk").aiterator(3):
            titles.append(book.title)
            await Book.objects.filter(pk=book.pk).aupdate(pages=F("pages"))
            assert await Tag.objects.acount() == 3
        assert len(titles) == ROWS + 1


async def read() -> int:
    return len([book async for book in Book.objects.aiterator(4)])


async def test_two_streams_at_once() -> None:
    async with new_connection():
        counts = await asyncio.gather(*(read() for _ in range(5)))
        assert counts == [ROWS + 1] * 5


async def leave_by_break() -> None:
    async for _ in Book.objects.aiterator(3):
        break
    gc.collect()


async def leave_by_aclose() -> None:
    stream = aiter(Book.objects.aiterator(3))
    await anext(stream)
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("leave", [leave_by_break, leave_by_aclose])
async def test_left_half_way(atomic: bool, leave: Any) -> None:
    async with new_connection() as conn:
        async with transaction.atomic() if atomic else nullcontext():
            await leave()
            assert await Book.objects.acount() == ROWS + 1
            assert await run_sync(execute, CURSORS) == []
        assert await session_state(conn) == "idle"


async def session_state(conn: Any) -> str:
    """Return what the server says that the block's session is doing."""
    state = "SELECT state FROM pg_stat_activity WHERE pid = %s"
    async with new_connection():
        found = await run_sync(execute, state, [conn.connection.info.backend_pid])
    return str(found[0][0])


async def is_idle(conn: Any) -> bool:
    return await session_state(conn) == "idle"


async def test_a_slow_reader_leaves_no_transaction_open() -> None:
    async with new_connection() as conn:
        stream = aiter(Book.objects.order_by("pk").aiterator(3))
        read = [await anext(stream)]
        await until(lambda: is_idle(conn))
        read += [book async for book in stream]
        assert [b.pk for b in read] == sorted(b.pk for b in read)
        assert len(read) == ROWS + 1
        assert await session_state(conn) == "idle"


async def test_a_stream_sees_what_was_there_when_it_began() -> None:
    async with new_connection():
        titles = []
        async for book in Book.objects.order_by("-pk").aiterator(3):
            titles.append(book.title)
            if len(titles) == 1:
                author = book.author_id
                extra = await Book.objects.acreate(title="new", author_id=author)
        assert len(titles) == ROWS + 1
        await extra.adelete()


async def test_memory_does_not_grow_with_the_rows() -> None:
    async with new_connection():
        counts = []
        async for _ in Book.objects.aiterator(5):
            counts.append(sys.getallocatedblocks())
        half = len(counts) // 2
        assert max(counts[half:]) - max(counts[:half]) < 500


async def test_begun_while_another_task_begins_the_transaction() -> None:
    async with new_connection(), transaction.atomic():
        assert await asyncio.gather(Tag.objects.acount(), read()) == [3, ROWS + 1]
        async with transaction.atomic():
            assert await asyncio.gather(Tag.objects.acount(), read()) == [3, ROWS + 1]


async def read_synchronously() -> int:
    return len(await run_sync(list, Book.objects.iterator(4)))


@pytest.mark.parametrize("read", [read, read_synchronously])
async def test_begun_while_another_task_has_a_transaction_open(read: Any) -> None:
    async def hold() -> None:
        async with transaction.atomic():
            await Tag.objects.acount()
            inside.set()
            await asyncio.sleep(0.01)

    async def read_beside() -> int:
        await inside.wait()
        found: int = await read()
        return found

    async with new_connection():
        inside = asyncio.Event()
        assert await asyncio.gather(hold(), read_beside()) == [None, ROWS + 1]


def of_a_generator() -> Iterator[Any]:
    cursor = connection.chunked_cursor()
    try:
        cursor.execute("SELECT name FROM testapp_tag")
        while rows := cursor.fetchmany(1):
            yield from rows
    finally:
        cursor.close()


@pytest.mark.parametrize(
    "rows_of", [lambda: Tag.objects.iterator(chunk_size=1), of_a_generator]
)
@pytest.mark.parametrize("atomic", [False, True])
async def test_an_iterator_that_is_dropped_waits_for_nobody(
    atomic: bool, rows_of: Callable[[], Iterator[Any]]
) -> None:
    def work() -> list[str]:
        with transaction.atomic() if atomic else nullcontext():
            rows = rows_of()
            next(rows)
            with connection.cursor() as cursor:
                task.cancel()
                del rows  # nobody is told here
                cursor.execute(CURSORS)
        return ["not cancelled"]

    async def main() -> None:
        async with new_connection():
            with pytest.raises(asyncio.CancelledError):
                await run_sync(work)
            asyncio.current_task().uncancel()  # type: ignore[union-attr]
            assert await run_sync(execute, CURSORS) == []

    task = asyncio.create_task(main())
    await task


async def test_a_stream_that_nobody_reads_soon_leaves_no_transaction_open() -> None:
    async with new_connection() as conn:
        await leave_by_break()
        await until(lambda: is_idle(conn))

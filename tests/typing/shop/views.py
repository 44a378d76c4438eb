"""Every public name as a project uses it; each type is asserted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, assert_type

from django.core.handlers.asgi import ASGIHandler
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from psycopg import IsolationLevel

import django_async_fast
from django_async_fast import (
    AsyncCopy,
    AsyncCursor,
    BlockWrapper,
    achunks,
    afetch_related,
    alist,
    async_connections,
    blocking,
    explain_plan,
    install,
    new_connection,
    run,
    run_sync,
    transaction,
    uninstall,
)
from django_async_fast.asgi import (
    close_pools,
    get_asgi_application,
    lifespan,
    open_pools,
)

from .models import Author, Book, BookQuerySet

assert_type(django_async_fast.__version__, str)


def authors() -> QuerySet[Author]:
    return Author.objects.order_by("name")


def shelf(length: int, *, sort: str = "title") -> list[Book]:
    return list(Book.objects.order_by(sort)[:length])


async def querysets() -> None:
    assert_type(await alist(authors()), list[Author])
    assert_type(await alist(Author.objects.filter(name="x")), list[Author])
    assert_type(await alist(BookQuerySet(Book).long()), list[Book])
    assert_type(await alist(named()), list[str])
    assert_type(achunks(authors(), 500), AsyncGenerator[list[Author], None])
    async for chunk in achunks(authors(), size=500):
        assert_type(chunk, list[Author])
    async with aclosing(achunks(authors(), 500)) as chunks:
        assert_type(await anext(chunks), list[Author])

    author = await authors().aget()
    assert_type(author, Author)
    assert_type(await afetch_related(author, "books__author"), Author)
    assert_type(await afetch_related([author], "books"), list[Author])

    plan = explain_plan(authors())
    assert_type(plan.binary, bool)
    assert_type([column.type for column in plan.columns], list[str])


async def named() -> AsyncGenerator[str, None]:
    yield "x"


async def functions() -> None:
    assert_type(await run_sync(shelf, 10, sort="pages"), list[Book])
    assert_type(await run_sync(authors().count), int)


async def connections() -> None:
    async with new_connection() as conn:
        assert_type(conn, BlockWrapper)
        assert_type(conn.alias, str)  # Django's wrapper is known, too
        await conn.aensure_connection()
        await conn.acommit()
        await conn.arollback()
        await conn.aclose()
    async with new_connection(using="default", force_rollback=True):
        assert_type(async_connections["default"], BlockWrapper)
        assert_type(list(async_connections), list[str])


async def cursors(conn: BlockWrapper) -> None:
    async with conn.acursor() as cursor:
        assert_type(cursor, AsyncCursor)
        done = await cursor.execute("SELECT %s", [1])
        assert_type(await done.fetchone(), tuple[Any, ...] | None)
        await cursor.executemany("SELECT %(n)s", [{"n": 1}])
        assert_type(await cursor.fetchmany(2), list[tuple[Any, ...]])
        assert_type(await cursor.fetchall(), list[tuple[Any, ...]])
        assert_type(cursor.rowcount, int)
        async for row in cursor:
            assert_type(row, tuple[Any, ...])
        async with cursor.copy("COPY t TO STDOUT") as copy:
            assert_type(copy, AsyncCopy)
            assert_type(await copy.read(), bytes)
            async for values in copy.rows():
                assert_type(values, tuple[Any, ...])


@new_connection()
async def decorated(name: str, *, pages: int = 0) -> Author:
    return await authors().aget(name=name)


async def decorators() -> None:
    assert_type(await decorated("x", pages=1), Author)
    assert_type(await in_transaction(3), int)
    assert_type(await in_serializable(3), int)
    assert_type(in_thread(3), str)


@transaction.atomic
async def in_transaction(number: int) -> int:
    return number


@transaction.atomic(isolation_level="serializable", durable=True)
async def in_serializable(number: int) -> int:
    return number


@blocking
def in_thread(number: int) -> str:
    return str(number)


async def transactions() -> None:
    async with transaction.atomic():
        async with transaction.atomic(using="default", savepoint=False):
            transaction.on_commit(committed)
        sid = await transaction.asavepoint()
        await transaction.asavepoint_rollback(sid, using="default")
        await transaction.aset_rollback(True)
    async with transaction.atomic(
        isolation_level=IsolationLevel.REPEATABLE_READ, read_only=True, deferrable=False
    ):
        assert_type(await transaction.aget_autocommit(), bool)
        assert_type(await transaction.aget_rollback(using="default"), bool)
    async with transaction.amark_for_rollback_on_error(using="default"):
        await transaction.acommit()
        await transaction.arollback("default")
    with transaction.atomic():
        assert_type(transaction.get_autocommit(), bool)


async def committed() -> None:
    """Is called when the transaction has been committed."""


async def main() -> int:
    return 1


def entry_points() -> None:
    assert_type(run(main(), debug=True), int)
    assert_type(get_asgi_application(sync="thread"), ASGIHandler)
    lifespan(get_asgi_application())
    opened: Callable[[], Coroutine[Any, Any, None]] = open_pools
    closed: Callable[[], Coroutine[Any, Any, None]] = close_pools
    assert opened is not closed
    install()
    uninstall()


async def view(request: HttpRequest, author_id: int) -> HttpResponse:
    async with new_connection(), transaction.atomic():
        author = await authors().aget(pk=author_id)
        books = await alist(Book.objects.filter(author=author))
    titles = [book.title for book in books]
    assert_type(titles, list[str])
    return JsonResponse({"name": author.name, "books": titles})

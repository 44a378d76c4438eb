"""What people do in a block, to be broken off at every await of it."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from django.db import transaction
from django.db.models import sql

from django_async_fast import (
    achunks,
    acopy_chunks,
    acopy_from,
    acopy_to,
    new_connection,
    run_sync,
)
from tests.testapp.models import Author, Novel, Tag

from .conftest import Watch

ROWS = 10

Scenario = Callable[[], Coroutine[Any, Any, Any]]


async def get() -> None:
    async with new_connection():
        assert (await Author.objects.aget(name="first")).name == "first"


async def save() -> None:
    """Two tables, in the transaction that Django opens."""
    async with new_connection():
        author = await Author.objects.afirst()
        await Novel(title="new", genre="new", author=author).asave()


async def bulk_create() -> None:
    async with new_connection():
        batch = [Tag(name=f"new{i}") for i in range(ROWS)]
        await Tag.objects.abulk_create(batch, batch_size=4)


async def bulk_update() -> None:
    async with new_connection(), transaction.atomic():
        batch = [Tag(name=f"old{i}") for i in range(ROWS)]
        await Tag.objects.abulk_create(batch)
        for i, tag in enumerate(batch):
            tag.name = f"new{i}"
        assert await Tag.objects.abulk_update(batch, ["name"], batch_size=4) == ROWS


async def found_by_many_keys() -> None:
    """Keys that go as an array, once the queryset is known."""
    async with new_connection():
        assert len(await Author.objects.ain_bulk([*range(1, 130)])) == ROWS


async def deleted_by_many_keys() -> None:
    async with new_connection(), transaction.atomic():
        batch = await Tag.objects.abulk_create(Tag(name=f"old{i}") for i in range(120))
        await Tag.objects.acreate(name="new")
        keys = [each.pk for each in batch]
        deleted = await run_sync(sql.DeleteQuery(Tag).delete_batch, keys, "default")
        assert deleted == 120


async def get_or_create() -> None:
    async with new_connection():
        await Tag.objects.aget_or_create(name="new")


async def nested() -> None:
    async with new_connection(), transaction.atomic():
        await Tag.objects.acreate(name="a")
        try:
            async with transaction.atomic():
                await Tag.objects.acreate(name="b")
                raise ValueError
        except ValueError:
            pass
        async with transaction.atomic():
            await Tag.objects.acreate(name="c")


async def siblings() -> None:
    """Children in one transaction, each in a savepoint of its own."""

    async def child(name: str) -> None:
        async with transaction.atomic():
            await Tag.objects.acreate(name=name)

    async with new_connection(), transaction.atomic(), asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(child(name))


async def units() -> None:
    """Synchronous functions of two tasks, each of them a unit."""

    def pair(name: str) -> None:
        with transaction.atomic():
            Tag.objects.create(name=f"{name}1")
            Tag.objects.create(name=f"{name}2")
        assert Tag.objects.filter(name__startswith=name).count() == 2

    async with new_connection(), asyncio.TaskGroup() as group:
        for name in "ab":
            group.create_task(run_sync(pair, name))


async def left_by_break() -> None:
    async with new_connection():
        async for _ in Author.objects.aiterator(chunk_size=3):
            break
        assert await Author.objects.acount() == ROWS


async def left_in_a_variable() -> None:
    """The connection goes back in the middle of its rows."""
    async with new_connection():
        rows = aiter(Author.objects.aiterator(chunk_size=3))
        await anext(rows)
        kept.append(rows)


async def left_by_aclose() -> None:
    async with new_connection(), transaction.atomic():
        rows = Author.objects.aiterator(chunk_size=3)
        async for _ in rows:
            break
        await rows.aclose()
        assert await Author.objects.acount() == ROWS


async def consumed() -> None:
    """A stream to its end, with other statements in the loop's body."""
    async with new_connection():
        seen = 0
        async for _ in Author.objects.aiterator(chunk_size=4):
            seen += 1
            if seen % 3 == 0:
                assert await Author.objects.acount() == ROWS
        assert seen == ROWS


async def in_chunks() -> None:
    async with new_connection():
        chunks = [chunk async for chunk in achunks(Author.objects.all(), 4)]
        assert [len(chunk) for chunk in chunks] == [4, 4, 2]


async def in_chunks_left() -> None:
    """The generator is closed in a transaction that goes on."""
    async with new_connection(), transaction.atomic():
        await Tag.objects.acreate(name="new")
        chunks = achunks(Author.objects.all(), 4)
        async for chunk in chunks:
            assert len(chunk) == 4
            break
        await chunks.aclose()
        assert await Author.objects.acount() == ROWS


async def copied_out() -> None:
    file = io.BytesIO()
    async with new_connection():
        assert await acopy_to(Author.objects.all(), file, header=False) == ROWS
        assert await Author.objects.acount() == ROWS
    assert file.getvalue().count(b"\n") == ROWS


async def copied_out_in_pieces() -> None:
    """A copy that is left in a transaction, which goes on."""
    async with new_connection(), transaction.atomic():
        await Tag.objects.acreate(name="new")
        async for _ in acopy_chunks(Author.objects.all()):
            break
        assert await Author.objects.acount() == ROWS


async def copied_out_and_kept() -> None:
    """The connection goes back in the middle of a copy."""
    async with new_connection():
        pieces = acopy_chunks(Author.objects.all())
        await anext(pieces)
        kept.append(pieces)


async def copied_in() -> None:
    async def rows() -> AsyncIterator[tuple[str]]:
        for i in range(ROWS):
            await asyncio.sleep(0)
            yield (f"new{i}",)

    async with new_connection():
        assert not await Tag.objects.aexists()
        assert await acopy_from(Tag, rows(), ["name"]) == ROWS


async def copied_in_from_a_file() -> None:
    lines = "".join(f"new{i}\n" for i in range(ROWS))
    async with new_connection(), transaction.atomic():
        assert await acopy_from(Tag, io.StringIO(f"name\n{lines}")) == ROWS


async def copied_by_a_cursor() -> None:
    async with new_connection() as conn, conn.acursor() as cursor:
        async with cursor.copy("COPY testapp_author TO STDOUT") as copy:
            async for _ in copy:
                pass
        async with cursor.copy("COPY testapp_tag (name) FROM STDIN") as copy:
            await copy.write_row(["new"])


async def checkout_and_return() -> None:
    async with new_connection() as conn, conn.acursor() as cursor:
        await cursor.execute("SELECT 1")


async def committing() -> None:
    async with new_connection():
        async with transaction.atomic():
            await Tag.objects.acreate(name="new")
            transaction.on_commit(lambda: called.append("sync"))
            transaction.on_commit(_callback)
        assert called == ["sync", "async"]


async def _callback() -> None:
    # The transaction has been committed: others see it.
    assert await Tag.objects.filter(name="new").aexists()
    await asyncio.sleep(0)
    called.append("async")


async def manual() -> None:
    """Autocommit off, and left so."""
    async with new_connection() as conn:
        await transaction.aset_autocommit(False)
        await Tag.objects.acreate(name="new")
        await conn.acommit()
        await Tag.objects.acreate(name="left over")


# Iterators that outlive their blocks.
kept: list[Any] = []

# Functions of on_commit() that have run.
called: list[str] = []

TAGS = "SELECT coalesce(string_agg(name, ',' ORDER BY name), '') FROM testapp_tag"
NOVELS = (
    "SELECT count(*) || ',' || (SELECT count(*) FROM testapp_book) FROM testapp_novel"
)
ALL_NEW = ",".join(f"new{i}" for i in range(ROWS))

# What the server may hold afterwards: nothing of it, or all.
SCENARIOS: dict[Scenario, tuple[str, tuple[str, ...]]] = {
    get: (TAGS, ("",)),
    save: (NOVELS, ("0,0", "1,1")),
    bulk_create: (TAGS, ("", ALL_NEW)),
    bulk_update: (TAGS, ("", ALL_NEW)),
    found_by_many_keys: (TAGS, ("",)),
    deleted_by_many_keys: (TAGS, ("", "new")),
    get_or_create: (TAGS, ("", "new")),
    nested: (TAGS, ("", "a,c")),
    siblings: (TAGS, ("", "a,b,c")),
    units: (TAGS, ("", "a1,a2", "b1,b2", "a1,a2,b1,b2")),
    left_by_break: (TAGS, ("",)),
    left_in_a_variable: (TAGS, ("",)),
    left_by_aclose: (TAGS, ("",)),
    consumed: (TAGS, ("",)),
    in_chunks: (TAGS, ("",)),
    in_chunks_left: (TAGS, ("", "new")),
    copied_out: (TAGS, ("",)),
    copied_out_in_pieces: (TAGS, ("", "new")),
    copied_out_and_kept: (TAGS, ("",)),
    copied_in: (TAGS, ("", ALL_NEW)),
    copied_in_from_a_file: (TAGS, ("", ALL_NEW)),
    copied_by_a_cursor: (TAGS, ("", "new")),
    checkout_and_return: (TAGS, ("",)),
    committing: (TAGS, ("", "new")),
    manual: (TAGS, ("", "new")),
}


def fill(watch: Watch) -> None:
    """Let the server hold ten authors and nothing else; no function has run."""
    called.clear()
    kept.clear()
    watch.connection.execute(
        "SET client_min_messages = error;"
        "TRUNCATE testapp_tag, testapp_book, testapp_author RESTART IDENTITY CASCADE"
    )
    names = ["first", *(f"author{i}" for i in range(1, ROWS))]
    watch.connection.execute(
        "INSERT INTO testapp_author (name) SELECT unnest(%s::text[])", [names]
    )

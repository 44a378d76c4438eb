"""ReplicaRouter: reads on replicas, and on the primary what has been written there.

The replica here is another database, with rows of its own: it says who has answered.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.signals import request_started
from django.db import connections, router, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings

from django_async_fast import new_connection, run_sync
from django_async_fast.replicas import ReplicaRouter, begin_on_replicas
from tests.support.sql import execute
from tests.testapp.models import Author, Book, Tag


@pytest.fixture(autouse=True)
def routed() -> Iterator[None]:
    close()
    for alias in ("default", "other"):
        tag = Tag.objects.using(alias).create(pk=1000, name=alias)
        assert tag.pk == 1000
    close()
    with override_settings(
        DATABASE_ROUTERS=["django_async_fast.replicas.ReplicaRouter"],
        DJANGO_ASYNC_FAST={"REPLICAS": ["other"]},
    ):
        yield
    close()


def close() -> None:
    """Close this thread's connections, and forget how they were used."""
    for alias in ("default", "other"):
        connections[alias].close()
        del connections[alias]


def read() -> str:
    """Return who answers."""
    return Tag.objects.get(pk=1000).name


def new() -> str:
    return uuid4().hex


def by_sql() -> None:
    execute("UPDATE testapp_tag SET name = 'x' WHERE id = 7")


def by_lock() -> None:
    with transaction.atomic():
        list(Tag.objects.select_for_update())


def by_failing() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Tag.objects.create(name=new())
        raise ZeroDivisionError


Way = Callable[[], Any]
WAYS: dict[str, Way] = {
    "save": lambda: Tag(name=new()).save(),
    "update": lambda: Tag.objects.filter(pk=7).update(name="x"),
    "delete": lambda: Tag.objects.filter(pk=7).delete(),
    "bulk_create": lambda: Tag.objects.bulk_create([Tag(name=new())]),
    "get_or_create": lambda: Tag.objects.get_or_create(name=new()),
    "using": lambda: Tag.objects.using("default").filter(pk=7).update(name="x"),
    "sql": by_sql,
    "lock": by_lock,
    "failing": by_failing,
}
each_way = pytest.mark.parametrize("write", WAYS.values(), ids=WAYS)
known = pytest.mark.parametrize("known", [False, True], ids=["first", "known"])


def learn(write: Way) -> None:
    for _ in range(3):
        for alias in ("default", "other"):
            Tag.objects.using(alias).get(pk=1000)
        write()
    Tag.objects.using("default").exclude(pk=1000).delete()


@each_way
@known
def test_in_synchronous_code(write: Way, known: bool) -> None:
    if known:
        learn(write)
        begin_on_replicas()
    assert read() == "other"
    assert read() == "other"
    write()
    assert read() == "default"
    assert Tag.objects.filter(pk=1000).values_list("name").get() == ("default",)
    request_started.send(sender=None)
    assert read() == "other"
    write()
    assert read() == "default"


@each_way
@known
async def test_in_a_block(write: Way, known: bool) -> None:
    async with new_connection():
        if known:
            await run_sync(learn, write)
    for _ in range(2):
        async with new_connection():
            assert (await Tag.objects.aget(pk=1000)).name == "other"
            await run_sync(write)
            assert (await Tag.objects.aget(pk=1000)).name == "default"
            assert await run_sync(read) == "default"
            found = [tag.name async for tag in Tag.objects.filter(pk=1000)]
            assert found == ["default"]
        async with new_connection():
            assert await run_sync(read) == "other"
            await Tag.objects.using("default").exclude(pk=1000).adelete()


def test_a_write_before_the_first_read() -> None:
    by_sql()
    assert read() == "default"
    begin_on_replicas()
    assert read() == "other"


def test_threads_are_each_their_own() -> None:
    def in_another_thread() -> list[str]:
        found = [read()]
        by_sql()
        found.append(read())
        close()
        return found

    by_sql()
    with ThreadPoolExecutor() as other:
        assert other.submit(in_another_thread).result() == ["other", "default"]
    assert read() == "default"


def test_in_a_transaction_all_is_read_there() -> None:
    assert read() == "other"
    with transaction.atomic():
        assert read() == "default"
    assert read() == "default"


async def test_in_a_transaction_of_a_block_all_is_read_there() -> None:
    async with new_connection():
        assert await run_sync(read) == "other"
        async with transaction.atomic():
            await Tag.objects.acreate(name=new())
            assert await run_sync(read) == "default"


async def test_tasks_of_a_block_read_what_one_has_written() -> None:
    async with new_connection():
        written = asyncio.Event()

        async def reads() -> list[str]:
            before = await run_sync(read)
            await written.wait()
            return [before, await run_sync(read)]

        task = asyncio.create_task(reads())
        await asyncio.sleep(0.05)
        await Tag.objects.acreate(name=new())
        written.set()
        assert await task == ["other", "default"]


@pytest.mark.parametrize("lose", ["close", "_discard"])
async def test_a_block_stays_when_its_connection_is_gone(lose: str) -> None:
    async with new_connection() as conn:
        await Tag.objects.acreate(name=new())
        await run_sync(getattr(conn, lose))
        assert await run_sync(read) == "default"


async def test_a_thread_of_a_block_reads_as_the_block() -> None:
    async with ThreadSensitiveContext(), new_connection():
        assert await sync_to_async(read)() == "other"
        await Tag.objects.acreate(name=new())
        assert await sync_to_async(read)() == "default"


async def test_one_replica_for_a_block() -> None:
    with override_settings(
        DJANGO_ASYNC_FAST={"REPLICAS": ["other", "pooled", "third"]}
    ):
        for _ in range(10):
            async with new_connection("other"):
                await Tag.objects.using("other").aget(pk=1000)
                assert {router.db_for_read(Tag) for _ in range(10)} == {"other"}


def test_related_objects_follow() -> None:
    for alias in ("default", "other"):
        author = Author.objects.using(alias).create(pk=1000, name=alias)
        Book.objects.using(alias).create(pk=1000, title=alias, author=author)
    begin_on_replicas()
    book = Book.objects.get(pk=1000)
    assert (book._state.db, book.author.name) == ("other", "other")
    assert [each.title for each in book.author.books.all()] == ["other"]
    book.title = "saved"
    book.save()
    assert Book.objects.using("default").get(pk=1000).title == "saved"
    assert Book.objects.using("other").get(pk=1000).title == "other"
    assert book.author == Author.objects.using("default").get(pk=1000)
    stale = Author(pk=1000)
    stale._state.db = "other"
    book.author = stale
    assert ReplicaRouter().allow_relation(book, stale)


def test_it_leaves_other_databases_and_migrations_alone() -> None:
    ours = ReplicaRouter()
    tag = Tag()
    tag._state.db = "pooled"
    assert ours.db_for_read(Tag, instance=tag) is None
    assert ours.db_for_write(Tag, instance=tag) is None
    assert ours.allow_relation(tag, Tag()) is None
    assert ours.allow_migrate("other", "testapp") is False
    assert ours.allow_migrate("default", "testapp") is None
    assert router.allow_migrate_model("other", Tag) is False


def test_without_replicas_it_decides_nothing() -> None:
    with override_settings(DJANGO_ASYNC_FAST={}):
        assert ReplicaRouter().db_for_read(Tag) is None
        assert read() == "default"


def test_who_watches_the_primary_sees_what_it_is_asked() -> None:
    assert read() == "other"
    with CaptureQueriesContext(connections["default"]) as seen:
        by_sql()
        read()
    assert len(seen) == 2
    assert "cursor" not in vars(connections["default"])


def test_a_request_begins_on_the_replica() -> None:
    by_sql()
    assert read() == "default"
    Client(raise_request_exception=False).get("/nothing-here/")
    assert read() == "other"

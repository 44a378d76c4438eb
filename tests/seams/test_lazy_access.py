"""Lazy relations in coroutines: where they wait, where they are refused, N + 1."""

import asyncio
import logging
from typing import Any

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import transaction
from django.db.models.signals import post_save

import django_async_fast
from django_async_fast import new_connection
from django_async_fast.seams import lazy_access
from tests.support.signals import receiving
from tests.testapp.models import Author, Book, Tag


async def make(n: int = 6) -> None:
    async with new_connection():
        authors = [await Author.objects.acreate(name=f"author {i}") for i in range(n)]
        await Book.objects.abulk_create(
            Book(title=f"book {i}", author=author) for i, author in enumerate(authors)
        )


async def names() -> list[str]:
    books = [book async for book in Book.objects.order_by("title")]
    return [book.author.name for book in books]


EXPECTED = [f"author {i}" for i in range(6)]


async def test_a_decorated_function() -> None:
    await make()
    assert await new_connection()(names)() == EXPECTED


def test_run() -> None:
    async def main() -> list[str]:
        await make()
        with pytest.raises(SynchronousOnlyOperation):  # no block, nobody to wait for
            Book.objects.get(title="book 0")
        async with new_connection():
            assert Book.objects.get(title="book 0").title == "book 0"
            return await names()

    assert django_async_fast.run(main()) == EXPECTED


async def test_where_nobody_drives_it_is_refused() -> None:
    await make()
    async with new_connection():
        with pytest.raises(
            SynchronousOnlyOperation, match=r"Book\.author is not loaded"
        ):
            await names()


async def test_the_setting(settings_override: Any) -> None:
    settings_override(DJANGO_ASYNC_FAST={"LAZY": "refuse"})
    await make()
    with pytest.raises(SynchronousOnlyOperation, match=r"Book\.author is not loaded"):
        await new_connection()(names)()


async def test_what_waits_is_in_the_transaction() -> None:
    order: list[Any] = []

    async def saved(instance: Any, **kwargs: Any) -> None:
        order.append(await Tag.objects.acount())

    @new_connection()
    async def work() -> None:
        async with transaction.atomic():
            Tag(name="a").save()
            await Tag.objects.acreate(name="b")
            order.append(Tag.objects.count())
            transaction.on_commit(lambda: order.append("commit"))
            order.append("in")
        order.append("out")
        try:
            async with transaction.atomic():
                Tag(name="c").save()
                raise KeyError
        except KeyError:
            order.append([tag.name for tag in Tag.objects.order_by("name")])

    with receiving(saved, post_save, sender=Tag):
        await work()
    assert order == [1, 2, 2, "in", "commit", "out", 3, ["a", "b"]]


async def test_many_at_once_and_cancelled() -> None:
    await make()

    @new_connection()
    async def work(i: int) -> list[str]:
        found = []
        for _ in range(3):
            found += [Book.objects.get(title=f"book {i % 6}").author.name]
            await asyncio.sleep(0)
        return found

    tasks = [asyncio.create_task(work(i)) for i in range(12)]
    await asyncio.sleep(0.01)
    for task in tasks[::3]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    for i, result in enumerate(done):
        if not isinstance(result, asyncio.CancelledError):
            assert result == [f"author {i % 6}"] * 3


# ----- N + 1


@pytest.fixture
def debug(settings_override: Any) -> None:
    settings_override(DEBUG=True)
    lazy_access._reported.clear()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and "for each instance" in record.msg
    ]


async def test_a_relation_loaded_one_by_one_is_named_once(
    debug: None, caplog: pytest.LogCaptureFixture
) -> None:
    await make()
    for _ in range(2):
        await new_connection()(names)()
    (message,) = told(caplog)
    line = names.__code__.co_firstlineno + 2
    assert message.startswith(f"{__file__}:{line} loads Book.author with a query")
    assert "`.select_related('author')`" in message


async def test_a_manager_too(debug: None, caplog: pytest.LogCaptureFixture) -> None:
    await make()

    @new_connection()
    async def work() -> None:
        async for author in Author.objects.all():
            assert len(author.books.all()) == 1

    await work()
    (message,) = told(caplog)
    assert "loads Author.books with a query" in message
    assert "`.prefetch_related('books')`" in message


async def test_what_is_not_told(
    debug: None, caplog: pytest.LogCaptureFixture, settings_override: Any
) -> None:
    await make()

    @new_connection()
    async def few() -> None:
        book = await Book.objects.afirst()
        for _ in range(10):  # one instance
            await book.arefresh_from_db()
            assert book.author
        for _ in range(10):  # no relation
            assert Book.objects.count()
        async for book in Book.objects.select_related("author"):
            assert book.author

    await few()
    settings_override(DEBUG=False)
    await new_connection()(names)()
    assert told(caplog) == []

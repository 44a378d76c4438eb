"""alist, achunks and explain_plan."""

from collections.abc import AsyncIterator

import pytest
from django.db.models import Count
from django.test.utils import CaptureQueriesContext

from django_async_fast import (
    achunks,
    alist,
    bridge,
    explain_plan,
    new_connection,
    run_sync,
)
from tests.support.noted import noted
from tests.support.sql import execute
from tests.testapp.models import Author, Book, OwnFromDb, Tag


async def numbers(count: int) -> AsyncIterator[int]:
    for i in range(count):
        yield i


async def test_alist_of_any_async_iterable() -> None:
    assert await alist(numbers(3)) == [0, 1, 2]


async def test_alist_of_a_queryset_is_one_bridge_call() -> None:
    async with new_connection() as conn:
        await Tag.objects.abulk_create(Tag(name=str(i)) for i in range(5))
        with noted(bridge, "run") as calls, CaptureQueriesContext(conn) as queries:
            assert len(await alist(Tag.objects.all())) == 5
        assert len(calls) == len(queries) == 1


@pytest.mark.parametrize("size", [1, 2, 5, 7])
async def test_achunks(size: int) -> None:
    async with new_connection():
        await Tag.objects.abulk_create(Tag(name=str(i)) for i in range(5))
        names = [str(i) for i in range(5)]
        expected = [names[i : i + size] for i in range(0, 5, size)]
        queryset = Tag.objects.order_by("name").values_list("name", flat=True)
        assert [chunk async for chunk in achunks(queryset, size)] == expected
        everything = [i async for chunk in achunks(numbers(5), size) for i in chunk]
        assert everything == list(range(5))


async def test_achunks_prefetches_and_can_be_left() -> None:
    async with new_connection():
        author = await Author.objects.acreate(name="a")
        for i in range(4):
            await Book.objects.acreate(title=str(i), author=author)
        chunks = achunks(Book.objects.prefetch_related("tags"), 2)
        first = await anext(chunks)
        assert all(book._prefetched_objects_cache["tags"] is not None for book in first)
        await chunks.aclose()
        assert await run_sync(execute, "SELECT FROM pg_cursors") == []


async def test_achunks_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="positive"):
        await anext(achunks(numbers(1), 0))


@pytest.mark.core
def test_explain_plan_of_instances() -> None:
    books = Book.objects.select_related("author").annotate(n=Count("tags"))
    list(books)  # the types of its columns are known when they have been read
    found = explain_plan(books)
    assert found.binary
    assert found.instances == {"Book": "", "Author": ""}
    assert "price: DecimalField, numeric(10, 2)" in str(found)
    assert "author_id: BigAutoField, bigint" in str(found)
    assert "instances of Author: filled directly" in str(found)


@pytest.mark.core
def test_explain_plan_says_why() -> None:
    assert "from_db() is overridden" in str(explain_plan(OwnFromDb.objects.all()))
    tags = Tag.objects.extra(select={"x": "'1'::money"})
    assert "known when it has been read once" in str(explain_plan(tags))
    list(tags)
    assert not explain_plan(tags).binary
    assert "only read as text" in str(explain_plan(tags))
    union = Tag.objects.values("name").union(Author.objects.values("name"))
    assert explain_plan(union).why_django

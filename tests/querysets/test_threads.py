"""Many threads in the core at once, each on a synchronous connection of its own."""

import asyncio
import datetime as dt
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from django_async_fast import new_connection
from tests.testapp.models import Author, Book

pytestmark = pytest.mark.keep_rows

THREADS = 8
BOOKS = 600

WAYS: dict[str, Callable[[Any], list[Any]]] = {
    "list": lambda books: [facts(book) for book in books],
    "iterator": lambda books: [facts(book) for book in books.iterator(chunk_size=50)],
    "dicts": lambda books: list(books.values()),
    "tuples": lambda books: list(books.values_list().iterator(chunk_size=70)),
    "flat": lambda books: list(books.values_list("title", flat=True)),
    "named": lambda books: list(books.values_list("id", "price", named=True)),
    "left half-way": lambda books: [next(iter(books.iterator(chunk_size=10))).pk],
}


def facts(book: Book) -> tuple[Any, ...]:
    assert book._state.db == "default"
    return book.pk, book.title, book.price, book.published, book.author.name


@pytest.fixture(scope="module", autouse=True)
def _books(dsn: str) -> None:
    author = Author.objects.create(name="Ada")
    Book.objects.bulk_create(
        Book(
            title=f"Book {i}",
            pages=i,
            price=Decimal(i) / 4,
            published=dt.date(2000, 1, 1) + dt.timedelta(days=i),
            author=author,
        )
        for i in range(BOOKS)
    )


@pytest.fixture
def _restless() -> Iterator[None]:
    """Threads take turns every few bytecodes."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def books() -> Any:
    return Book.objects.select_related("author").order_by("pk")


def in_thread(way: str) -> list[Any]:
    try:
        return WAYS[way](books())
    finally:
        connection.close()


@pytest.mark.usefixtures("_restless")
def test_every_thread_reads_the_same_as_one_alone() -> None:
    expected = {way: read(books()) for way, read in WAYS.items()}
    assert len(expected["list"]) == BOOKS
    ways = [*WAYS] * THREADS
    with ThreadPoolExecutor(THREADS) as pool:
        for way, got in zip(ways, pool.map(in_thread, ways), strict=True):
            assert got == expected[way], way


async def read_in_blocks() -> list[Any]:
    async def read() -> list[Any]:
        async with new_connection():
            return [facts(book) async for book in books().aiterator(chunk_size=50)]

    return [*await asyncio.gather(*[read() for _ in range(3)])]


@pytest.mark.usefixtures("_restless")
def test_event_loops_in_threads_beside_synchronous_threads() -> None:
    expected = WAYS["list"](books())
    with ThreadPoolExecutor(THREADS) as pool:
        half = range(THREADS // 2)
        loops = [pool.submit(asyncio.run, read_in_blocks()) for _ in half]
        plain = [pool.submit(in_thread, "iterator") for _ in half]
        for future in plain:
            assert future.result() == expected
        for loop in loops:
            assert loop.result() == [expected] * 3

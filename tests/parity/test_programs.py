"""Routers, fetch modes and the log of queries: the same in a block as outside."""

import logging
from collections.abc import Iterator
from typing import Any

import django
import psycopg
import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections, transaction
from django.db.models import Prefetch
from django.test import override_settings

from tests.support.describe import NUMBERED
from tests.support.programs import Do
from tests.support.sync_and_async import ALIASES, in_a_block, synchronously
from tests.testapp.models import Author, Book, Tag

pytestmark = pytest.mark.usefixtures("equal_beginnings")

TABLES = "testapp_author, testapp_book, testapp_tag"


@pytest.fixture
def equal_beginnings(dsn: str, other_dsn: str) -> Iterator[Any]:
    """Yield a function that empties the tables and restarts their counters."""
    yield lambda: [_empty(each) for each in (dsn, other_dsn)]
    connections.close_all()


def _empty(dsn: str) -> None:
    connections.close_all()
    ContentType.objects.clear_cache()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")


def same(program: Any, empty: Any) -> list[Any]:
    """Assert that both runs agree; return what they did."""
    empty()
    expected = synchronously(program)
    empty()
    assert in_a_block(program) == expected
    return expected


# ----- routers


class Replica:
    """Reads go elsewhere than writes, unless an object says where it is from."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        instance = hints.get("instance")
        return instance._state.db if instance and instance._state.db else "other"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, one: Any, two: Any, **hints: Any) -> bool | None:
        return one._state.db == two._state.db


async def reading_and_writing(do: Do) -> None:
    author = await do(Author.objects, "create", name="a")
    await do(Author.objects, "get", name="a")  # not there
    await do(Author.objects.using("default"), "get", name="a")
    await do(Author.objects, "get_or_create", name="a")
    await do(Author.objects, "update_or_create", name="a", defaults={"name": "b"})
    await do(Author.objects, "bulk_create", [Author(name="c"), Author(name="d")])
    await do(Author.objects.filter(name="c"), "update", name="e")
    await do(Author.objects.order_by("pk"), "iterate")
    await do(Author.objects.using("default").order_by("pk"), "iterate")
    await do(author, "refresh_from_db")
    await do(author.books, "create", title="t")
    await do(author.books.all(), "iterate")
    await do(author, "delete")


async def relations_across_databases(do: Do) -> None:
    here = await do(Author.objects, "create", name="here")
    there = await do(Author.objects.using("other"), "create", name="there")
    await do(lambda: Book(title="t", author=there).author.name)
    await do(Book(title="t", author_id=here.pk), "save")
    book = await do(Book.objects.using("default"), "get", title="t")
    await do(lambda: setattr(book, "author", there))
    tag = await do(Tag.objects.db_manager("other"), "create", name="tag")
    await do(book.tags, "add", tag)
    await do(book.tags, "create", name="mine")
    await do(book.tags.all(), "iterate")
    await do(there, "save", using="default")
    await do(Author.objects.using("default").order_by("pk"), "iterate")


async def prefetching(do: Do) -> None:
    for alias in ALIASES:
        author = await do(Author.objects.using(alias), "create", name=alias)
        await do(Book.objects.using(alias), "create", title=alias, author=author)
    await do(Author.objects.prefetch_related("books__tags"), "iterate")
    by_name = Prefetch("books", Book.objects.using("default").order_by("title"))
    await do(Author.objects.using("other").prefetch_related(by_name), "iterate")
    await do(Book.objects.select_related("author"), "iterate")


@pytest.mark.parametrize(
    "program", [reading_and_writing, relations_across_databases, prefetching]
)
def test_routers(program: Any, equal_beginnings: Any) -> None:
    with override_settings(DATABASE_ROUTERS=[Replica()]):
        done = same(program, equal_beginnings)
    assert {step[0] for step in done} >= set(ALIASES)


# ----- fetch modes


async def some_books(do: Do) -> None:
    for name in ("a", "b", "c"):
        author = await do(Author.objects, "create", name=name)
        await do(Book.objects, "create", title=name, author=author)


async def peers(do: Do) -> None:
    from django.db.models import FETCH_PEERS

    await some_books(do)
    books = Book.objects.fetch_mode(FETCH_PEERS).defer("price").order_by("pk")
    found = await do(books, "iterate")
    await do(lambda: [book.author.name for book in found])
    await do(lambda: [book.price for book in found])
    # A peer that has gone is not fetched for.
    found = await do(books, "iterate")
    found.pop()
    await do(lambda: [book.author.mentor for book in found])


async def raising(do: Do) -> None:
    from django.db.models import FETCH_RAISE

    await some_books(do)
    books = Book.objects.fetch_mode(FETCH_RAISE).defer("price").order_by("pk")
    book = await do(books, "first")
    await do(lambda: book.author)
    await do(lambda: book.price)
    await do(books.select_related("author"), "iterate")
    await do(books.prefetch_related("tags"), "iterate")
    await do(book, "refresh_from_db")


@pytest.mark.skipif(django.VERSION < (6, 1), reason="fetch modes are Django 6.1's")
@pytest.mark.parametrize("program", [peers, raising])
def test_fetch_modes(program: Any, equal_beginnings: Any) -> None:
    done = same(program, equal_beginnings)
    blocked = [step for step in done if "Blocked" in getattr(step[1], "__name__", "")]
    assert len(blocked) == (2 if program is raising else 0)


# ----- the log of queries


async def logged(do: Do) -> None:
    author = await do(Author.objects, "create", name="é")
    await do(Tag.objects, "bulk_create", [Tag(name=str(i)) for i in range(3)])
    await do(Tag.objects, "create", name="1")  # there is one
    await do(Tag.objects.filter(name__in=["1", "2"]), "iterate")
    await do(lambda: list(Tag.objects.order_by("pk").iterator(chunk_size=2)))
    await do(author, "delete")
    await do(in_atomic_blocks)


def in_atomic_blocks() -> None:
    with transaction.atomic(), transaction.atomic():
        Tag.objects.create(name="in a savepoint")


def test_the_log_of_queries(
    equal_beginnings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    kept = []
    for run in (synchronously, in_a_block):
        equal_beginnings()
        caplog.clear()
        with (
            caplog.at_level(logging.DEBUG, "django.db.backends"),
            override_settings(DEBUG=True),
        ):
            run(logged)
        # All but the time it took.
        said: Any = [(record.levelname, *record.args[1:]) for record in caplog.records]  # type: ignore[index]
        kept.append([(NUMBERED.sub("#", sql), repr(rest)) for _, sql, *rest in said])
    assert kept[0] == kept[1]
    assert {"BEGIN", "COMMIT"} < {sql for sql, _ in kept[0]}

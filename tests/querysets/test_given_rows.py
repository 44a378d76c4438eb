"""from_rows(): a queryset's objects from rows of other drivers."""

import datetime as dt
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
from django.db.models import Count, F, QuerySet
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from django_async_fast import alist, from_rows, new_connection
from django_async_fast.querysets import given_rows
from tests.support.describe import described as told
from tests.support.other_databases import other_database
from tests.support.sql import execute
from tests.testapp.models import Author, Book, Everything, OwnFromDb, Tag

pytestmark = pytest.mark.usefixtures("books")

QUERYSETS: dict[str, Any] = {
    "all": lambda: Book.objects.all(),
    "select_related": lambda: Book.objects.select_related(
        "author__mentor", "publisher"
    ),
    "reverse": lambda: Author.objects.select_related("profile"),
    "only": lambda: Book.objects.only("title", "author__name").select_related("author"),
    "annotated": lambda: Book.objects.annotate(n=Count("tags"), double=F("pages") * 2),
    "values": lambda: Book.objects.values("title", "author__name"),
    "values_list": lambda: Book.objects.values_list("title", "price"),
    "flat": lambda: Book.objects.values_list("price", flat=True),
    "named": lambda: Book.objects.values_list("title", "price", named=True),
    "union": lambda: Book.objects.values("title").union(Author.objects.values("name")),
    "everything": lambda: Everything.objects.all(),
    "own from_db": lambda: OwnFromDb.objects.all(),
    "related": lambda: Author.objects.get(name="a").books.all(),
}


@pytest.fixture
def books() -> None:
    mentor = Author.objects.create(name="m")
    author = Author.objects.create(name="a", mentor=mentor)
    Book.objects.create(title="x", author=author, price="1.50", published="2020-02-03")
    Book.objects.create(title="y", author=mentor, pages=3).tags.add(
        Tag.objects.create(name="t")
    )
    Everything.objects.create(
        json={"a": [1]}, datetime=dt.datetime(2020, 1, 2, tzinfo=dt.UTC),
        duration=dt.timedelta(days=1), time=dt.time(1), decimal="1.5", inet="::1",
        binary=b"\x00",
    )  # fmt: skip
    OwnFromDb.objects.create(name="o")


def described(objects: Any) -> list[Any]:
    return [told(each) for each in objects]


@pytest.mark.parametrize("plans", [given_rows.PLANS, {}], ids=["core", "django"])
@pytest.mark.parametrize("name", QUERYSETS)
def test_they_are_what_the_query_gives(
    name: str, plans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(given_rows, "PLANS", plans)
    queryset: QuerySet[Any] = QUERYSETS[name]()
    queryset = queryset.order_by("title" if name == "union" else "pk")
    rows = execute(*queryset.query.sql_with_params())
    found = [*from_rows(queryset, rows)]
    assert described(found) == described(queryset)
    assert [*map(type, found)] == [*map(type, queryset)]


async def test_asyncpgs_records_from_a_pool_of_its_own(dsn: str) -> None:
    names = {"dbname": "database"}
    where = {names.get(k, k): v for k, v in conninfo_to_dict(dsn).items()}
    books = Book.objects.select_related("author").order_by("pk")
    sql, _ = books.query.sql_with_params()
    async with asyncpg.create_pool(min_size=1, max_size=2, **where) as pool:
        found = [*from_rows(books, await pool.fetch(sql))]
        async with pool.acquire() as session, session.transaction():
            rows = session.cursor(sql)
            streamed = [each async for each in from_rows(books, rows)]
    async with new_connection():
        expected = described(await alist(books))
    assert described(found) == described(streamed) == expected
    assert {each.author.name for each in found} == {"a", "m"}
    assert found[0]._state.db == "default"
    assert not found[0]._state.adding


def test_sqlites_rows(tmp_path: Path) -> None:
    with other_database("sqlite", tmp_path) as alias:
        author = Author.objects.using(alias).create(name="s")
        Book.objects.using(alias).create(
            title="z", author=author, price="2.50", published="2021-01-02"
        )
        books = Book.objects.using(alias).select_related("author")
        with sqlite3.connect(tmp_path / alias) as session:
            session.row_factory = sqlite3.Row
            rows = session.execute(books.query.sql_with_params()[0]).fetchall()
        session.close()
        (book,) = from_rows(books, rows)
        assert described([book]) == described(books)
        assert book.published == dt.date(2021, 1, 2)


async def test_many_rows_come_as_they_are_asked_for() -> None:
    taken = 0

    def rows() -> Any:
        nonlocal taken
        for i in range(10_000):
            taken += 1
            yield (i, f"t{i}")

    found = from_rows(Tag.objects.all(), rows())
    assert next(found).pk == 0
    assert taken <= 500
    assert [tag.pk for tag in found] == [*range(1, 10_000)]

    async def arows() -> AsyncIterator[Any]:
        for row in rows():
            yield row

    assert len([tag async for tag in from_rows(Tag.objects.all(), arows())]) == 10_000


def test_rows_that_cannot_be(dsn: str) -> None:
    with pytest.raises(ValueError, match="3 values, the queryset 2 columns"):
        list(from_rows(Tag.objects.all(), [(1, "a"), (1, "a", 2)]))
    with psycopg.connect(dsn, row_factory=dict_row) as session:
        rows = session.execute("SELECT 1 AS id, 'a' AS name").fetchall()
    with pytest.raises(TypeError, match="not from a dict"):
        list(from_rows(Tag.objects.all(), rows))
    assert list(from_rows(Tag.objects.none(), [])) == []
    assert [tag.pk for tag in from_rows(Tag.objects.none(), [(1, "a")])] == [1]

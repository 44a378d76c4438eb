"""`Model.objects.raw()`: what Django's iterable makes, the core makes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.db.models.query import RawQuerySet
from django.test.utils import override_settings

from django_async_fast import alist, new_connection
from django_async_fast.querysets import raw
from tests.support.describe import Queries, described, outcome
from tests.testapp.models import (
    Author,
    Bestseller,
    Book,
    Everything,
    Novel,
    OwnFromDb,
    Profile,
    UuidKey,
)

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("library")]


@pytest.fixture
def library() -> None:
    author = Author.objects.create(pk=7, name="é")
    Profile.objects.create(pk=3, author=author, bio="b")
    for pk in (1, 2):
        Novel.objects.create(pk=pk, title="t", pages=pk, author=author, price="1.50")
    Everything.objects.create(pk=1, small=5, json={"a": [1]}, decimal="1.5")
    Everything.objects.create(pk=2, boolean=True, date="2001-02-03", inet="::1")


def all_of(make: Callable[[], RawQuerySet[Any]]) -> Any:
    with connection.execute_wrapper(queries := Queries()), transaction.atomic():
        found = outcome(lambda: [described(each) for each in make()])
        transaction.set_rollback(True)
    return found, queries


A, B = "testapp_author", "testapp_book"
QUERIES: dict[str, Callable[[], RawQuerySet[Any]]] = {
    "all columns": lambda: Book.objects.raw(f"SELECT * FROM {B} ORDER BY id"),
    "no rows": lambda: Book.objects.raw(f"SELECT * FROM {B} WHERE pages > 99"),
    "every type": lambda: Everything.objects.raw(
        "SELECT * FROM testapp_everything ORDER BY id"
    ),
    "parameters": lambda: Book.objects.raw(f"SELECT * FROM {B} WHERE id = %s", [2]),
    "named parameters": lambda: Book.objects.raw(
        f"SELECT * FROM {B} WHERE id = %(i)s", {"i": 2}
    ),
    "another order": lambda: Author.objects.raw(f"SELECT mentor_id, name, id FROM {A}"),
    "deferred": lambda: Author.objects.raw(f"SELECT id FROM {A}"),
    "annotations": lambda: Author.objects.raw(f"SELECT *, 1 AS one, 'x' AS pk FROM {A}"),
    "an annotation twice": lambda: Author.objects.raw(f"SELECT *, 1 n, 2 n FROM {A}"),
    "a column twice": lambda: Author.objects.raw(f"SELECT *, 'x' AS name FROM {A}"),
    "translations": lambda: Author.objects.raw(
        f"SELECT id, name AS said FROM {A}", translations={"said": "name", "no": "id"}
    ),
    "using": lambda: Author.objects.raw(f"SELECT * FROM {A}").using("default"),
    "prefetching": lambda: Author.objects.raw(f"SELECT * FROM {A}").prefetch_related(
        "books"
    ),
    "a child": lambda: Novel.objects.raw(
        f"SELECT * FROM {B} JOIN testapp_novel ON id = book_ptr_id ORDER BY id"
    ),
    "a proxy": lambda: Bestseller.objects.raw(f"SELECT * FROM {B} ORDER BY id"),
    "one to one": lambda: Profile.objects.raw("SELECT * FROM testapp_profile"),
    "its own from_db()": lambda: OwnFromDb.objects.raw(
        "SELECT 1 AS id, 'x' AS name, 2 AS more"
    ),
    "uuid": lambda: UuidKey.objects.raw(
        "SELECT '00000000-0000-0000-0000-000000000001'::uuid AS id, 'n' AS name"
    ),
    "psycopg's types": lambda: Author.objects.raw(
        f"SELECT id, '1 $'::money AS a, ROW(1) AS b, '{{1}}'::int[] AS c FROM {A}"
    ),
    "no key": lambda: Author.objects.raw(f"SELECT name FROM {A}"),
    "no rows at all": lambda: Author.objects.raw(f"UPDATE {A} SET name = 'x'"),
    "returning": lambda: Author.objects.raw(f"UPDATE {A} SET name = 'x' RETURNING *"),
    "returning no key": lambda: Author.objects.raw(
        f"INSERT INTO {A} (name) VALUES ('x') RETURNING name"
    ),
    "wrong": lambda: Author.objects.raw("SELECT * FROM nowhere"),
    "broken half-way": lambda: Author.objects.raw("SELECT 1 / (2 - id) FROM " + B),
    "not to be loaded": lambda: Everything.objects.raw(
        "SELECT id, 'infinity'::date AS date FROM testapp_everything"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", QUERIES)
def test_as_django_has_it(name: str, without_core: Any) -> None:
    with without_core():
        expected = all_of(QUERIES[name])
    assert all_of(QUERIES[name]) == expected


@pytest.mark.parametrize("name", QUERIES)
async def test_in_a_block(name: str, without_core: Any) -> None:
    async def found() -> Any:
        async with new_connection(force_rollback=True):
            try:
                return [described(each) for each in await alist(QUERIES[name]())]
            except Exception as exc:
                return [type(exc), str(exc)]

    with without_core():
        expected = await found()
    assert await found() == expected


def test_the_core_builds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw.iterate, "__wrapped__", None)  # Django's is not asked
    assert len(list(Book.objects.raw(f"SELECT * FROM {B}"))) == 2


def test_the_cursor_is_closed() -> None:
    for count in (1, 2, 3):
        books = Book.objects.raw(f"SELECT * FROM {B}")
        rows = iter(books.iterator())
        for _ in range(count):
            next(rows, None)
        rows.close()
        assert books.query.cursor.closed


def test_a_query_of_ones_own() -> None:
    class Once(models.sql.RawQuery):
        def __iter__(self) -> Any:
            self._execute_query()
            return iter([(7, "mine", None)])

    query = Once(f"SELECT * FROM {A}", "default")
    (author,) = RawQuerySet(query.sql, model=Author, query=query)
    assert author.name == "mine"


def test_the_router_is_asked_once_for_the_instances() -> None:
    class Fickle:
        chosen = itertools.chain(["default", "default"], itertools.repeat("other"))

        def db_for_read(self, model: Any, **hints: Any) -> str:
            return next(self.chosen)

    with override_settings(DATABASE_ROUTERS=[Fickle()]):
        (author,) = RawQuerySet(f"SELECT * FROM {A}", model=Author)
    assert author._state.db == "default"

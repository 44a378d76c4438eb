"""`get()` like one before: the same rows, errors and queries as Django's own."""

import itertools
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.db import DatabaseError, connection, models, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, Value
from django.db.models.lookups import Exact
from django.db.models.query import QuerySet
from django.db.models.signals import post_init
from django.shortcuts import get_object_or_404
from django.test import override_settings
from django.test.utils import CaptureQueriesContext, isolate_apps, register_lookup

from django_async_fast import new_connection, run_sync
from django_async_fast.querysets.compiled import execution as known_gets
from django_async_fast.querysets.compiled import tree
from tests.support.describe import Queries, described, outcome
from tests.support.signals import receiving
from tests.support.sql import execute
from tests.support.without_seams import without
from tests.testapp.models import (
    Author,
    Bestseller,
    Book,
    Everything,
    Novel,
    Profile,
    Publisher,
    Tag,
    UuidKey,
)

pytestmark = pytest.mark.core


@pytest.fixture
def library() -> Any:
    author = Author.objects.create(pk=7, name="o'neill \\ 50% é")
    Profile.objects.create(pk=3, author=author, bio="b")
    publisher = Publisher.objects.create(pk=2**40, name="p")
    for pk in (1, 2):
        Novel.objects.create(
            pk=pk, title="t", pages=pk, author=author, publisher=publisher
        )
    Everything.objects.create(pk=1, small=5, char="c", uuid=uuid.UUID(int=9), json="j")
    UuidKey.objects.create(pk=uuid.UUID(int=1), name="n")


def djangos_get() -> AbstractContextManager[None]:
    return without([(QuerySet, "get", known_gets.get)])


def all_of(get: Callable[[], Any]) -> Any:
    """Return all there is to know of a `get()`: its queries, and object or error."""
    queries = Queries()
    with connection.execute_wrapper(queries), transaction.atomic():
        return outcome(lambda: described(get())), queries


CALLS: dict[str, Callable[[], Any]] = {
    "a key": lambda: Author.objects.get(pk=7),
    "a key by its name": lambda: Author.objects.get(id=7),
    "a key as text": lambda: Author.objects.get(pk="7"),
    "a name": lambda: Author.objects.get(name="o'neill \\ 50% é"),
    "two fields": lambda: Author.objects.get(pk=7, name="o'neill \\ 50% é"),
    "two, in the other order": lambda: Author.objects.get(name="x", pk=7),
    "no row": lambda: Author.objects.get(pk=8),
    "two rows": lambda: Book.objects.get(title="t"),
    "more than Django counts": lambda: Book.objects.get(pages=0),
    "a foreign key": lambda: Profile.objects.get(author=7),
    "its column": lambda: Profile.objects.get(author_id=7),
    "a related object": lambda: Profile.objects.get(author=Author(pk=7)),
    "across a relation": lambda: Profile.objects.get(author__pk=7),
    "a child": lambda: Novel.objects.get(pk=1),
    "a parent's field": lambda: Novel.objects.get(pages=1),
    "a proxy": lambda: Bestseller.objects.get(pk=1),
    "after all()": lambda: Author.objects.all().get(pk=7),
    "after using()": lambda: Author.objects.using("default").get(pk=7),
    "after several": lambda: Author.objects.all().using("default").all().get(pk=7),
    "or 404": lambda: get_object_or_404(Author, pk=7),
    "or created": lambda: Author.objects.get_or_create(pk=7),
    "a manager with a filter": lambda: Book.in_shops.get(pk=1),
    "a queryset with a filter": lambda: Book.objects.long().get(pk=1),
    "a queryset with an order": lambda: Book.objects.order_by("title").get(pk=1),
    "select_related": lambda: Book.objects.select_related("author").get(pk=1),
    "prefetch_related": lambda: Book.objects.prefetch_related("tags").get(pk=1),
    "only": lambda: Book.objects.only("title").get(pk=1),
    "values": lambda: Book.objects.values("title").get(pk=1),
    "annotated": lambda: Book.objects.annotate(n=Value(1)).get(pk=1),
    "none": lambda: Book.objects.none().get(pk=1),
    "locked": lambda: Book.objects.select_for_update().get(pk=1),
    "distinct": lambda: Book.objects.distinct("pages").get(pages=1),
    "union": lambda: Book.objects.union(Book.objects.all()).get(),
    "sliced": lambda: Book.objects.all()[:1].get(pk=1),
    "through a relation": lambda: Author.objects.get(pk=7).books.get(pk=1),
    "small": lambda: Everything.objects.get(small=5),
    "too small": lambda: Everything.objects.get(small=-(2**40)),
    "too big": lambda: Everything.objects.get(small=2**40),
    "text for a number": lambda: Everything.objects.get(small="x"),
    "a number for text": lambda: Everything.objects.get(char=5),
    "text with a null byte": lambda: Everything.objects.get(char="\0"),
    "decimal": lambda: Everything.objects.get(decimal=5),
    "datetime": lambda: Everything.objects.get(datetime="2001-02-03T04:05:06Z"),
    "no date": lambda: Everything.objects.get(date="soon"),
    "uuid": lambda: Everything.objects.get(uuid=uuid.UUID(int=9)),
    "uuid as text": lambda: Everything.objects.get(uuid=str(uuid.UUID(int=9))),
    "no uuid": lambda: Everything.objects.get(uuid="9"),
    "uuid key": lambda: UuidKey.objects.get(pk=uuid.UUID(int=1)),
    "json": lambda: Everything.objects.get(json="j"),
    "json number": lambda: Everything.objects.get(json=1),
    "boolean": lambda: Everything.objects.get(boolean=1),
    "an enum": lambda: Author.objects.get(pk=models.IntegerChoices("C", {"A": 7}).A),
    "True": lambda: Author.objects.get(pk=True),
    "None": lambda: Author.objects.get(pk=None),
    "a float": lambda: Author.objects.get(pk=7.0),
    "another lookup": lambda: Author.objects.get(pk__gt=6),
    "exact": lambda: Author.objects.get(pk__exact=7),
    "an expression": lambda: Author.objects.get(pk=F("id")),
    "a subquery": lambda: Author.objects.get(Exists(Book.objects.filter(pk=1))),
    "a reference": lambda: list(
        Author.objects.filter(Exists(Book.objects.filter(author=OuterRef("pk"))))
    ),
    "Q": lambda: Author.objects.get(Q(pk=7)),
    "nothing": lambda: Author.objects.get(),
    "no such field": lambda: Author.objects.get(nome="x"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.usefixtures("library")
def test_as_django_has_it(name: str) -> None:
    with djangos_get():
        expected = all_of(CALLS[name])
    for _ in range(3):  # the first of its shape, and two by it
        assert all_of(CALLS[name]) == expected


def test_more_rows_than_django_counts(library: Any) -> None:
    author = Author.objects.get(pk=7)
    many = [Book(pk=pk, title="many", author=author) for pk in range(100, 130)]
    Book.objects.bulk_create(many)
    for _ in range(3):
        with pytest.raises(Book.MultipleObjectsReturned, match="more than 20"):
            Book.objects.get(title="many")


@pytest.mark.parametrize(
    "name", ["a key", "after all()", "after using()", "after several"]
)
@pytest.mark.usefixtures("library")
def test_built_once(name: str) -> None:
    for _ in range(4):
        CALLS[name]()  # all is forgotten if others had receivers of post_init
    tree.clear()
    for _ in "counted", "learnt":
        CALLS[name]()
    hits = tree.cache_info().hits
    for _ in range(3):
        assert CALLS[name]().pk == 7
    assert tree.cache_info().hits == hits + 3


def test_logged_as_djangos(library: Any) -> None:
    logged = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as queries:
            Author.objects.get(pk=7)
        logged.append([each["sql"] for each in queries])
    assert logged[0] == logged[1] == logged[2]
    assert len(logged[0]) == 1
    assert '"testapp_author"."id" = 7 ' in logged[0][0]


def test_a_broken_transaction(library: Any) -> None:
    Author.objects.get(pk=7)
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(transaction.TransactionManagementError):
            Author.objects.get(pk=7)


def test_an_error_of_the_server(library: Any) -> None:
    Author.objects.get(pk=7)
    execute("ALTER TABLE testapp_author RENAME TO hidden")
    try:
        with pytest.raises(DatabaseError, match="testapp_author") as caught:
            Author.objects.get(pk=7)
        assert caught.value.__cause__ is not None
    finally:
        execute("ALTER TABLE hidden RENAME TO testapp_author")
    assert Author.objects.get(pk=7).pk == 7


def test_a_receiver_of_post_init(library: Any) -> None:
    Author.objects.get(pk=7)
    seen = []

    def receiver(instance: Any, **kwargs: Any) -> None:
        seen.append(instance.pk)

    with receiving(receiver, post_init, sender=Author):
        Author.objects.get(pk=7)
    assert seen == [7]


def test_a_lookup_of_ones_own(library: Any) -> None:
    class Never(Exact):
        lookup_name = "exact"

        def as_sql(self, compiler: Any, connection: Any) -> Any:
            return "1 = 0", ()

    assert Author.objects.get(name="o'neill \\ 50% é").pk == 7
    with register_lookup(models.CharField, Never), pytest.raises(Author.DoesNotExist):
        Author.objects.get(name="o'neill \\ 50% é")
    assert Author.objects.get(name="o'neill \\ 50% é").pk == 7


def test_a_queryset_class_of_ones_own(library: Any) -> None:
    class Hiding(QuerySet[Any]):
        def filter(self, *args: Any, **kwargs: Any) -> Any:
            return super().filter(*args, **kwargs).exclude(pk=7)

    for _ in range(3):
        assert Author.objects.get(pk=7).pk == 7
        with pytest.raises(Author.DoesNotExist):
            Hiding(Author).get(pk=7)


def test_a_tool_that_replaces_filter(library: Any) -> None:
    Author.objects.get(pk=7)
    with mock.patch.object(QuerySet, "filter", autospec=True) as replaced:
        replaced.side_effect = ZeroDivisionError
        with pytest.raises(ZeroDivisionError):
            Author.objects.get(pk=7)


@isolate_apps("tests.testapp")
def test_a_field_that_comes_later(library: Any) -> None:
    class Late(models.Model):
        class Meta:
            app_label = "testapp"
            db_table = "testapp_author"

    for _ in range(2):
        assert not hasattr(Late.objects.get(pk=7), "name")
    models.CharField(max_length=100).contribute_to_class(Late, "name")
    assert Late.objects.get(pk=7).name.startswith("o'neill")


def test_a_value_that_becomes_null(library: Any) -> None:
    def get() -> Any:
        return Everything.objects.get(char="c")

    assert get().pk == 1
    with mock.patch.object(models.CharField, "get_prep_value", return_value=None):
        found, queries = all_of(get)
    assert found[0] is Everything.DoesNotExist
    assert '"char" IS NULL' in queries[0][0]


def test_a_queryset_that_is_changed_in_place(library: Any) -> None:
    if not hasattr(QuerySet, "_disable_cloning"):
        pytest.skip("Django 6.1")
    assert Author.objects.get(pk=7).pk == 7
    queryset = Author.objects.all()._disable_cloning()
    assert queryset.get(pk=7) is queryset[0]


def test_a_router_that_cannot_decide(library: Any) -> None:
    class Fickle:
        chosen = itertools.cycle(["default", "other", "other"])

        def db_for_read(self, model: Any, **hints: Any) -> str:
            return next(self.chosen)

    tree.clear()
    key = uuid.UUID(int=1)
    UuidKey.objects.using("other").create(pk=key, name="o")
    names = {"default": "n", "other": "o"}
    with override_settings(DATABASE_ROUTERS=[Fickle()]):
        for _ in range(20):
            found = UuidKey.objects.get(pk=key)
            assert found.name == names[found._state.db]


def test_the_alias_counts(library: Any) -> None:
    for _ in range(2):
        assert Author.objects.get(pk=7)._state.db == "default"
        with pytest.raises(Author.DoesNotExist):
            Author.objects.using("other").get(pk=7)


# ----- numbers, as psycopg quotes them


@pytest.mark.parametrize("pk", [0, 7, -7, 2**31, -(2**63), 2**63 - 1])
async def test_numbers_are_quoted_as_psycopg_does(pk: int) -> None:
    async with new_connection() as conn:
        for _ in range(3):
            with pytest.raises(Tag.DoesNotExist):
                await Tag.objects.aget(pk=pk)
        sent = "SELECT query FROM pg_stat_activity WHERE pid = %s"
        pid = conn.connection.info.backend_pid
        async with new_connection():
            ((query,),) = await run_sync(execute, sent, [pid])
    literal = psycopg.sql.Literal(pk).as_string(None)
    assert f'"id" = {literal} ' in query


async def test_a_dumper_of_ones_own_is_asked() -> None:
    class Doubling(psycopg.adapt.Dumper):
        def dump(self, obj: int) -> bytes:
            return b"%d" % (2 * obj)

        def quote(self, obj: int) -> bytes:
            return self.dump(obj)

    await run_sync(Tag.objects.create, pk=42, name="double")
    try:
        async with new_connection() as conn:
            for _ in range(2):
                assert (await Tag.objects.aget(pk=42)).name == "double"
            conn.connection.adapters.register_dumper(int, Doubling)
            for _ in range(2):
                assert (await Tag.objects.aget(pk=21)).name == "double"
    finally:
        await run_sync(Tag.objects.filter(pk=42).delete)


def test_first_and_last_are_those_that_django_finds_each_time() -> None:
    author = Author.objects.create(name="a")
    for pages in range(3):
        Book.objects.create(title=f"t{2 - pages}", pages=pages, author=author)
    books = Book.objects.filter(pages__gte=1)
    cases: dict[str, tuple[Callable[[], Any], Any]] = {
        "by key": (lambda: books.all().first().pages, 1),
        "its last": (lambda: books.all().last().pages, 2),
        "ordered": (lambda: books.order_by("title").first().pages, 2),
        "reversed": (lambda: books.order_by("title").reverse().first().pages, 1),
        "of other values": (lambda: Book.objects.filter(pages__gte=2).first().pages, 2),
        "values": (lambda: books.values_list("pages", flat=True).last(), 2),
        "none": (lambda: Book.objects.filter(pages__gte=9).first(), None),
        "of a slice": (lambda: books.order_by("pages")[1:].first().pages, 2),
        "related": (lambda: author.books.filter(pages__gte=2).first().author, author),
        "prefetching": (
            lambda: {*books.prefetch_related("tags").first()._prefetched_objects_cache},
            {"tags"},
        ),
    }
    for name, (ask, wanted) in cases.items():
        for _ in range(6):
            assert ask() == wanted, name
    kept = books.order_by("title")
    assert [kept.first().pages for _ in range(6)] == [2] * 6
    assert [book.pages for book in kept] == [2, 1]
    with CaptureQueriesContext(connection) as queries:
        assert kept.first().pages == 2
    assert not queries.captured_queries  # it has its rows
    for _ in range(6):
        with pytest.raises(TypeError, match="unordered"):
            Book.objects.values("pages").annotate(Count("pk")).first()

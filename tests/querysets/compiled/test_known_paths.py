"""Queries that are known from their third time on: streams, locks, aggregates, kept querysets."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django import VERSION
from django.core.exceptions import FieldError
from django.db import connection, router, transaction
from django.db.models import Avg, Count, IntegerField, Lookup, Max, QuerySet, Sum
from django.db.transaction import TransactionManagementError
from django.db.utils import ConnectionDoesNotExist, ConnectionRouter
from django.test.utils import override_settings, register_lookup

from django_async_fast import new_connection, run_sync
from django_async_fast.bridge import running
from django_async_fast.querysets.compiled import steps, tree
from django_async_fast.querysets.compiled.paths import PATH
from tests.support.describe import Queries
from tests.support.generated_models import make_model
from tests.support.routers import Router
from tests.testapp.models import Author, Book, Publisher, Tag

from .reading_books import book, ids, listed

NOW_KNOWN: dict[str, tuple[int, Callable[[int], Any]]] = {
    "distinct": (1, lambda i: Book.objects.filter(pages=i).distinct().count()),
    "sliced": (1, lambda i: Book.objects.filter(pages__gt=i)[i : i + 3].count()),
    "sum": (1, lambda i: Book.objects.distinct()[i : i + 3].aggregate(Sum("pages"))),
    "grouped": (1, lambda i: Author.objects.annotate(n=Count("books")).count()),
    "many": (2, lambda i: book(i).tags.all()),
    "filtered": (2, lambda i: book(i).tags.filter(name="t1")),
    "ids": (2, lambda i: book(i).tags.values_list("pk", flat=True)),
    "counted": (2, lambda i: book(i).tags.count()),
    "streamed": (1, lambda i: Book.objects.filter(pages__gt=i).iterator(chunk_size=5)),
    "prefetched": (2, lambda i: Book.objects.filter(pages=i).prefetch_related("tags")),
}


@pytest.mark.parametrize("name", NOW_KNOWN)
def test_known_from_the_third_time_on(name: str, books: Any) -> None:
    wanted, call = NOW_KNOWN[name]
    for i in range(6):
        known = tree.cache_info().hits
        listed(call(i))
    assert tree.cache_info().hits == known + wanted


@pytest.mark.not_verified
async def test_streams_of_a_block_are_known(books: Any) -> None:
    def wanted(i: int) -> list[Book]:
        return list(Book.objects.filter(pages__gte=i).order_by("pk"))

    async with new_connection():
        for i in range(25, 30):
            queryset = Book.objects.filter(pages__gte=i).order_by("pk")
            known = tree.cache_info().hits
            found = [each async for each in queryset.aiterator(chunk_size=2)]
            assert "_query" not in vars(queryset) or i < 27
            assert tree.cache_info().hits == known + (i > 25)
            assert found == await run_sync(wanted, i)


@transaction.atomic
def test_locked_rows_are_known(books: Any) -> None:
    for i in range(4):
        known = tree.cache_info().hits
        assert Book.objects.select_for_update().get(pages=i).pages == i
        assert ids(Book.objects.select_for_update()[i : i + 1]) == [i]
    assert tree.cache_info().hits == known + 2


def test_rows_are_locked_in_transactions_only() -> None:
    publisher = Publisher.objects.create(name="p")

    def locked() -> Any:
        return Publisher.objects.select_for_update().filter(name="p")

    for inside in (False, True, True, True, False):
        queryset = locked()
        with transaction.atomic() if inside else nullcontext():
            if inside:
                assert list(queryset) == [publisher]
            else:
                with pytest.raises(TransactionManagementError, match="outside of a"):
                    list(queryset)
        assert queryset.query.select_for_update
        assert list(queryset.exclude(name="q").values("name").order_by()[:0]) == []


def test_a_queryset_that_is_kept_stays_on_its_path_when_it_gets() -> None:
    kept = Tag.objects.using("default")
    Tag.objects.create(pk=1, name="one")
    for _ in range(3):
        assert kept.get(pk=1).name == "one"
        assert PATH in vars(kept)
    before = tree.cache_info().hits
    assert kept.get(pk=1).name == "one"
    assert tree.cache_info().hits == before + 1


OF_AUTHORS = Count("author", distinct=True)
AGGREGATES: dict[str, Any] = {
    "one": lambda qs: qs.aggregate(Count("id")),
    "several": lambda qs: qs.aggregate(n=OF_AUTHORS, m=Max("pages")),
    "of nothing": lambda qs: qs.filter(pages__gt=99).aggregate(Sum("pages")),
    "an average": lambda qs: qs.aggregate(Avg("pages")),
}


@pytest.mark.parametrize("name", AGGREGATES)
def test_aggregates_are_known_from_their_third_time_on(books: Any, name: str) -> None:
    def found(pages: int) -> Any:
        return AGGREGATES[name](Book.objects.filter(pages__lt=pages))

    queryset = Book.objects.filter(pages__lt=2)
    assert queryset.query is not None
    expected = AGGREGATES[name](queryset)
    assert found(1) != {}
    assert found(3) != {}
    with connection.execute_wrapper(queries := Queries()):
        known = tree.cache_info().hits
        assert found(2) == expected
        assert tree.cache_info().hits == known + 1
    assert len(queries) == 1


@pytest.mark.parametrize("name", ["earliest", "latest"])
def test_where_the_earliest_and_the_latest_are_is_known(books: Any, name: str) -> None:
    found = getattr(Book.objects.filter(pages__gte=1), name)
    expected = [found("pages"), found("-pages"), found("pages", "pk")]
    assert expected[0] != expected[1]
    for _ in range(3):
        found = getattr(Book.objects.filter(pages__gte=1), name)
        again = [found("pages"), found("-pages"), found("pages", "pk")]
        assert again == expected
    with mock.patch.object(Book._meta, "get_latest_by", "pages"):
        for _ in range(4):
            assert found() == expected[0]
    with mock.patch.object(Book._meta, "get_latest_by", ["pages"]):
        for _ in range(4):
            assert found() == expected[0]
        Book._meta.get_latest_by[0] = "-pages"
        assert found() == expected[1]
    with pytest.raises(FieldError, match="Cannot resolve keyword 'nothing'"):
        found("nothing")


@pytest.fixture
def reads(untimed: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect the reads that are sent before their call, None for any other call."""
    found: list[Any] = []
    begin = running.begin_read

    def begun(*args: Any) -> Any:
        found.append(begin(*args))
        return found[-1]

    monkeypatch.setattr(running, "begin_read", begun)
    return found


@pytest.mark.parametrize("name", ["aearliest", "alatest"])
async def test_the_earliest_is_read_before_its_call(
    books: Any, name: str, reads: list[Any]
) -> None:
    async def found(least: int) -> Any:
        book = await getattr(Book.objects.filter(pages__gte=least), name)("pages")
        return book.pages

    async with new_connection():
        for _ in range(6):
            expected = [await found(least) for least in (1, 2)]
        reads.clear()
        assert [await found(least) for least in (1, 2)] == expected
        assert None not in reads
        with pytest.raises(Book.DoesNotExist, match="query does not exist"):
            await found(99)
        assert len(reads) == 3


async def test_rows_that_would_be_locked_are_counted_outside_a_transaction(
    books: Any, reads: list[Any]
) -> None:
    async with new_connection():
        for i in range(6):
            locked = Book.objects.filter(pages__gte=i).select_for_update()
            assert await locked.acount() == 30 - i
            assert await locked.aaggregate(Max("pages")) == {"pages__max": 29}
        assert None not in reads[-2:]


async def test_in_bulk_is_read_before_its_call(books: Any, reads: list[Any]) -> None:
    async def found(*keys: int, **options: Any) -> Any:
        few = Book.objects.filter(pages__lt=29)
        found = await few.ain_bulk([*keys], **options)
        return {key: book.pages for key, book in found.items()}

    async with new_connection():
        keys = [each.pk async for each in Book.objects.order_by("pages")]
        first, last = keys[0], keys[-1]
        for _ in range(3):
            assert await found(*keys[:3]) == dict(zip(keys, range(3), strict=False))
        reads.clear()
        assert await found(last, first) == {first: 0}
        assert await found(-1) == {}
        assert len(reads) == 2
        assert None not in reads
        assert await found() == {}
        with pytest.raises(ValueError, match="must be a unique field"):
            await found(first, field_name="title")
        for _ in range(4) if VERSION >= (6, 1) else ():
            titles = Book.objects.values("title")
            assert await titles.ain_bulk([first]) == {first: {"title": "t0"}}


async def test_in_bulk_by_a_composite_key(books: Any) -> None:
    model: Any = make_model("composite", [])

    def create() -> None:
        with connection.schema_editor(atomic=False) as editor:
            editor.create_model(model)

    keys = [(number, UUID(int=number)) for number in range(3)]
    async with new_connection(), transaction.atomic():
        await run_sync(create)
        for left, right in keys:
            await model(left=left, right=right).asave(force_insert=True)
        for i in range(4):
            found = await model.objects.ain_bulk(keys[i % 2 :])
            assert list(found) == keys[i % 2 :]
        transaction.set_rollback(True)


def test_the_earliest_of_ones_own_is_asked(books: Any) -> None:
    class Own(QuerySet[Book]):
        asked = 0

        def _earliest(self, *fields: Any) -> Any:
            Own.asked += 1
            return super()._earliest(*fields)

    manager = Own.as_manager()
    manager.model = Book
    for _ in range(4):
        assert manager.earliest("pages").pages == 0
    assert Own.asked == 4


@pytest.mark.parametrize("name", ["earliest", "latest"])
def test_the_earliest_and_the_latest_are_known(books: Any, name: str) -> None:
    def found(least: int, *names: str) -> Any:
        return getattr(Book.objects.filter(pages__gte=least), name)(*names).pages

    expected = [1, 2] if name == "earliest" else [29, 29]
    for _ in range(3):
        known = tree.cache_info().hits
        assert [found(1, "pages"), found(2, "pages", "pk")] == expected
    assert tree.cache_info().hits == known + 2
    with (
        connection.execute_wrapper(queries := Queries()),
        pytest.raises(Book.DoesNotExist, match="Book matching query does not exist"),
    ):
        found(99, "pages")
    assert len(queries) == 1


def test_what_was_learnt_of_a_kept_queryset_ends_with_its_lookup(books: Any) -> None:
    class Above(Lookup):  # type: ignore[type-arg]
        lookup_name = "exact"

        def as_sql(self, compiler: Any, connection: Any) -> Any:
            left, params = self.process_lhs(compiler, connection)
            right, others = self.process_rhs(compiler, connection)
            return f"{left} > {right}", [*params, *others]

    kept = Book.objects.filter(pages__lt=3).order_by("pages")
    for _ in range(3):
        assert [book.pages for book in kept.filter(pages=1)] == [1]
    # Taken out, it would leave integers without Django's own.
    django_lookups = mock.patch.dict(IntegerField.class_lookups)
    with django_lookups, register_lookup(IntegerField, Above):
        assert [book.pages for book in kept.filter(pages=1)] == [2]
    assert [book.pages for book in kept.filter(pages=1)] == [1]


@pytest.mark.not_verified
def test_a_step_that_is_never_the_same_is_no_longer_noted(books: Any) -> None:
    node: Any = tree.root(Book.objects._queryset_class, Book)
    for number in range(300):
        Book.objects.order_by(*["pk"] * number)
    assert len(node.seen) < 150
    Book.objects.filter(pages=1)
    assert len(node.seen) < 150


def test_a_related_managers_filter_is_applied_without_a_look(
    books: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(pages: int) -> list[int]:
        return ids(books[0].books.filter(pages__gt=pages))

    wanted = [[i for i in range(0, 30, 3) if i > pages] for pages in range(5)]
    found = [ask(pages) for pages in range(3)]
    with monkeypatch.context() as patch:
        patch.delattr(steps, "_filtered")  # what learns it
        found += [ask(pages) for pages in range(3, 5)]
    assert found == wanted


def test_aggregates_of_columns_are_known_by_class_and_options(books: Any) -> None:
    for _ in range(3):
        many, few = (
            Author.objects.annotate(n=Count("books__tags", distinct=distinct))
            for distinct in (False, True)
        )
        assert sum(each.n for each in many) == 75
        assert [each.n for each in few] == [3, 3, 3]
        assert Author.objects.aggregate(n=Count("books"))["n"] == 30
        assert Author.objects.aggregate(n=Max("books__pages"))["n"] == 29


def test_a_router_that_comes_later_is_asked(books: Any) -> None:
    def read() -> None:
        assert ids(Book.objects.filter(pages=3)) == [3]

    for _ in range(3):
        read()
    later = Router()
    with override_settings(DATABASE_ROUTERS=[later]):
        for _ in range(4):
            read()
    asked = len(later.asked)
    assert asked >= 4
    read()
    assert len(later.asked) == asked


@pytest.mark.parametrize(
    ("owner", "name"),
    [(router, "db_for_read"), (ConnectionRouter, "db_for_read"), (QuerySet, "db")],
)
def test_a_replaced_way_to_the_database_is_taken(
    books: Any, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def database(*given: Any, **hints: Any) -> str:
        asked.append(given)
        return "default"

    def count() -> None:
        assert Book.objects.filter(pages=3).count() == 1

    for _ in range(3):
        count()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, property(database) if name == "db" else database)
        for _ in range(3):
            asked.clear()
            count()
            assert asked
    asked.clear()
    count()
    assert not asked


def test_the_instance_of_a_related_manager_says_where_its_rows_are(books: Any) -> None:
    author = books[0]
    for _ in range(3):
        assert ids(author.books.filter(pages=3)) == [3]
    author._state.db = "elsewhere"
    with pytest.raises(ConnectionDoesNotExist):
        ids(author.books.filter(pages=3))

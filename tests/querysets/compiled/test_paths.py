"""Querysets that are paths: the same rows, errors and queries as Django's own."""

import pickle
from contextlib import nullcontext
from copy import deepcopy
from operator import attrgetter
from typing import Any

import django
import pytest
from django.db import connection, models, transaction
from django.db.models import Count, Max, Q, QuerySet, Sum
from django.db.models.sql.compiler import SQLCompiler
from django.test.utils import CaptureQueriesContext, override_settings

from django_async_fast import _native, explain_plan, new_connection
from django_async_fast.drivers.psycopg import statement
from django_async_fast.querysets.compiled import execution, paths, tree, verify
from tests.support.describe import NUMBERED, described, outcome
from tests.support.noted import noted
from tests.support.routers import Router
from tests.testapp.models import Author, Book, Tag

from .reading_books import book, ids, listed, path, tag
from .writing import refused

CHAINS = {
    "all": lambda i, a: Book.objects.all(),
    "filter": lambda i, a: Book.objects.filter(pages=i),
    "two": lambda i, a: Book.objects.filter(pages__gt=i, title="t1"),
    "twice": lambda i, a: Book.objects.filter(pages__gt=i).filter(title="t1"),
    "exclude": lambda i, a: Book.objects.exclude(pages__gt=i, published=None),
    "or": lambda i, a: Book.objects.filter(Q(pages=i) | Q(title="t2")),
    "in": lambda i, a: Book.objects.filter(pk__in=range(i + 1)),
    "in_list": lambda i, a: Book.objects.filter(pages__in=list(range(i + 1))),
    "contains": lambda i, a: Book.objects.filter(title__icontains=f"{i}"),
    "join": lambda i, a: Book.objects.filter(author__name=f"a{i % 3}"),
    "instance": lambda i, a: Book.objects.filter(author=a[i % 3]),
    "page": lambda i, a: (
        Book.objects.select_related("author")
        .filter(pages__gte=i)
        .order_by("-pages")[i : i + 5]
    ),
    "values": lambda i, a: Book.objects.filter(pages=i).values("pk", "title"),
    "tuples": lambda i, a: Book.objects.filter(pages=i).values_list("pages"),
    "flat": lambda i, a: Book.objects.filter(pages__lt=i).values_list(
        "pages", flat=True
    ),
    "count": lambda i, a: Book.objects.filter(pages__lt=i).count(),
    "exists": lambda i, a: Book.objects.filter(pages=i).exists(),
    "first": lambda i, a: Book.objects.filter(pages__gt=i).first(),
    "last": lambda i, a: Book.objects.filter(pages__gt=i).order_by("title").last(),
    "get": lambda i, a: Book.objects.get(pages=i),
    "get_none": lambda i, a: outcome(lambda: Book.objects.get(pages=-i - 1)),
    "get_many": lambda i, a: outcome(lambda: Book.objects.get(pages__gt=i)),
    "annotate": lambda i, a: [
        (x.pk, x.n) for x in Author.objects.annotate(n=Count("books")).filter(n__gt=i)
    ],
    "related": lambda i, a: a[i % 3].books.all(),
    "related_filter": lambda i, a: a[i % 3].books.filter(pages__gt=i),
    "related_author": lambda i, a: [b.author for b in a[i % 3].books.all()],
    "prefetch": lambda i, a: [
        list(x.books.all()) for x in Author.objects.prefetch_related("books")
    ],
    "bad": lambda i, a: outcome(lambda: Book.objects.filter(pages=f"x{i}")),
    "overflow": lambda i, a: Book.objects.filter(pages=10 ** (i * 5)),
    "locked": lambda i, a: Book.objects.select_for_update().filter(pages=i),
    "locked_get": lambda i, a: Book.objects.select_for_update(nowait=True).get(pages=i),
    "locked_page": lambda i, a: Book.objects.select_related("author").select_for_update(
        skip_locked=True, of=("self", "author"), no_key=True
    )[i : i + 2],
    "distinct_count": lambda i, a: (
        Book.objects.filter(pages__gt=i).values("title").distinct().count()
    ),
    "sliced_count": lambda i, a: Book.objects.filter(pages__gt=i)[i : i + 9].count(),
    "first_count": lambda i, a: Book.objects.filter(pages__gt=i)[: i + 9].count(),
    "sliced_exists": lambda i, a: Book.objects.filter(pages__gt=i)[: i + 1].exists(),
    "grouped_count": lambda i, a: (
        Author.objects.annotate(n=Count("books")).filter(n__gt=i, name="a1").count()
    ),
    "distinct_sum": lambda i, a: (
        Book.objects.filter(pages__gt=i).distinct().aggregate(Sum("pages"), n=Max("pk"))
    ),
    "sliced_sum": lambda i, a: Book.objects.order_by("pk")[i:9].aggregate(Sum("pages")),
    "many": lambda i, a: book(i).tags.all(),
    "many_filter": lambda i, a: book(i).tags.filter(name__gte=f"t{i}"),
    "many_reverse": lambda i, a: tag(i).books.filter(tags__name="t1"),
    "many_joined": lambda i, a: (
        tag(i).books.filter(tags__name="t1").filter(tags__name="t0").exclude(pages=i)
    ),
    "many_query": lambda i, a: str(
        book(i).tags.filter(books__pages=i).filter(books__title="t").query
    ),
    "many_sticky": lambda i, a: book(i).tags.all().query.clone().filter_is_sticky,
    "many_ids": lambda i, a: sorted(book(i).tags.values_list("pk", flat=True)),
    "many_count": lambda i, a: (book(i).tags.count(), tag(i).books.exists()),
    "many_prefetch": lambda i, a: [
        [x.name for x in each.tags.all()]
        for each in Book.objects.filter(pages__lt=i + 1).prefetch_related("tags")
    ],
    "through": lambda i, a: [x.pk for x in book(i).readers.order_by("pk")],
    "stream": lambda i, a: (
        Book.objects.filter(pages__gt=i).order_by("pk").iterator(chunk_size=7)
    ),
    "stream_many": lambda i, a: (
        Book.objects.filter(pages__in=list(range(i, 300 + i))).order_by("pk").iterator()
    ),
    "stream_values": lambda i, a: (
        Book.objects.filter(pages__gt=i).values_list("pk", "author__name").iterator()
    ),
    "stream_related": lambda i, a: [
        each.author for each in a[i % 3].books.iterator(chunk_size=2)
    ],
    "stream_prefetch": lambda i, a: [
        [tag.name for tag in each.tags.all()]
        for each in Book.objects.filter(pages__gt=i)
        .prefetch_related("tags")
        .iterator(chunk_size=90)
    ],
    "in_bulk": lambda i, a: Book.objects.in_bulk([a[0].pk, i]),
}

# A filter shares the joins of a manager's own, or does not: by how often it was chained.
SHARED = {
    "all": lambda reads: reads.all(),
    "count": lambda reads: reads.count(),
    "keys": lambda reads: set(reads.using("default").values_list("pk", flat=True)),
    "filter": lambda reads: reads.filter(readers__name="a1"),
    "two filters": lambda reads: reads.filter(readers__name__contains="a").filter(
        readers__name="a1"
    ),
    "all, filter": lambda reads: reads.all().all().filter(readers__name="a1"),
    "all, all, filter": lambda reads: (
        reads.all().all().all().filter(readers__name="a1")
    ),
    "ordered, filter": lambda reads: reads.order_by("pk").filter(readers__name="a1"),
    "using, filter": lambda reads: reads.using("default").filter(readers__name="a1"),
    "exclude": lambda reads: reads.exclude(readers__name="a1"),
    "get": lambda reads: outcome(lambda: reads.get(readers__name="a1", pages=0)),
    "page": lambda reads: reads.order_by("-pages")[1:3],
}


@pytest.mark.not_verified
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_like_one_before_is_django_s(name: str, books: Any) -> None:
    def asked(i: int) -> Any:
        locks = transaction.atomic() if name.startswith("locked") else nullcontext()
        with CaptureQueriesContext(connection) as captured, locks:
            found = listed(CHAINS[name](i, books))
        return found, [NUMBERED.sub("", each["sql"]) for each in captured]

    seen = [asked(i) for i in range(6)]
    hits = tree.cache_info().hits
    for i in range(6):
        tree.clear()
        assert asked(i) == seen[i]
        assert tree.cache_info().hits == hits


@pytest.mark.parametrize("name", SHARED)
def test_relations_of_many_to_many_are_known(name: str, books: Any) -> None:
    for each in Book.objects.filter(pages__lt=6):
        each.readers.add(*books[: 1 + each.pages % 3])

    def asked(i: int) -> Any:
        with CaptureQueriesContext(connection) as captured:
            found = listed(SHARED[name](books[i % 3].reads))
        if isinstance(found, list):
            found.sort(key=attrgetter("pk"))  # some are in no order
        return found, [each["sql"] for each in captured]

    tree.clear()
    seen = []
    for i in range(6):
        before = tree.cache_info().hits
        seen.append(asked(i))
    # What is excluded by a relation of many is a subquery, which is Django's.
    assert tree.cache_info().hits > before or name == "exclude"
    for i in range(6):
        tree.clear()
        assert asked(i) == seen[i]


def test_a_copy_of_a_relation_s_rows_asks_again(books: Any) -> None:
    reader = Author.objects.create(name="reader")
    Book.objects.get(pages=1).readers.add(reader)
    for _ in range(4):
        rows = reader.reads.all()
        assert len(rows) == 1
        copy = rows.all()
        # As Django's copies have them.
        assert copy._result_cache is None
        assert not copy._defer_next_filter
        assert not copy._sticky_filter
        assert copy._deferred_filter is None
        assert [book.pages for book in copy] == [1]


def test_writes_of_relations_and_rows_that_may_be_there_are_known(books: Any) -> None:
    tags = [Tag.objects.create(name=f"g{i}") for i in range(4)]
    book = Book.objects.get(pages=1)
    writes = {
        "update_or_create": lambda i: Tag.objects.update_or_create(
            name="g1", defaults={"name": "g1"}
        ),
        "set": lambda i: book.tags.set(tags[i % 3 : i % 3 + 2]),
        "remove": lambda i: book.tags.remove(tags[i % 3 + 1]),
        "clear": lambda i: book.tags.clear(),
    }
    for name, write in writes.items():
        for i in range(6):
            write(i)
        with refused(execution, "learn"):
            hits, misses = tree.cache_info().hits, tree.cache_info().misses
            write(6)
        if name in ("update_or_create", "set"):
            assert tree.cache_info().hits > hits, name
        assert tree.cache_info().misses == misses, name
        if name == "set":
            assert set(book.tags.all()) == set(tags[0:2])


def test_a_path_ends_where_its_query_is_given_away(books: Any) -> None:
    queryset = path(5)
    queryset.query.add_q(Q(pages__gt=2))
    assert ids(queryset) == [3, 4]
    assert ids(queryset.filter(pages__gt=3)) == [4]
    assert ids(path(5)) == [0, 1, 2, 3, 4]


def test_two_querysets_of_one_path(books: Any) -> None:
    first = path(5)
    second = first.all()
    first.query.add_q(Q(pages__gt=2))
    assert (ids(first), ids(second)) == ([3, 4], [0, 1, 2, 3, 4])


def test_what_has_been_given_is_what_counts(books: Any) -> None:
    given = [1, 2]

    def made() -> Any:
        return Book.objects.filter(pages__in=given)

    for _ in range(3):
        list(made())
    late, query = made(), made()
    given.append(3)
    assert ids(late) == [1, 2]
    _ = query.query
    assert ids(query) == [1, 2]


def test_a_related_object_whose_key_changes(books: Any) -> None:
    author = books[0]
    for _ in range(3):
        list(author.books.filter(pages__lt=9))
    late, query = (author.books.filter(pages__lt=9) for _ in range(2))
    author.pk = None
    assert ids(late) == [0, 3, 6]
    assert ids(query.order_by("-pages", "title", "pk").exclude(pk=-1)) == [0, 3, 6]


def test_errors_come_with_the_call(books: Any) -> None:
    for _ in range(4):
        with pytest.raises(ValueError, match="expected a number"):
            Book.objects.filter(pages="x")
        list(Book.objects.filter(pages="3"))
    queryset = Book.objects.all()
    with pytest.raises(TypeError, match="slice has been taken"):
        queryset[:3].filter(pages=1)


def test_pickles_and_copies_have_a_query(books: Any) -> None:
    for copied in (lambda queryset: pickle.loads(pickle.dumps(queryset)), deepcopy):
        again = copied(path(5))
        assert ids(again) == [0, 1, 2, 3, 4]
        assert "_daf_path" not in vars(again)
        assert str(again.query) == str(Book.objects.filter(pages__lt=5).query)


def test_bound_and_figures(books: Any) -> None:
    before = tree.cache_info()
    with override_settings(DJANGO_ASYNC_FAST={"COMPILED_QUERIES": 6}):
        for name in ("pages", "title", "pk", "author", "price", "in_print"):
            for _ in range(4):
                list(Book.objects.order_by(name))
            assert tree.cache_info().size <= 6
    after = tree.cache_info()
    assert after.bound == 2048
    assert after.hits > before.hits
    assert after.learnt > before.learnt


def test_a_class_of_querysets_of_ones_own_is_asked(books: Any) -> None:
    class Hiding(QuerySet[Any]):
        def _filter_or_exclude(self, *args: Any, **kwargs: Any) -> Any:
            return super()._filter_or_exclude(*args, **kwargs).exclude_first()

        def exclude_first(self) -> Any:
            return super()._filter_or_exclude(True, (), {"pages": 0})

    manager: Any = models.Manager.from_queryset(Hiding)()
    manager.model = Book
    for _ in range(4):
        assert ids(manager.filter(pages__lt=3)) == [1, 2]


def test_a_replaced_compiler_is_called(books: Any) -> None:
    path(3)
    with noted(SQLCompiler, "execute_sql") as called:
        assert ids(Book.objects.filter(pages__lt=3)) == [0, 1, 2]
    assert len(called) == 1


async def test_in_a_block(books: Any) -> None:
    async with new_connection():
        for i in range(5):
            found = Book.objects.filter(pages__gte=i).order_by("pages")
            assert (await found.afirst()).pages == i
            assert await found.acount() == 30 - i
            assert [book.pages async for book in found[:2]] == [i, i + 1]
            assert await Book.objects.filter(pages=i).aexists()
            assert (await Book.objects.aget(Q(pages=i))).pages == i


def test_a_query_that_is_given(books: Any) -> None:
    """`queryset.query = other`, as who unpickles a query does."""
    for _ in range(3):
        queryset: Any = Book.objects.all()
        queryset.query = pickle.loads(
            pickle.dumps(Book.objects.filter(pages__lt=2).values("pages").query)
        )
        assert [each["pages"] for each in queryset.order_by("pages")] == [0, 1]
        assert queryset.count() == 2
        assert queryset.get(pages=1) == {"pages": 1}


def test_verify_mode_tells_a_difference(
    books: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "ON", True)
    monkeypatch.setattr(paths.STEPS, "learns_at_once", True)
    monkeypatch.setattr(execution.KNOWN, "verify", execution.verify_run)
    assert ids(Book.objects.filter(pages__lt=2)) == [0, 1]
    compared = verify.compared
    node: Any = tree.root(Book.objects._queryset_class, Book)
    (child,) = node.children.values()
    ((key, entry),) = child.entries.items()
    (text, _), *others = entry.parts
    parts = [(text + " ", ()), *others]
    wrong = _native.rows.Statement(entry.holes, parts, statement.template_of)
    for name in ("kind", "made", "make_plan", "simple", "models", "columns"):
        setattr(wrong, name, getattr(entry, name))
    child.entries[key] = wrong
    with pytest.raises(verify.Difference, match="WHERE  "):
        list(Book.objects.filter(pages__lt=2))
    assert verify.compared == compared + 1


@pytest.mark.not_verified
def test_explained(books: Any) -> None:
    def why(queryset: Any) -> str:
        found = explain_plan(queryset)
        assert "statement: " in str(found)
        return found.why_built

    def made() -> Any:
        return Book.objects.filter(pages__lt=3)

    assert "first time" in why(made())
    list(made())
    list(made())
    queryset = made()
    assert why(queryset) == ""
    assert "_query" not in vars(queryset)
    assert "given to somebody" in why(made().extra(where=["1 = 1"]))
    assert "first time" in why(made().order_by("?"))


@pytest.mark.parametrize("verified", [False, True])
def test_routers_are_asked_once(
    books: Any, verified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "ON", verified)
    monkeypatch.setattr(paths.STEPS, "learns_at_once", verified)
    router = Router()
    with override_settings(DATABASE_ROUTERS=[router]):
        for times in range(1, 6):
            list(Book.objects.filter(pages=times))
            assert len(router.asked) == times


@pytest.mark.skipif(django.VERSION < (6, 1), reason="Django 6.1 has fetch modes")
@pytest.mark.parametrize("hashed", [False, True])
def test_a_fetch_mode_of_the_projects_is_its_own(books: Any, hashed: bool) -> None:
    from django.db.models.fetch_modes import FetchMode

    class Equal(FetchMode):
        __hash__ = (lambda self: 1) if hashed else None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return True

    for ask in (QuerySet.iterator, iter):
        for _ in range(4):
            mode = Equal()
            queryset = Book.objects.filter(pages=3).fetch_mode(mode)
            (found,) = ask(queryset)
            assert found._state.fetch_mode is mode
    queryset = Book.objects.filter(pages=3).fetch_mode(mode)
    assert "own code" in explain_plan(queryset).why_built


@pytest.mark.parametrize("name", ["filter", "order_by", "_chain"])
def test_a_queryset_with_a_method_of_its_own_has_it_called(
    name: str, books: Any
) -> None:
    reads: dict[str, Any] = {
        "get": lambda queryset: outcome(lambda: queryset.get(pages=2)),
        "first": lambda queryset: queryset.first(),
        "latest": lambda queryset: queryset.latest("pages"),
        "in_bulk": lambda queryset: queryset.in_bulk([books[2].pk]),
        "filter": lambda queryset: list(queryset.filter(pages=2)),
    }
    for read in reads.values():
        for _ in range(3):
            read(Book.objects.all())
        queryset = Book.objects.all()
        setattr(queryset, name, lambda *args, **kwargs: Book.objects.filter(pages=1))
        found = described(read(queryset))
        tree.clear()
        assert described(read(queryset)) == found

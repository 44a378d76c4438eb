"""What is kept of statements: what was not used for long goes first, and how much it is."""

import gc
import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any
from weakref import ref

import pytest
from django.db import connection, models
from django.db.models import Max
from django.test import override_settings

from django_async_fast.querysets.compiled import tree
from tests.testapp.models import Author, Book, Tag, Unique

pytestmark = pytest.mark.core

CONDITIONS: dict[str, Any] = {
    "title": "t", "title__contains": "t", "title__iexact": "t", "pk__gt": 1,
    "pk__in": [1, 2, 3], "in_print": True, "pages__lt": 5, "published__isnull": True,
    "author__name": "a", "publisher__name__startswith": "p", "price__gte": 1,
}  # fmt: skip
ORDERS = ("pk",), ("-title",), ("title", "pages"), ("pages",)
ENDS: dict[str, Callable[[Any], Any]] = {
    "rows": list,
    "page": lambda books: [*books.select_related("author")[:5]],
    "count": lambda books: books.count(),
    "exists": lambda books: books.exists(),
    "values": lambda books: [*books.values("pk", "title")],
    "flat": lambda books: [*books.values_list("pk", flat=True)],
    "first": lambda books: books.first(),
    "update": lambda books: books.update(pages=1),
}


@contextmanager
def room(statements: int) -> Iterator[None]:
    with override_settings(DJANGO_ASYNC_FAST={"COMPILED_QUERIES": statements}):
        tree.clear()
        yield
    tree.clear()


def queries() -> Iterator[Callable[[], Any]]:
    """Yield distinct queries of usual shapes."""
    pairs = itertools.combinations(CONDITIONS.items(), 2)
    for (one, two), order, end in itertools.product(pairs, ORDERS, ENDS.values()):
        yield partial(_query, one, two, order, end)


def _query(one: Any, two: Any, order: Any, end: Callable[[Any], Any]) -> Any:
    books = Book.objects.filter(**dict([one])).filter(**dict([two]))
    return end(books.order_by(*order))


def known(query: Callable[[], Any]) -> bool:
    hits = tree.cache_info().hits
    query()
    return tree.cache_info().hits > hits


def by_title(n: int) -> Any:
    """Return the query with so many conditions."""
    books = Book.objects.all()
    for _ in range(n):
        books = books.filter(title="t")
    return [*books]


@pytest.mark.not_verified
def test_what_was_used_is_kept() -> None:
    with room(64):
        for _ in range(3):
            Author.objects.filter(name="a").exists()
        for n, query in enumerate(itertools.islice(queries(), 160)):
            for _ in range(3):
                query()
            info = tree.cache_info()
            assert info.size <= 64
            assert info.entries <= info.size
            if n % 3 == 0:
                assert known(lambda: Author.objects.filter(name="a").exists())
        assert tree.cache_info().forgotten > 20
        first = next(queries())
        assert not known(first)
        for _ in range(2):
            first()
        assert known(first)


def test_steps_stay_while_one_leads_on_to_a_statement() -> None:
    with room(24):
        for _ in range(3):
            by_title(6)
        for n in range(60):
            order = ["pk", "name"][: n % 2]
            for _ in range(3):
                Tag.objects.filter(name="n").order_by(*order)[n:].count()
            assert known(lambda: by_title(6)), n


def test_writes_of_models_are_bounded_too() -> None:
    with room(8):
        names = ["key", "value"]
        for n in range(40):
            made = Unique.objects.create(key=f"k{n}")
            made.save(update_fields=names[: 1 + n % 2])
            assert tree.cache_info().size <= 8
            made.delete()


def test_reasons_why_there_is_no_statement_are_bounded_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Name(models.CharField):  # type: ignore[type-arg]
        def select_format(self, compiler: Any, sql: str, params: Any) -> Any:
            return f"upper({sql})", params

    with room(16), monkeypatch.context() as patch:
        patch.setattr(Author._meta.get_field("name"), "__class__", Name)
        refused = tree.cache_info().refused
        for n in range(60):
            for _ in range(3):
                Author.objects.aggregate(**{f"n{n}": Max("name")})
        assert tree.cache_info().refused == refused + 60
        root: Any = tree.root(Author.objects._queryset_class, Author)
        assert 0 < len(root.entries) <= 16
        info = tree.cache_info()
        assert (info.entries, info.size) == (0, len(root.entries))


def test_classes_of_querysets_made_at_run_time_are_forgotten() -> None:
    made = []
    for n in range(200):
        kind = type("Made", (models.QuerySet,), {"named": models.QuerySet.filter})
        manager: Any = models.Manager.from_queryset(kind)()
        manager.model = Author
        assert not manager.named(name=f"n{n}")
        made.append(ref(kind))
    del kind, manager
    gc.collect()
    assert sum(each() is not None for each in made) <= 64


def test_none_are_kept_where_there_is_no_room() -> None:
    with room(0):
        for _ in range(4):
            assert Book.objects.filter(title="t").count() == 0
        assert tree.cache_info()[-3:] == (0, 0, 0)


def test_threads_that_need_room_at_once() -> None:
    found = [*itertools.islice(queries(), 0, 1200, 12)]

    def run(part: int) -> None:
        try:
            for query in found[part::4] + found[:20]:
                for _ in range(3):
                    query()
        finally:
            connection.close()

    with room(48):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(run, range(4)))
        assert tree.cache_info().forgotten
        Book.objects.filter(title="t", pages=1).first()
        assert tree.cache_info().size <= 52


def test_what_is_counted_takes_less_than_4_kb() -> None:
    found = Random(1).sample([*queries()], 400)
    with room(100_000):
        for query in found * 3:
            query()  # what Django and the models keep for themselves
        tree.clear()
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for query in found:
                for _ in range(3):
                    query()
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        info = tree.cache_info()
        assert info.entries > 360
        taken = after - before
        assert taken < 4096 * info.size
        assert 0.6 * taken < info.bytes < 1.4 * taken

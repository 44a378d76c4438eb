"""UPDATE and DELETE of rows with very many keys: Django's outcome, the keys an array."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_fast import new_connection, run_sync
from tests.querysets.bulk.values import odd_keys
from tests.querysets.bulk.ways import arrays_of_keys, outcome
from tests.testapp.models import Author, Book, Everything, Tag

from .writing import djangos_writes

COUNT = 150
KEYS = [*range(1, COUNT + 1)]
TEXTS = ["", "NULL", " a ", "{}", 'say "x"', "o'neill \\ 50% %s $1", "é☃"]
TEXTS += [f"text {i}" for i in range(COUNT)]


pytestmark = pytest.mark.core


@pytest.fixture(autouse=True)
def _rows() -> None:
    Everything.objects.bulk_create(
        Everything(pk=i, integer=i, char=text)
        for i, text in zip(KEYS, TEXTS, strict=False)
    )
    Author.objects.bulk_create(Author(pk=i, name=str(i)) for i in KEYS)
    Book.objects.bulk_create(Book(pk=i, author_id=i, title=str(i)) for i in KEYS)


WRITES: dict[str, Callable[[Any, Any], Any]] = {
    "update": lambda rows, keys: rows.filter(pk__in=keys).update(char="%s $1 x"),
    "update with F": lambda rows, keys: rows.filter(pk__in=keys, integer__gt=3).update(
        integer=F("integer") + 5, char="y"
    ),
    "update of others": lambda rows, keys: rows.exclude(pk__in=keys).update(char=None),
    "update of two lists": lambda rows, keys: rows.filter(
        pk__in=keys, char__in=TEXTS[:140]
    ).update(small=1),
    "delete": lambda rows, keys: rows.filter(pk__in=keys).delete(),
    "delete of others": lambda rows, keys: rows.exclude(pk__in=keys).delete(),
    "delete by text": lambda rows, keys: rows.filter(
        char__in=TEXTS[: len(keys)]
    ).delete(),
    "delete of a relation": lambda rows, keys: Book.tags.through.objects.filter(
        book__in=keys
    ).delete(),
}


def written(name: str, keys: list[Any]) -> Any:
    write = partial(WRITES[name], Everything.objects, keys)
    return outcome(write, Everything, Author, Book)


@pytest.mark.parametrize("name", WRITES)
def test_writes_of_many_keys_are_djangos(name: str) -> None:
    keys = [*KEYS[5:130], *KEYS[:20], -1, 10**6]
    with djangos_writes():
        expected = written(name, keys)
    for _ in range(2):
        assert written(name, keys) == expected
    with arrays_of_keys() as sent:
        assert written(name, keys) == expected
    assert sent == [2 if name == "update of two lists" else 1]
    with (
        arrays_of_keys() as sent,
        CaptureQueriesContext(connection) as queries,
    ):
        assert written(name, keys) == expected
    assert not sent
    assert any(" IN (" in each["sql"] for each in queries)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([*WRITES]), odd_keys, st.sampled_from([0, 99, 101, 140]))
def test_whatever_is_in_the_list(name: str, odd: list[Any], count: int) -> None:
    keys = [*KEYS[:count], *odd]
    with djangos_writes():
        expected = written(name, keys)
    for _ in range(3):
        assert written(name, keys) == expected


def test_a_cascade_to_many_rows() -> None:
    Tag.objects.create(pk=1, name="t").books.set(KEYS)

    def write() -> Any:
        delete = Author.objects.filter(pk__lte=140).delete
        return outcome(delete, Author, Book, Tag, Book.tags.through)

    with djangos_writes():
        expected = write()
    for _ in range(2):
        assert write() == expected
    with arrays_of_keys() as sent:
        assert write() == expected
    assert sent


def test_many_to_many_is_prefetched_by_an_array() -> None:
    tags = Tag.objects.bulk_create(Tag(pk=i, name=str(i)) for i in range(1, 4))
    for book in Book.objects.all():
        book.tags.set(tags[: 1 + book.pk % 3])

    def names() -> Any:
        found = Book.objects.prefetch_related("tags").order_by("pk")
        return [sorted(each.name for each in book.tags.all()) for book in found]

    expected = [sorted(str(i) for i in range(1, 2 + pk % 3)) for pk in KEYS]
    for _ in range(4):
        assert names() == expected
    with CaptureQueriesContext(connection) as queries:
        assert names() == expected
    assert " IN (" in queries[1]["sql"]


def test_in_a_transaction_that_is_rolled_back() -> None:
    def write() -> None:
        with transaction.atomic(), transaction.atomic():
            Everything.objects.filter(pk__in=KEYS[:120]).delete()
            transaction.set_rollback(True)

    for _ in range(3):
        write()
    with arrays_of_keys() as sent:
        write()
    assert sent == [1]
    assert Everything.objects.count() == COUNT


@pytest.mark.parametrize("way", ["async", "run_sync", "thread"])
async def test_in_a_block(way: str) -> None:
    def write() -> Any:
        with transaction.atomic():
            with transaction.atomic():
                changed = Everything.objects.filter(pk__in=KEYS[:120]).update(small=2)
                deleted = Everything.objects.filter(pk__in=KEYS[:110]).delete()[0]
                transaction.set_rollback(True)
            return changed, deleted, Everything.objects.filter(small=2).count()

    async with new_connection():
        for _ in range(3):
            with arrays_of_keys() as sent:
                if way == "async":
                    found = Everything.objects.filter(pk__in=KEYS[:120])
                    async with transaction.atomic():
                        assert await found.aupdate(small=2) == 120
                        await transaction.aset_rollback(True)
                    assert await Everything.objects.filter(small=2).acount() == 0
                elif way == "run_sync":
                    assert await run_sync(write) == (120, 110, 0)
                else:
                    assert await sync_to_async(write)() == (120, 110, 0)
        assert bool(sent) == (way != "thread")
        assert await Everything.objects.acount() == COUNT

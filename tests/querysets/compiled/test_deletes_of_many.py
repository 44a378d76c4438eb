"""Objects that are deleted with signals: Django's outcome, by one statement a table."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, models, transaction
from django.db.models import sql
from django.db.models.signals import post_delete, pre_delete
from django.test.utils import CaptureQueriesContext, isolate_apps
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_fast import new_connection, run_sync
from tests.querysets.bulk.values import odd_keys
from tests.querysets.bulk.ways import arrays_of_keys, outcome
from tests.support.noted import noted
from tests.support.signals import receiving
from tests.support.sql import execute
from tests.support.tables import Isolated, table_of
from tests.testapp.models import Author, Book, CharKey, Novel, Tag, UuidKey

from .writing import djangos_writes

pytestmark = [pytest.mark.core, pytest.mark.not_verified]

COUNT = 250
KEYS = [*range(1, COUNT + 1)]


@pytest.fixture(autouse=True)
def _rows() -> None:
    Author.objects.bulk_create(Author(pk=i, name=str(i)) for i in KEYS)
    Book.objects.bulk_create(Book(pk=i, author_id=i, title=str(i)) for i in KEYS)
    UuidKey.objects.bulk_create(UuidKey(pk=uuid.UUID(int=i)) for i in KEYS)
    CharKey.objects.bulk_create(CharKey(code=f"'{i}\\") for i in KEYS)


@contextmanager
def signalled() -> Iterator[list[Any]]:
    """Note what is said of each object; Django then has to look at each."""
    said: list[Any] = []

    def receiver(signal: Any, sender: Any, instance: Any, **kwargs: Any) -> None:
        said.append((signal, sender, instance.pk))

    with receiving(receiver, pre_delete, post_delete):
        yield said


def novels() -> None:
    for i in range(120):
        Novel.objects.create(title=f"n{i}", author_id=1, genre="g")


DELETES: dict[str, tuple[Callable[[], Any], int]] = {
    "a table": (lambda: UuidKey.objects.all().delete(), 1),
    "keys of text": (lambda: CharKey.objects.all().delete(), 1),
    "some, and those that point to them": (
        lambda: Author.objects.filter(pk__lte=120).delete(), 2,
    ),
    "two tables": (lambda: (novels(), Novel.objects.all().delete()), 2),
    "a hundred": (lambda: UuidKey.objects.filter(pk__in=[uuid.UUID(int=i) for i in range(101)]).delete(), 0),
    "those that are gone": (
        lambda: sql.DeleteQuery(Tag).delete_batch(KEYS, "default"), 1,
    ),
}  # fmt: skip


def deleted(delete: Callable[[], Any]) -> Any:
    with signalled() as said:
        found = outcome(delete, Author, Book, Novel, CharKey, UuidKey)
    return found, said


@pytest.mark.parametrize("name", DELETES)
def test_deletes_are_djangos(name: str) -> None:
    delete, count = DELETES[name]
    with djangos_writes():
        expected = deleted(delete)
    for _ in range(2):
        with arrays_of_keys() as sent:
            assert deleted(delete) == expected
        assert sent == [1] * count


@settings(max_examples=25)
@given(odd_keys, st.sampled_from([95, 101, 240]))
def test_whatever_the_keys_are(odd: list[Any], count: int) -> None:
    keys = [*KEYS[5:][:count], *KEYS[:3], *odd]

    def delete() -> Any:
        return sql.DeleteQuery(Book).delete_batch(keys, "default")

    with djangos_writes():
        expected = outcome(delete, Book)
    assert outcome(delete, Book) == expected


def test_whoever_watches_sees_djangos_statements() -> None:
    for _ in range(2):
        with arrays_of_keys() as sent, CaptureQueriesContext(connection) as queries:
            deleted(DELETES["a table"][0])
        assert sent == []
        texts = [each["sql"] for each in queries]
        assert sum(each.startswith("DELETE") for each in texts) == 3
        assert not any("ANY" in each for each in texts)


@isolate_apps("tests.testapp")
def test_rows_that_the_server_takes_along_are_counted_as_by_django() -> None:
    class Node(Isolated):
        parent = models.ForeignKey("self", models.DO_NOTHING, null=True)

    with table_of(Node):
        table = connection.ops.quote_name(Node._meta.db_table)
        execute(
            f"ALTER TABLE {table} ADD FOREIGN KEY (parent_id) REFERENCES {table} "
            "ON DELETE CASCADE"
        )
        Node.objects.bulk_create(
            Node(pk=i, parent_id=None if i == COUNT else COUNT) for i in KEYS[::-1]
        )

        with djangos_writes(), signalled():
            expected = outcome(Node.objects.all().delete, Node)
        with arrays_of_keys() as sent, signalled():
            assert outcome(Node.objects.all().delete, Node) == expected
        assert sent == []


def test_a_field_that_is_patched_is_asked() -> None:
    deleted(DELETES["a table"][0])
    with (
        arrays_of_keys() as sent,
        noted(models.UUIDField, "get_db_prep_value") as called,
    ):
        deleted(DELETES["a table"][0])
    assert sent == []
    assert len(called) >= COUNT


@pytest.mark.parametrize("way", ["async", "run_sync", "thread"])
async def test_in_a_block(way: str) -> None:
    def delete() -> Any:
        with transaction.atomic():
            found = UuidKey.objects.all().delete()
            transaction.set_rollback(True)
        return found

    wanted = COUNT, {"testapp.UuidKey": COUNT}
    with signalled() as said, arrays_of_keys() as sent:
        async with new_connection():
            if way == "async":
                async with transaction.atomic():
                    assert await UuidKey.objects.all().adelete() == wanted
                    await transaction.aset_rollback(True)
            elif way == "run_sync":
                assert await run_sync(delete) == wanted
            else:
                assert await sync_to_async(delete)() == wanted
            assert await UuidKey.objects.acount() == COUNT
    assert len(said) == 2 * COUNT
    assert sent == ([] if way == "thread" else [1])

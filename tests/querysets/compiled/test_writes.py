"""INSERT, UPDATE and DELETE like one before: Django's statements, rows and errors."""

import gc
import weakref
from contextlib import suppress
from typing import Any
from unittest import mock

import pytest
from django import VERSION
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, connection, models, transaction
from django.db.models import F, Value
from django.db.models.functions import Upper
from django.test.utils import CaptureQueriesContext, isolate_apps

from django_async_fast import new_connection, run_sync
from django_async_fast.querysets.compiled import (
    deletes,
    filtered_deletes,
    filtered_updates,
    filtered_writes,
    inserts,
    tree,
    updates,
    verify,
)
from tests.support.tables import Isolated, restart_sequences, table_of
from tests.testapp.models import Author, Book, Reading, Tag, Unique

from .writing import WRITES, djangos_writes, forget, outcome, refused, write_all

pytestmark = pytest.mark.core


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.usefixtures("written")
def test_as_django_has_it(name: str) -> None:
    write = WRITES[name]
    with djangos_writes():
        expected = outcome(write)
    for _ in range(3):  # the first of its kind, and two by it
        assert outcome(write) == expected
    found, _, rows = expected
    with mock.patch.object(verify, "ON", True):
        assert outcome(write, watched=False) == (found, [], rows)


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.usefixtures("written")
async def test_in_a_block_too(name: str) -> None:
    def both() -> None:
        with djangos_writes():
            found, _, rows = outcome(WRITES[name])
        for _ in range(3):
            assert outcome(WRITES[name], watched=False) == (found, [], rows)

    async with new_connection():
        await run_sync(both)


@pytest.mark.not_verified
def test_compiled_once() -> None:
    forget(Unique)
    write_all()
    learnt = dict(vars(Unique._meta)["_daf_writes"])
    assert len(learnt) == 7
    assert None not in learnt.values()
    with (
        refused(inserts.InsertCall, "_compiler"),
        refused(updates.UpdateCall, "_compiler"),
        refused(filtered_writes.FilteredCall, "compiled"),
        refused(deletes._DeleteCall, "_compiler"),
    ):
        write_all()
    assert vars(Unique._meta)["_daf_writes"] == learnt


@pytest.mark.parametrize(
    "name",
    [
        *("update", "update with F", "update all", "update lists"),
        *("update a proxy", "update a date", "update with more F", "update by text"),
        *("update with columns", "update excluded", "update either"),
        *("update by null", "update by isnull", "update ordered"),
        *("update a relation by an object", "update by several"),
    ],
)
@pytest.mark.usefixtures("written")
def test_updates_that_are_compiled_once(name: str) -> None:
    for _ in range(2):
        expected = outcome(WRITES[name])
    with refused(filtered_updates._Call, "django"):
        assert outcome(WRITES[name]) == expected


@pytest.mark.parametrize(
    "name", ["delete some rows", "delete rows", "delete joined rows", "remove", "clear"]
)
@pytest.mark.usefixtures("written")
def test_deletes_that_are_compiled_once(name: str) -> None:
    for _ in range(2):
        expected = outcome(WRITES[name])
    call, delete = filtered_deletes._Call, filtered_deletes.delete
    with refused(call, "compiled"), refused(delete, "__wrapped__"):
        assert outcome(WRITES[name]) == expected


@pytest.mark.not_verified
@isolate_apps("tests.testapp")
def test_a_field_is_asked_once_for_each_value() -> None:
    asked: list[Any] = []

    class Asked(models.IntegerField):
        def get_db_prep_save(self, value: Any, connection: Any) -> Any:
            asked.append(value)
            return super().get_db_prep_save(value, connection)

    class Counter(Isolated):
        count = Asked()
        name = models.TextField(default="")

    def write() -> list[Any]:
        asked.clear()
        counter = Counter.objects.create(count=1)
        counter.count = 2
        counter.save()
        counter.save(update_fields=["count"])
        Counter.objects.filter(pk=counter.pk).update(count=3)
        Counter.objects.bulk_create([Counter(count=4)])
        # What Django compiles, it asks for the rest of.
        counter = Counter.objects.create(count=5, name=Upper(Value("x")))
        counter.count, counter.name = 6, Upper(Value("y"))
        counter.save()
        Counter.objects.bulk_create(
            [Counter(count=7), Counter(count=8, name=Upper(Value("x")))]
        )
        with suppress(ValueError):
            Counter.objects.update(name="n", count="x")
        return asked.copy()

    with table_of(Counter):
        assert [write() for _ in range(3)] == [[1, 2, 2, 3, 4, 5, 6, 7, 8, "x"]] * 3


@isolate_apps("tests.testapp")
def test_a_field_makes_another_of_each_expression() -> None:
    more = 0

    class Growing(models.IntegerField):
        def get_db_prep_save(self, value: Any, connection: Any) -> Any:
            if hasattr(value, "resolve_expression"):
                return Value(more)
            return super().get_db_prep_save(value, connection)

    class Plant(Isolated):
        height = Growing()

    with table_of(Plant):
        Plant.objects.create(height=0)
        for more in (1, 2, 3):
            Plant.objects.update(height=F("height") + 1)
            assert Plant.objects.get().height == more


@isolate_apps("tests.testapp")
def test_a_field_that_is_given_a_way_to_save_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Plant(Isolated):
        height = models.IntegerField()

    def grown(self: Any, value: Any, connection: Any) -> Any:
        return Value(100)

    with table_of(Plant):
        Plant.objects.create(height=0)
        for _ in range(3):
            Plant.objects.update(height=F("height") + 1)
        monkeypatch.setattr(models.IntegerField, "get_db_prep_save", grown)
        Plant.objects.update(height=F("height") + 1)
        assert Plant.objects.get().height == 100


@isolate_apps("tests.testapp")
def test_a_field_makes_another_of_none() -> None:
    class Filled(models.TextField):
        def get_prep_value(self, value: Any) -> Any:
            return super().get_prep_value("unknown" if value is None else value)

    class Emptied(models.TextField):
        def get_prep_value(self, value: Any) -> Any:
            return value or None

    class Plant(Isolated):
        name = Filled(null=True)
        other = Emptied(null=True)

    with table_of(Plant):
        plant = Plant.objects.create(name="x", other="y")
        values = {each.name: each for each in Plant._meta.fields}
        given = [(values["name"], None, None), (values["other"], None, "")]
        rest = (None, False, ())[: 3 if VERSION >= (6,) else 2]
        for _ in range(3):
            rows = Plant.objects.filter(pk=plant.pk)
            rows.update(name="x", other="y")
            Plant.objects.filter(pk=plant.pk).update(name=None)
            assert rows.values_list("name", "other").get() == ("unknown", "y")
            rows.update(other="")
            assert rows.values_list("name", "other").get() == ("unknown", None)
            rows.update(name="x", other="y")
            all_rows = Plant._base_manager.using("default")
            plant._do_update(all_rows, "default", plant.pk, given, *rest)
            assert rows.values_list("name", "other").get() == ("unknown", None)


def test_a_delete_of_locked_rows_locks_none() -> None:
    for i in range(4):
        author = Author.objects.create(name=str(i))
        book = Book.objects.create(author=author, title="x", pages=1)
        Reading.objects.create(book=book, reader=author)
        rows = Reading.objects.select_for_update()
        with CaptureQueriesContext(connection) as queries:
            rows.filter(book__title=book.title, book__pages=1).delete()
        sent = " ".join(query["sql"] for query in queries)
        assert "DELETE" in sent
        assert "FOR UPDATE" not in sent


def test_logged_as_djangos() -> None:
    logged = []
    for _ in range(3):
        restart_sequences()
        with CaptureQueriesContext(connection) as queries:
            write_all()
        logged.append([each["sql"] for each in queries])
    assert logged[0] == logged[1] == logged[2]
    assert len(logged[0]) == 5


def test_verify_mode_tells_a_difference() -> None:
    forget(Unique)
    write_all()
    write_all()
    entries = vars(Unique._meta)["_daf_writes"]
    (entry,) = [each for key, each in entries.items() if key[0] == "insert"]
    entry.sql = entry.sql.replace("VALUES", "VALUES ")
    try:
        with (
            mock.patch.object(verify, "ON", True),
            pytest.raises(verify.Difference, match="VALUES  "),
        ):
            Unique.objects.create(key="k")
    finally:
        forget(Unique)


def test_nothing_of_a_write_is_kept() -> None:
    class Text(str):
        __slots__ = ("__weakref__",)

    for _ in range(2):
        forget(Unique)
        for _ in range(3):
            text = Text("kept?")
            gone = weakref.ref(text)
            made = Unique.objects.create(key=text)
            made.save()
            Unique.objects.filter(key=text).update(key=text)
            Unique.objects.update(key=Upper(Value(text)))
            made.delete()
            del text, made
            gc.collect()
            assert gone() is None


@pytest.mark.usefixtures("written")
def test_nothing_of_an_update_is_kept() -> None:
    class Number(float):
        pass

    for _ in range(2):
        tree.clear()
        for number in range(4):
            kept = Number(number), Number(1), Author.objects.get(pk=7)
            gone = [weakref.ref(each) for each in kept]
            rows = Book.objects.filter(author=kept[2])
            assert rows.update(pages=kept[0], price=F("pages") * kept[1]) == 1
            assert Book.objects.get(pk=1).pages == number
            del kept, rows
            gc.collect()
            assert not any(each() for each in gone)


async def test_a_failed_write_in_a_block_is_rolled_back() -> None:
    async with new_connection():
        for _ in range(3):
            await run_sync(write_all)
        async with transaction.atomic():
            await Unique.objects.acreate(key="a")
            with pytest.raises(DatabaseError):
                async with transaction.atomic():
                    await Unique.objects.acreate(key="a")
            await Unique.objects.acreate(key="b")
        assert await Unique.objects.acount() == 2


def test_a_broken_transaction() -> None:
    write_all()
    made = Unique.objects.create(key="x")
    with transaction.atomic():
        transaction.set_rollback(True)
        for write in (made.save, made.delete, Unique(key="y").save):
            with pytest.raises(transaction.TransactionManagementError):
                write()


def test_a_value_that_cannot_be_prepared_breaks_the_transaction() -> None:
    for value in ("1", "2"):
        Unique.objects.filter(key="x").update(value=value)
    for wrong in ("x", "y"):
        with transaction.atomic():
            with pytest.raises(ValueError, match="expected a number"):
                Unique.objects.filter(key="x").update(value=wrong)
            assert connection.needs_rollback
            transaction.set_rollback(True)


async def test_a_row_that_is_gone_is_made_in_a_block() -> None:
    none = "did not affect any rows"
    async with new_connection():
        for number in range(1, 4):
            gone = Author(pk=1000 + number, name="x")
            with pytest.raises(DatabaseError, match=f"Forced update {none}"):
                await gone.asave(force_update=True)
            with pytest.raises(DatabaseError, match=f"Save with update_fields {none}"):
                await gone.asave(update_fields=["name"])
            await gone.asave()
            assert await Author.objects.acount() == number


async def test_a_known_write_that_is_not_awaited_is_named() -> None:
    def write() -> None:
        tag = Tag.objects.create(name="n")
        tag.save()
        Tag.objects.filter(pk=tag.pk).update(name="m")

    async with new_connection():
        for _ in range(2):
            async with transaction.atomic():
                await run_sync(write)
                await run_sync(transaction.set_rollback, True)
        for refused in (
            Tag(name="x").save,
            Tag(pk=1, name="x").save,
            lambda: Tag.objects.filter(pk=1).update(name="m"),
        ):
            with pytest.raises(SynchronousOnlyOperation, match="query for Tag objects"):
                refused()

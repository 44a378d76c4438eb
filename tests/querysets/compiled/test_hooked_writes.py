"""What takes part in a write is called as ever: signals, fields, managers, tools."""

import itertools
from typing import Any
from unittest import mock

import pytest
from django.core.files.base import ContentFile
from django.db import DatabaseError, connection, models, transaction
from django.db.models import QuerySet, Value
from django.db.models.functions import Upper
from django.db.models.lookups import Exact, In
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.db.models.sql.compiler import SQLInsertCompiler
from django.test.utils import isolate_apps, register_lookup

from tests.support.noted import noted
from tests.support.signals import receiving
from tests.support.tables import Isolated, table_of
from tests.testapp.models import Author, Everything, Unique

from .writing import djangos_writes, outcome, write_all

pytestmark = pytest.mark.core


def test_signals_come_as_ever() -> None:
    seen: list[Any] = []

    def receiver(signal: Any, **kwargs: Any) -> None:
        seen.append((signal, kwargs.get("created"), kwargs.get("update_fields")))

    signals = pre_save, post_save, pre_delete, post_delete
    with receiving(receiver, *signals, sender=Unique):
        for _ in range(3):
            seen.clear()
            write_all()
            assert seen == [
                *((pre_save, None, None), (post_save, True, None)),
                *((pre_save, None, None), (post_save, False, None)),
                *((pre_save, None, {"value"}), (post_save, False, {"value"})),
                *((pre_delete, None, None), (post_delete, None, None)),
            ]


class Counter(models.CharField):
    """Counts how often it is asked for what is saved; gives an expression at times."""

    calls = 0
    expression: Any = None

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        Counter.calls += 1
        value = super().pre_save(model_instance, add)
        return value if self.expression is None else self.expression


@isolate_apps("tests.testapp")
def test_pre_save_is_called_as_often_as_by_django() -> None:
    class Counted(Isolated):
        name = Counter(max_length=10)
        other = models.CharField(max_length=10, default="o")

    def calls(expression: Any = None) -> int:
        Counter.calls = 0
        with mock.patch.object(Counter, "expression", expression):
            Counted.objects.create(name="n").save()
        return Counter.calls

    with table_of(Counted):
        with djangos_writes():
            plain, expression = calls(), calls(Upper(Value("x")))
        for _ in range(3):
            assert calls() == plain
            assert calls(Upper(Value("x"))) == expression
        assert [*Counted.objects.values_list("name", flat=True)].count("X") == 4


@isolate_apps("tests.testapp")
def test_database_defaults_are_the_databases() -> None:
    class Defaulted(Isolated):
        name = models.CharField(max_length=10, db_default="from db")
        size = models.IntegerField(db_default=3)

    with table_of(Defaulted):
        for _ in range(3):
            for given in ({}, {"name": "x"}, {"name": "x", "size": 5}):
                made = Defaulted.objects.create(**given)
                wanted = {"name": "from db", "size": 3} | given
                assert {"name": made.name, "size": made.size} == wanted
            made.size = 6
            made.save()
            made.refresh_from_db()
            assert made.size == 6


@isolate_apps("tests.testapp")
def test_keys_that_their_field_makes() -> None:
    class Counting(models.BigAutoField):  # type: ignore[type-arg]
        def get_pk_value_on_save(self, instance: Any) -> int:
            return next(numbers)

    class Given(Isolated):
        id = models.BigAutoField(primary_key=True, default=lambda: next(numbers))
        name = models.CharField(max_length=10, default="")

    class Counted(Isolated):
        id = Counting(primary_key=True)
        name = models.CharField(max_length=10, default="")

    for kind in (Given, Counted):
        with table_of(kind):
            for first in (1000, 2000, 3000):
                numbers = itertools.count(first)
                made = kind(id=None)
                made.save()
                assert made.pk == first
                made.name = "x"
                made.save()
                again = kind(id=None, name="y")
                again._state.adding = False
                again.save()
                assert again.pk == first + 1
            assert sorted(kind.objects.values_list("pk", "name")) == [
                (first + i, "xy"[i]) for first in (1000, 2000, 3000) for i in (0, 1)
            ]


@pytest.mark.parametrize("name", ["_do_insert", "_do_update"])
def test_a_method_of_the_instance_alone_is_called(name: str) -> None:
    for _ in range(3):
        author = Author(name="a")
        author.save()
        author.save()
    if name == "_do_insert":
        author = Author(name="c")
    with (
        mock.patch.object(author, name, side_effect=ZeroDivisionError),
        pytest.raises(ZeroDivisionError),
    ):
        author.save()


@isolate_apps("tests.testapp")
def test_a_base_manager_that_filters() -> None:
    class Some(models.Manager):
        def get_queryset(self) -> Any:
            return super().get_queryset().filter(size__gt=0)

    class Filtered(models.Model):
        size = models.IntegerField()
        objects = Some()

        class Meta:
            app_label = "testapp"
            base_manager_name = "objects"

    with table_of(Filtered):
        made = Filtered.objects.create(size=1)
        for _ in range(3):
            made.save(force_update=True)
        Filtered.objects.bulk_create([Filtered(pk=50, size=0)])
        for _ in range(3):
            with pytest.raises(DatabaseError, match="did not affect any rows"):
                Filtered(pk=50, size=2).save(force_update=True)


def test_a_tool_that_replaces_the_compiler() -> None:
    write_all()
    with mock.patch.object(SQLInsertCompiler, "execute_sql", autospec=True) as replaced:
        replaced.side_effect = ZeroDivisionError
        with pytest.raises(ZeroDivisionError):
            Unique.objects.create(key="k")
    write_all()


def test_a_tool_that_replaces_update() -> None:
    made = Unique.objects.create(key="x")
    for name in ("_insert", "update"):
        with noted(QuerySet, name) as called:
            write_all()
        assert called
    with mock.patch.object(QuerySet, "_update", autospec=True) as replaced:
        replaced.side_effect = ZeroDivisionError
        with pytest.raises(ZeroDivisionError):
            made.save()
    made.save()


def test_a_lookup_of_ones_own() -> None:
    never = {"as_sql": lambda *args: ("1 = 0", ())}
    write_all()
    made = Unique.objects.create(key="x")
    key = type(Unique._meta.pk)
    with (
        register_lookup(key, type("Never", (Exact,), never), lookup_name="exact"),
        register_lookup(key, type("NeverIn", (In,), never), lookup_name="in"),
    ):
        with pytest.raises(DatabaseError, match="did not affect any rows"):
            made.save(force_update=True)
        assert Unique.objects.filter(pk=made.pk).update(value=1) == 0
        assert Unique(pk=made.pk).delete()[0] == 0
    made.save(force_update=True)


def test_files_are_written_once(settings_override: Any, tmp_path: Any) -> None:
    settings_override(MEDIA_ROOT=str(tmp_path))
    for number in range(3):
        made = Everything.objects.create(file=ContentFile(b"x", name=f"f{number}"))
        assert made.file.name == f"files/f{number}"
        made.refresh_from_db()
        assert made.file.read() == b"x"
        made.file.close()
    assert len([*(tmp_path / "files").iterdir()]) == 3


def test_a_table_that_gets_another_name() -> None:
    write_all()
    write_all()
    with (
        mock.patch.object(Unique._meta, "db_table", "another"),
        pytest.raises(DatabaseError, match="another"),
        transaction.atomic(),
    ):
        Unique.objects.create(key="k")


def test_the_features_decide_too() -> None:
    write_all()
    name = "can_return_columns_from_insert"
    if not hasattr(connection.features, name):
        pytest.skip("Django 5.2")
    with mock.patch.object(connection.features, name, False):
        with djangos_writes():
            expected = outcome(lambda: Unique.objects.create(key="x"))
        assert outcome(lambda: Unique.objects.create(key="x")) == expected

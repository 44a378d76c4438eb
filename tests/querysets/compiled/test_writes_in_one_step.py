"""Rows of one table saved in one step, and the models and fields that ask for more."""

import datetime as dt
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.db import connection, models, transaction
from django.db.models import QuerySet
from django.test.utils import isolate_apps

from tests.support.describe import Queries
from tests.support.tables import Isolated, table_of
from tests.testapp.models import Author, Book, CharKey, Novel, UuidKey

from .writing import NOON, djangos_writes, forget, in_one_step

pytestmark = pytest.mark.core


def test_rows_are_saved_in_one_step() -> None:
    def write() -> None:
        author = Author.objects.create(name="a")
        author.save()
        author.save(update_fields=["name"])
        novel = Novel.objects.create(title="n", author=author, price="1.50")
        novel.save()
        UuidKey.objects.create(name="u").save()
        CharKey.objects.create(pk=str(author.pk))

    for model in (Author, Book, Novel, UuidKey, CharKey):
        forget(model)  # what other tests have left, or have made no statement of
    write()
    with in_one_step():
        write()


def test_rows_are_saved_in_one_step_when_more_models_are_made() -> None:
    def write() -> None:
        Author.objects.create(name="a").save()

    forget(Author)
    write()
    # Wherever a class of models is made, Django has all of them forget what it found.
    before = Author._base_manager
    apps.clear_cache()
    assert Author._base_manager is not before
    write()
    with in_one_step():
        write()


@isolate_apps("tests.testapp")
@pytest.mark.parametrize("first", [False, True])
def test_stamps_can_be_switched(first: bool) -> None:
    class Switched(Isolated):
        made = models.DateTimeField(auto_now_add=True)
        changed = models.DateTimeField(auto_now=True)

    made, changed = map(Switched._meta.get_field, ("made", "changed"))
    old = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
    with table_of(Switched):
        for stamps in (first, not first, first):
            made.auto_now_add = changed.auto_now = stamps
            for _ in range(3):
                each = Switched(made=old, changed=old)
                each.save()
                assert (each.made != old, each.changed != old) == (stamps, stamps)
                each.changed = old
                each.save()
                each.refresh_from_db()
                assert (each.made != old, each.changed != old) == (stamps, stamps)


@isolate_apps("tests.testapp")
def test_stamps_are_as_many_as_djangos() -> None:
    class Stamped(Isolated):
        name = models.CharField(max_length=10)
        made = models.DateTimeField(auto_now_add=True)
        changed = models.DateTimeField(auto_now=True)
        day = models.DateField(auto_now=True)
        size = models.IntegerField(null=True)

    def stamps() -> Any:
        now = mock.Mock(
            side_effect=[NOON + dt.timedelta(hours=hour) for hour in range(20)]
        )
        with mock.patch("django.utils.timezone.now", now):
            one = Stamped.objects.create(name="n")
            seen = [one.made, one.changed, one.day]
            one.save()
            seen += [one.made, one.changed]
            one.save(update_fields=["changed"])
            one.size = 1
            one.save()
            one.refresh_from_db()
            return [*seen, one.made, one.changed, now.call_count]

    with table_of(Stamped):
        with djangos_writes():
            expected = stamps()
        assert stamps() == expected
        with in_one_step():
            assert stamps() == expected


@isolate_apps("tests.testapp")
def test_an_attribute_of_ones_own_is_asked() -> None:
    class Loud:
        def __get__(self, instance: Any, owner: Any = None) -> Any:
            return self if instance is None else instance.__dict__["name"] + "!"

        def __set__(self, instance: Any, value: Any) -> None:
            instance.__dict__["name"] = value

    class Attributed(Isolated):
        name = models.CharField(max_length=10)

    with table_of(Attributed):
        for name in ("n", "n!", "n!"):
            if name == "n!":
                Attributed.name = Loud()  # type: ignore[assignment]
            made = Attributed.objects.create(name="n")
            made.save()
            assert Attributed.objects.filter(pk=made.pk, name=name).exists()


@isolate_apps("tests.testapp")
def test_what_a_tool_puts_into_a_field_or_a_model_is_called() -> None:
    class Patched(Isolated):
        name = models.CharField(max_length=10)

    field: Any = Patched._meta.get_field("name")
    with table_of(Patched):
        made = Patched.objects.create(name="n")
        made.save()
        for owner, name in (
            (field, "pre_save"),
            (field, "get_db_prep_save"),
            (models.CharField, "get_prep_value"),
        ):
            with mock.patch.object(owner, name, return_value="tool"):
                made.save()
                assert Patched.objects.values_list("name", flat=True)[0] == "tool"
            made.save()
        for name in ("_do_update", "_do_insert"):
            with mock.patch.object(Patched, name, return_value=[()]) as tool:
                (made if name == "_do_update" else Patched(name="n")).save()
            assert tool.called
            Patched(name="n").save()
        asked = mock.Mock(side_effect=ZeroDivisionError)
        kind = type("Own", (QuerySet,), {"_update": asked, "_insert": asked})
        manager = Patched._base_manager
        for owner, name, value in (
            (manager, "_queryset_class", kind),
            (manager, "get_queryset", asked),
        ):
            with mock.patch.object(owner, name, value):
                for each in (made, Patched(name="n")):
                    with pytest.raises(ZeroDivisionError):
                        each.save()
        field_added = models.CharField(max_length=10, default="d")
        field_added.contribute_to_class(Patched, "added")
        with connection.schema_editor() as editor:
            editor.add_field(Patched, field_added)
        Patched(pk=made.pk, name="n", added="x").save()
        assert Patched.objects.get(pk=made.pk).added == "x"  # type: ignore[attr-defined]


@isolate_apps("tests.testapp")
def test_options_of_models_that_ask_first() -> None:
    class Asked(models.Model):
        name = models.CharField(max_length=10, null=True)

        class Meta:
            app_label = "testapp"
            select_on_save = True

    class Proxied(Author):
        class Meta:
            app_label = "testapp"
            proxy = True
            select_on_save = True

    class Ordered(models.Model):
        asked = models.ForeignKey(Asked, models.CASCADE)

        class Meta:
            app_label = "testapp"
            order_with_respect_to = "asked"

    def write() -> Any:
        queries = Queries()
        with transaction.atomic(), connection.execute_wrapper(queries):
            one = Asked(pk=5, name="n")
            one.save()
            one.save(force_update=True)
            proxied = Proxied.objects.create(name="x")
            proxied.save()
            proxied.save(force_update=True)
            rows = [Ordered.objects.create(asked=one)._order for _ in "ab"]  # type: ignore[attr-defined]
            transaction.set_rollback(True)
        return rows, len(queries)

    with table_of(Asked), table_of(Ordered):
        with djangos_writes():
            expected = write()
        for _ in range(3):
            assert write() == expected

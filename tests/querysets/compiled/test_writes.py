"""INSERT, UPDATE and DELETE like one before: the same statements, rows and errors as
Django's own."""

from __future__ import annotations

import datetime as dt
import decimal
import gc
import itertools
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import SynchronousOnlyOperation
from django.core.files.base import ContentFile
from django.db import DatabaseError, connection, models, transaction
from django.db.models import Case, F, Max, Q, QuerySet, Value, When
from django.db.models.functions import Upper
from django.db.models.lookups import Exact, In
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.db.models.sql.compiler import SQLInsertCompiler
from django.test.utils import CaptureQueriesContext, isolate_apps, register_lookup

from django_async_fast import new_connection, run_sync
from django_async_fast.querysets.compiled import (
    deletes,
    filtered_deletes,
    filtered_updates,
    filtered_writes,
    inserts,
    replaced_writes,
    saves,
    tree,
    updates,
    verify,
)
from tests.support.describe import Queries, described
from tests.support.tables import restart_sequences, table_of
from tests.support.without_seams import without
from tests.testapp.models import (
    Author,
    Bestseller,
    Book,
    CharKey,
    CountsSaves,
    Everything,
    Novel,
    Profile,
    Publisher,
    Tag,
    Unique,
    UuidKey,
)

pytestmark = pytest.mark.core


def djangos_writes() -> AbstractContextManager[None]:
    return without(replaced_writes.REPLACED)


@pytest.fixture
def library() -> Any:
    author = Author.objects.create(pk=7, name="o'neill \\ 50% é")
    Profile.objects.create(pk=3, author=author, bio="b")
    publisher = Publisher.objects.create(pk=2**40, name="p")
    Novel.objects.create(pk=1, title="t", author=author, publisher=publisher)
    Tag.objects.create(pk=5, name="five")
    Everything.objects.create(pk=1, small=5)
    UuidKey.objects.create(pk=uuid.UUID(int=1), name="n")
    CharKey.objects.create(pk="a%s'")
    # A cascade to notes asks for these once.
    ContentType.objects.get_for_models(Book, Novel)


def outcome(write: Callable[[], Any], watched: bool = True) -> Any:
    """Return all there is to know of a write: its statements, result, and the rows."""
    restart_sequences()
    queries, rows = Queries(), None
    with transaction.atomic():
        try:
            with transaction.atomic():
                if watched:
                    with connection.execute_wrapper(queries):
                        found = described(write())
                else:
                    found = described(write())
        except Exception as exc:
            found = type(exc), str(exc)
        kinds = (Author, Book, CharKey, Everything, Profile, Publisher, Tag, Unique)
        rows = [
            described([*kind.objects.order_by("pk").values_list()]) for kind in kinds
        ]
        transaction.set_rollback(True)
    return found, queries, rows


def changed(instance: Any, **changes: Any) -> Any:
    for name, value in changes.items():
        setattr(instance, name, value)
    return instance


def saved(instance: Any, **options: Any) -> Any:
    instance.save(**options)
    return instance


NOON = dt.datetime(2001, 2, 3, 12, tzinfo=dt.UTC)

WRITES: dict[str, Callable[[], Any]] = {
    "create": lambda: Author.objects.create(name="'%s' \\ é"),
    "create with a key": lambda: Author.objects.create(pk=8, name="x"),
    "create twice": lambda: [Author.objects.create(name=n) for n in ("a", "b")],
    "create a key that is there": lambda: Author.objects.create(pk=7, name="x"),
    "create None": lambda: Author.objects.create(name=None),
    "create too long": lambda: Author.objects.create(name="x" * 101),
    "create with a null byte": lambda: Author.objects.create(name="\0"),
    "create a lazy text": lambda: Author.objects.create(name=Upper(Value("x"))),
    "create an expression": lambda: Author.objects.create(name=F("id")),
    "create every type": lambda: Everything.objects.create(
        small=-1, integer=-2, big=-(2**62), positive=3, char="c", text="%", slug="s",
        email="e@example.org", url="u", boolean=True, decimal=decimal.Decimal("1.5"),
        float=float("nan"), datetime=NOON, date=NOON.date(), time=NOON.time(),
        duration=dt.timedelta(days=-1, microseconds=3), uuid=uuid.UUID(int=3),
        json={"a": [1, None]}, inet="::1", binary=b"\0\\", file="f",
    ),
    "create of text": lambda: Everything.objects.create(
        small="1", decimal="1.5", datetime="2001-02-03T04:05:06Z", date="2001-02-03",
        time="01:02", uuid=str(uuid.UUID(int=3)), boolean="1", json="j", float="1",
    ),
    "create nothing": lambda: Everything.objects.create(),
    "create a number that is none": lambda: Everything.objects.create(small="x"),
    "create a number too big": lambda: Everything.objects.create(small=2**40),
    "create a JSON null": lambda: Everything.objects.create(
        json=Value(None, models.JSONField())
    ),
    "create in upper case": lambda: Everything.objects.create(
        small=1, char=Upper(Value("x"))
    ),
    "create without a sequence": lambda: CharKey.objects.create(pk="%%"),
    "create a UUID key": lambda: UuidKey.objects.create(pk=uuid.UUID(int=2)),
    "create a child": lambda: Novel.objects.create(
        title="n", author_id=7, genre="g", price="1.50"
    ),
    "create with a related object": lambda: Book.objects.create(
        title="r", author=Author.objects.get(pk=7)
    ),
    "create with an unsaved one": lambda: Book.objects.create(
        title="r", author=Author(name="x")
    ),
    "create through a relation": lambda: Author(pk=7).books.create(title="x"),
    "create one's own save": lambda: CountsSaves.objects.create(name="x"),
    "create in bulk": lambda: Tag.objects.bulk_create([Tag(name="x")]),
    "create more in bulk": lambda: Tag.objects.bulk_create(
        [Tag(name="x"), Tag(name="y")]
    ),
    "create in bulk, ignoring": lambda: Tag.objects.bulk_create(
        [Tag(pk=9, name="five")], ignore_conflicts=True
    ),
    "create in bulk, updating": lambda: Unique.objects.bulk_create(
        [Unique(key="k", value=1)],
        update_conflicts=True, unique_fields=["key"], update_fields=["value"],
    ),
    "get or create": lambda: Tag.objects.get_or_create(name="new"),
    "update or create": lambda: [
        Unique.objects.update_or_create(key="k", defaults={"value": i}) for i in (1, 2)
    ],
    "add": lambda: Book.objects.get(pk=1).tags.add(5),
    "add twice": lambda: [Book.objects.get(pk=1).tags.add(5) for _ in "ab"],
    "set": lambda: Book.objects.get(pk=1).tags.set([5]),
    "save": lambda: saved(changed(Author.objects.get(pk=7), name="%s")),
    "save fields": lambda: saved(
        changed(Book.objects.get(pk=1), title="x", pages=3), update_fields=["pages"]
    ),
    "save other fields": lambda: saved(
        changed(Book.objects.get(pk=1), title="x"), update_fields=["title"]
    ),
    "save deferred": lambda: saved(changed(Book.objects.only("pages").get(), pages=1)),
    "save no fields": lambda: saved(Book.objects.get(pk=1), update_fields=[]),
    "save what is gone": lambda: saved(Author(pk=99, name="new")),
    "update what is gone": lambda: saved(Author(pk=99, name="x"), force_update=True),
    "update fields of what is gone": lambda: saved(
        Author(pk=99, name="x"), update_fields=["name"]
    ),
    "force an insert": lambda: saved(Author(pk=7, name="x"), force_insert=True),
    "save a key of text": lambda: saved(Author(pk="7", name="x")),
    "save a key too big": lambda: saved(Author(pk=2**70, name="x")),
    "save an expression": lambda: saved(
        changed(Book.objects.get(pk=1), pages=F("pages") + 1)
    ).pages,
    "save a child": lambda: saved(changed(Novel.objects.get(pk=1), genre="g", pages=2)),
    "save a UUID key": lambda: saved(UuidKey(pk=uuid.UUID(int=1), name="x")),
    "save nulls at times": lambda: [
        saved(changed(Book.objects.get(pk=1), publisher_id=key)).publisher_id
        for key in (2**40, None, 2**40, None)
    ],
    "save nulls by themselves": lambda: [
        saved(changed(Everything.objects.get(pk=1), small=n), update_fields=["small"])
        for n in (1, None, 1, None)
    ],
    "save only a key": lambda: saved(CharKey(pk="a%s'")),
    "save every type": lambda: saved(
        changed(
            Everything.objects.get(pk=1), small=-1, char="c", boolean=False,
            decimal=decimal.Decimal("1.5"), datetime=NOON, json=[1], binary=b"b",
        )
    ),
    "save an object for a key": lambda: saved(
        changed(Profile.objects.get(pk=3), author_id=Author.objects.get(pk=7))
    ),
    "save raw": lambda: Author(pk=7, name="raw").save_base(raw=True),
    "update": lambda: Book.objects.filter(pk=1).update(title="%s", pages=3),
    "update with F": lambda: Book.objects.filter(pk=1).update(pages=F("pages") + 1),
    "update with more F": lambda: Book.objects.filter(pk=1, pages__lt=5).update(
        pages=F("pages") * 2.5, title=F("id"), price=F("price") - decimal.Decimal("1.1")
    ),
    "update with F of text": lambda: Book.objects.filter(pk=1).update(
        pages=F("pages") + "x"
    ),
    "update the right side": lambda: Book.objects.filter(pk=1).update(
        pages=5 - F("pages")
    ),
    "update a date": lambda: Book.objects.filter(pk=1).update(
        published=F("published") + dt.timedelta(days=1)
    ),
    "update with columns": lambda: Book.objects.filter(pages__gt=-9).update(
        pages=F("pages") * F("pages") + 2 - F("id"), title=Value("v")
    ),
    "update all": lambda: Book.objects.update(in_print=False),
    "update none": lambda: Book.objects.none().update(in_print=False),
    "update an empty list": lambda: Book.objects.filter(pk__in=[]).update(pages=1),
    "update lists": lambda: [
        Book.objects.filter(pk__in=keys).update(pages=1) for keys in ([1], [1, 2], [1])
    ],
    "update by several": lambda: Book.objects.filter(
        pk__gte=0, title__contains="%", title__icontains="T", author=7
    ).update(pages=1),
    "update by text": lambda: Book.objects.filter(title__iexact="T").update(pages=1),
    "update by null": lambda: Book.objects.filter(published=None).update(pages=1),
    "update by isnull": lambda: Book.objects.filter(published__isnull=True).update(
        pages=1
    ),
    "update by F": lambda: Book.objects.filter(pages=F("pages")).update(pages=1),
    "update by a key too big": lambda: Book.objects.filter(pk=2**70).update(pages=1),
    "update excluded": lambda: Book.objects.exclude(pk=2).update(pages=1),
    "update either": lambda: Book.objects.filter(Q(pk=1) | Q(pk=2)).update(pages=1),
    "update ordered": lambda: Book.objects.order_by("title").update(pages=1),
    "update sliced": lambda: Book.objects.all()[:1].update(pages=1),
    "update distinct": lambda: Book.objects.distinct("pages").update(pages=1),
    "update annotated": lambda: Book.objects.annotate(n=F("pages") + 7).update(
        pages=F("n")
    ),
    "update by a relation": lambda: Book.objects.filter(author__name__contains="%")
    .update(pages=1),
    "update a relation": lambda: Book.objects.filter(pk=1).update(publisher=None),
    "update a relation by an object": lambda: Book.objects.filter(pk=1).update(
        author=Author.objects.get(pk=7)
    ),
    "update a parent's field": lambda: Novel.objects.filter(pk=1).update(pages=1),
    "update a child": lambda: Novel.objects.filter(pk=1).update(genre="x", pages=1),
    "update a proxy": lambda: Bestseller.objects.filter(pk=1).update(pages=1),
    "update through a manager": lambda: Book.in_shops.update(pages=1),
    "update through a relation": lambda: Author.objects.get(pk=7).books.update(pages=1),
    "update the key": lambda: Tag.objects.filter(pk=5).update(pk=6),
    "update no such field": lambda: Book.objects.filter(pk=1).update(page=1),
    "update by no such field": lambda: Book.objects.filter(page=1).update(pages=1),
    "update too much": lambda: Book.objects.filter(pk=1).update(pages=2**40),
    "update nothing": lambda: Book.objects.filter(pk=1).update(),
    "update with a relation's F": lambda: Book.objects.update(pages=F("author__id")),
    "update every type": lambda: Everything.objects.filter(pk=1).update(
        small=-1, char="c", boolean=False, json={"a": 1}, uuid=uuid.UUID(int=3),
        decimal=decimal.Decimal("1.5"), datetime=NOON, binary=b"b", inet="::1",
    ),
    "update with a case": lambda: Book.objects.filter(pk=1).update(
        pages=Case(When(pages__gt=1, then=Value(1)), default=Value(2))
    ),
    "update or create, by F": lambda: [
        Unique.objects.update_or_create(
            key="k", defaults={"value": F("value") + 1}, create_defaults={"value": 1}
        )[0].pk
        for _ in range(2)
    ],
    "delete": lambda: Tag.objects.get(pk=5).delete(),
    "delete fast": lambda: Unique.objects.create(key="k").delete(),
    "delete what is gone": lambda: Unique(pk=99).delete(),
    "delete a key of text": lambda: Unique(pk="x").delete(),
    "delete by cascade": lambda: Author.objects.get(pk=7).delete(),
    "delete a child": lambda: Novel.objects.get(pk=1).delete(),
    "delete a queryset": lambda: Tag.objects.filter(pk=5).delete(),
    "delete rows": lambda: Unique.objects.filter(key__in=["k", "l"]).delete(),
    "delete some rows": lambda: [
        Unique.objects.bulk_create([Unique(key=k) for k in ("%s", "l", "m")]),
        Unique.objects.filter(key__in=["%s", "l"]).order_by("-key").delete(),
        Unique.objects.exclude(key="x").delete(),
    ][1:],
    "delete rows of a relation": lambda: Author.objects.get(pk=7).books.filter(
        pages=1
    ).delete(),
    "delete rows by a relation": lambda: Profile.objects.filter(
        author__name__contains="%"
    ).delete(),
    "delete distinct rows": lambda: Profile.objects.distinct().delete(),
    "delete annotated rows": lambda: Profile.objects.annotate(n=Max("pk")).delete(),
    "delete joined rows": lambda: Profile.objects.select_related("author").delete(),
    "delete values": lambda: Profile.objects.values("pk").delete(),
    "delete a slice": lambda: Profile.objects.all()[:1].delete(),
    "delete none": lambda: Profile.objects.none().delete(),
    "delete by an empty list": lambda: Profile.objects.filter(pk__in=[]).delete(),
    "delete by a key too big": lambda: Profile.objects.filter(pk=2**70).delete(),
    "remove": lambda: [
        Book.objects.get(pk=1).tags.add(5), Book.objects.get(pk=1).tags.remove(5)
    ],
    "remove several": lambda: [
        Book.objects.get(pk=1).tags.add(5), Book.objects.get(pk=1).tags.remove(5, 6)
    ],
    "clear": lambda: [
        Book.objects.get(pk=1).tags.add(5), Book.objects.get(pk=1).tags.clear()
    ],
    "clear from the other side": lambda: [
        Tag.objects.get(pk=5).books.add(1), Tag.objects.get(pk=5).books.clear()
    ],
    "delete a protected value": lambda: CharKey(pk="a%s'").delete(),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.usefixtures("library")
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
@pytest.mark.usefixtures("library")
async def test_in_a_block_too(name: str) -> None:
    def both() -> None:
        with djangos_writes():
            found, _, rows = outcome(WRITES[name])
        for _ in range(3):
            assert outcome(WRITES[name], watched=False) == (found, [], rows)

    async with new_connection():
        await run_sync(both)


def forget(model: Any) -> None:
    vars(model._meta).pop("_daf_writes", None)


def write_all() -> None:
    unique = Unique.objects.create(key="k")
    unique.value += 1
    unique.save()
    unique.save(update_fields=["value"])
    Unique.objects.filter(key="k").update(value=F("value") + 1)
    unique.delete()


@pytest.mark.not_verified
def test_compiled_once() -> None:
    forget(Unique)
    write_all()
    learnt = dict(vars(Unique._meta)["_daf_writes"])
    assert len(learnt) == 7
    assert None not in learnt.values()
    with (
        mock.patch.object(inserts.Call, "_compiler", side_effect=AssertionError),
        mock.patch.object(updates.Call, "_compiler", side_effect=AssertionError),
        mock.patch.object(
            filtered_writes.FilteredCall, "compiled", side_effect=AssertionError
        ),
        mock.patch.object(deletes._Call, "_compiler", side_effect=AssertionError),
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
@pytest.mark.usefixtures("library")
def test_updates_that_are_compiled_once(name: str) -> None:
    for _ in range(2):
        expected = outcome(WRITES[name])
    with mock.patch.object(filtered_updates._Call, "django") as djangos:
        assert outcome(WRITES[name]) == expected
    assert not djangos.called


@pytest.mark.parametrize(
    "name", ["delete some rows", "delete rows", "delete joined rows", "remove", "clear"]
)
@pytest.mark.usefixtures("library")
def test_deletes_that_are_compiled_once(name: str) -> None:
    for _ in range(2):
        expected = outcome(WRITES[name])
    with (
        mock.patch.object(filtered_deletes._Call, "django", side_effect=AssertionError),
        mock.patch.object(
            filtered_deletes.delete, "__wrapped__", side_effect=AssertionError
        ),
    ):
        assert outcome(WRITES[name]) == expected


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


def test_signals_come_as_ever() -> None:
    seen: list[Any] = []

    def receiver(signal: Any, **kwargs: Any) -> None:
        seen.append((signal, kwargs.get("created"), kwargs.get("update_fields")))

    signals = pre_save, post_save, pre_delete, post_delete
    for each in signals:
        each.connect(receiver, sender=Unique)
    try:
        for _ in range(3):
            seen.clear()
            write_all()
            assert seen == [
                (pre_save, None, None),
                (post_save, True, None),
                (pre_save, None, None),
                (post_save, False, None),
                (pre_save, None, {"value"}),
                (post_save, False, {"value"}),
                (pre_delete, None, None),
                (post_delete, None, None),
            ]
    finally:
        for each in signals:
            each.disconnect(receiver, sender=Unique)


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
    class Counted(models.Model):
        name = Counter(max_length=10)
        other = models.CharField(max_length=10, default="o")

        class Meta:
            app_label = "testapp"

    def calls(expression: Any = None) -> int:
        Counter.calls, Counter.expression = 0, expression
        try:
            made = Counted.objects.create(name="n")
            made.save()
        finally:
            Counter.expression = None
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
    class Defaulted(models.Model):
        name = models.CharField(max_length=10, db_default="from db")
        size = models.IntegerField(db_default=3)

        class Meta:
            app_label = "testapp"

    with table_of(Defaulted):
        for _ in range(3):
            made = Defaulted.objects.create()
            assert (made.name, made.size) == ("from db", 3)
            made = Defaulted.objects.create(name="x")
            assert (made.name, made.size) == ("x", 3)
            made = Defaulted.objects.create(name="x", size=5)
            assert (made.name, made.size) == ("x", 5)
            made.size = 6
            made.save()
            made.refresh_from_db()
            assert made.size == 6


@isolate_apps("tests.testapp")
def test_keys_that_their_field_makes() -> None:
    class Counting(models.BigAutoField):  # type: ignore[type-arg]
        def get_pk_value_on_save(self, instance: Any) -> int:
            return next(numbers)

    class Given(models.Model):
        id = models.BigAutoField(primary_key=True, default=lambda: next(numbers))
        name = models.CharField(max_length=10, default="")

        class Meta:
            app_label = "testapp"

    class Counted(models.Model):
        id = Counting(primary_key=True)
        name = models.CharField(max_length=10, default="")

        class Meta:
            app_label = "testapp"

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
                (first + i, name)
                for first in (1000, 2000, 3000)
                for i, name in enumerate("xy")
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
        ours = getattr(QuerySet, name)

        def tool(self: Any, *args: Any, _ours: Any = ours, **kwargs: Any) -> Any:
            return _ours(self, *args, **kwargs)

        with mock.patch.object(QuerySet, name, tool):
            write_all()
    with mock.patch.object(QuerySet, "_update", autospec=True) as replaced:
        replaced.side_effect = ZeroDivisionError
        with pytest.raises(ZeroDivisionError):
            made.save()
    made.save()


def test_a_lookup_of_ones_own() -> None:
    class Never(Exact):
        def as_sql(self, compiler: Any, connection: Any) -> Any:
            return "1 = 0", ()

    class NeverIn(In):
        def as_sql(self, compiler: Any, connection: Any) -> Any:
            return "1 = 0", ()

    write_all()
    made = Unique.objects.create(key="x")
    with (
        register_lookup(type(Unique._meta.pk), Never, lookup_name="exact"),
        register_lookup(type(Unique._meta.pk), NeverIn, lookup_name="in"),
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


@pytest.mark.usefixtures("library")
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


# ----- the row of a table, in one step


@contextmanager
def in_one_step() -> Iterator[None]:
    """Fail where Django's own `_save_table()` is called."""
    with (
        mock.patch.object(saves.Call, "django", side_effect=AssertionError),
        mock.patch.object(saves.save_table, "__wrapped__", side_effect=AssertionError),
    ):
        yield


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
    class Switched(models.Model):
        made = models.DateTimeField(auto_now_add=True)
        changed = models.DateTimeField(auto_now=True)

        class Meta:
            app_label = "testapp"

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
    class Stamped(models.Model):
        name = models.CharField(max_length=10)
        made = models.DateTimeField(auto_now_add=True)
        changed = models.DateTimeField(auto_now=True)
        day = models.DateField(auto_now=True)

        class Meta:
            app_label = "testapp"

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

    class Attributed(models.Model):
        name = models.CharField(max_length=10)

        class Meta:
            app_label = "testapp"

    with table_of(Attributed):
        for name in ("n", "n!", "n!"):
            if name == "n!":
                Attributed.name = Loud()  # type: ignore[assignment]
            made = Attributed.objects.create(name="n")
            made.save()
            assert Attributed.objects.filter(pk=made.pk, name=name).exists()


@isolate_apps("tests.testapp")
def test_what_a_tool_puts_into_a_field_or_a_model_is_called() -> None:
    class Patched(models.Model):
        name = models.CharField(max_length=10)

        class Meta:
            app_label = "testapp"

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

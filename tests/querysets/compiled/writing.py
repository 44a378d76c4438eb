"""Writes of every kind, and all there is to know of one: statements, result, rows."""

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any
from unittest import mock

from django.contrib.contenttypes.models import ContentType
from django.db import connection, models, transaction
from django.db.models import Case, F, Max, Q, Value, When
from django.db.models.functions import Abs, Upper
from django.test.utils import register_lookup

from django_async_fast.querysets import replaced_writes
from django_async_fast.querysets.compiled import saves
from tests.querysets.bulk.values import FULL, NOON
from tests.support import describe
from tests.support.describe import Queries, described
from tests.support.tables import restart_sequences
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


def djangos_writes() -> AbstractContextManager[None]:
    return without(replaced_writes.REPLACED)


def fill() -> None:
    """Create a row of each kind that WRITES name."""
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

    def written() -> Any:
        watching = connection.execute_wrapper(queries) if watched else nullcontext()
        with transaction.atomic(), watching:
            return described(write())

    restart_sequences()
    queries = Queries()
    with transaction.atomic():
        found = describe.outcome(written)
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


def one() -> Any:
    return Book.objects.filter(pk=1)


def book() -> Any:
    return Book.objects.get(pk=1)


@register_lookup(models.IntegerField, Abs)
def absolute(pages: Any) -> Any:
    return Book.objects.update(pages=pages)


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
        **FULL | {"float": float("nan"), "binary": b"\0\\"}
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
    "add": lambda: book().tags.add(5),
    "add twice": lambda: [book().tags.add(5) for _ in "ab"],
    "set": lambda: book().tags.set([5]),
    "save": lambda: saved(changed(Author.objects.get(pk=7), name="%s")),
    "save fields": lambda: saved(
        changed(book(), title="x", pages=3), update_fields=["pages"]
    ),
    "save other fields": lambda: saved(
        changed(book(), title="x"), update_fields=["title"]
    ),
    "save deferred": lambda: saved(changed(Book.objects.only("pages").get(), pages=1)),
    "save no fields": lambda: saved(book(), update_fields=[]),
    "save what is gone": lambda: saved(Author(pk=99, name="new")),
    "update what is gone": lambda: saved(Author(pk=99, name="x"), force_update=True),
    "update fields of what is gone": lambda: saved(
        Author(pk=99, name="x"), update_fields=["name"]
    ),
    "force an insert": lambda: saved(Author(pk=7, name="x"), force_insert=True),
    "save a key of text": lambda: saved(Author(pk="7", name="x")),
    "save a key too big": lambda: saved(Author(pk=2**70, name="x")),
    "save an expression": lambda: saved(changed(book(), pages=F("pages") + 1)).pages,
    "save a child": lambda: saved(changed(Novel.objects.get(pk=1), genre="g", pages=2)),
    "save a UUID key": lambda: saved(UuidKey(pk=uuid.UUID(int=1), name="x")),
    "save nulls at times": lambda: [
        saved(changed(book(), publisher_id=key)).publisher_id
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
    "update": lambda: one().update(title="%s", pages=3),
    "update with F": lambda: one().update(pages=F("pages") + 1),
    "update with more F": lambda: Book.objects.filter(pk=1, pages__lt=5).update(
        pages=F("pages") * 2.5, title=F("id"), price=F("price") - decimal.Decimal("1.1")
    ),
    "update with F of text": lambda: one().update(pages=F("pages") + "x"),
    "update with a transform": lambda: absolute(F("pages__abs")),
    "update by a transform": lambda: absolute(F("pages__abs") + 1),
    "update the right side": lambda: one().update(pages=5 - F("pages")),
    "update a date": lambda: one().update(
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
    "update a relation": lambda: one().update(publisher=None),
    "update a relation by an object": lambda: one().update(
        author=Author.objects.get(pk=7)
    ),
    "update a parent's field": lambda: Novel.objects.filter(pk=1).update(pages=1),
    "update a child": lambda: Novel.objects.filter(pk=1).update(genre="x", pages=1),
    "update a proxy": lambda: Bestseller.objects.filter(pk=1).update(pages=1),
    "update through a manager": lambda: Book.in_shops.update(pages=1),
    "update through a relation": lambda: Author.objects.get(pk=7).books.update(pages=1),
    "update the key": lambda: Tag.objects.filter(pk=5).update(pk=6),
    "update no such field": lambda: one().update(page=1),
    "update by no such field": lambda: Book.objects.filter(page=1).update(pages=1),
    "update too much": lambda: one().update(pages=2**40),
    "update nothing": lambda: one().update(),
    "update with a relation's F": lambda: Book.objects.update(pages=F("author__id")),
    "update every type": lambda: Everything.objects.filter(pk=1).update(
        small=-1, char="c", boolean=False, json={"a": 1}, uuid=uuid.UUID(int=3),
        decimal=decimal.Decimal("1.5"), datetime=NOON, binary=b"b", inet="::1",
    ),
    "update with a case": lambda: one().update(
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
    "remove": lambda: [book().tags.add(5), book().tags.remove(5)],
    "remove several": lambda: [book().tags.add(5), book().tags.remove(5, 6)],
    "clear": lambda: [book().tags.add(5), book().tags.clear()],
    "clear from the other side": lambda: [
        Tag.objects.get(pk=5).books.add(1), Tag.objects.get(pk=5).books.clear()
    ],
    "delete a protected value": lambda: CharKey(pk="a%s'").delete(),
}  # fmt: skip


def forget(model: Any) -> None:
    vars(model._meta).pop("_daf_writes", None)


def write_all() -> None:
    unique = Unique.objects.create(key="k")
    unique.value += 1
    unique.save()
    unique.save(update_fields=["value"])
    Unique.objects.filter(key="k").update(value=F("value") + 1)
    unique.delete()


refused = partial(mock.patch.object, side_effect=AssertionError)


@contextmanager
def in_one_step() -> Iterator[None]:
    """Fail where Django's own `_save_table()` is called."""
    with refused(saves.save_table, "__wrapped__"):
        yield

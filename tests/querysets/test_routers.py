"""Routers are asked what Django's own code asks them, in the same order."""

from collections.abc import Callable
from contextlib import suppress
from itertools import count, cycle
from typing import Any

import pytest
from django.core.exceptions import (
    FieldDoesNotExist,
    MultipleObjectsReturned,
    ObjectDoesNotExist,
)
from django.db import DatabaseError, connections, transaction
from django.db.models import Count, F, Q, Sum, Value
from django.test import override_settings

from tests.support.routers import Router
from tests.support.sql import execute
from tests.support.without_seams import stock
from tests.testapp.models import Author, Book, Publisher, Tag

from .compiled.reading_books import listed

ERRORS = (DatabaseError, FieldDoesNotExist, ObjectDoesNotExist, ValueError)
ERRORS += (MultipleObjectsReturned,)
# Each is done so often: it is Django's, learnt, known.
TIMES = 6
_numbers = count()


def new() -> str:
    return f"n{next(_numbers)}"


def rename(value: Any, **options: Any) -> Any:
    """Update all tags to a value, or to one by their keys."""
    names = {pk: value(pk) if callable(value) else value for pk in range(1, 6)}
    tags = [Tag(pk=pk, name=name) for pk, name in names.items()]
    return Tag.objects.bulk_update(tags, ["name"], **options)


def of_books() -> Any:
    return Author.objects.get(pk=7).books


WRITES: dict[str, Callable[[], Any]] = {
    "update": lambda: Tag.objects.filter(pk=1).update(name=new()),
    "update of all": lambda: Author.objects.update(name="a"),
    "update to an expression": lambda: Book.objects.update(pages=F("pages") + 1),
    "update of either": lambda: Author.objects.filter(Q(pk=7) | Q(pk=8)).update(
        name="x"
    ),
    "update of a join": lambda: Book.objects.filter(author__name="a").update(pages=1),
    "update of none": lambda: Tag.objects.filter(pk__in=[]).update(name="x"),
    "update of no such field": lambda: Tag.objects.filter(pk=1).update(no=1),
    "update to a wrong value": lambda: Book.objects.update(pages="x"),
    "update to a refused value": lambda: Tag.objects.update(name="\0"),
    "update of a relation": lambda: of_books().update(pages=1),
    "update to an object": lambda: Book.objects.filter(pk=1).update(
        author=Author.objects.get(pk=8)
    ),
    "update on an alias": lambda: (
        Tag.objects.using("default").filter(pk=1).update(name=new())
    ),
    "bulk_update": lambda: rename("x{}".format),
    "bulk_update in batches": lambda: rename("x{}".format, batch_size=2),
    "bulk_update to an expression": lambda: rename(F("name")),
    "bulk_update to a value": lambda: rename(lambda pk: Value(f"x{pk}")),
    "bulk_update to a refused value": lambda: rename("\0"),
    "bulk_update of none": lambda: Tag.objects.bulk_update([], ["name"]),
    "bulk_create": lambda: Tag.objects.bulk_create([Tag(name=new()) for _ in range(3)]),
    "bulk_create of one": lambda: Tag.objects.bulk_create([Tag(name=new())]),
    "delete": lambda: Publisher.objects.filter(pk=-1).delete(),
    "delete with a look": lambda: Author.objects.filter(pk=-1).delete(),
    "delete of no relations": lambda: Book.tags.through.objects.filter(pk=-1).delete(),
    "update_or_create": lambda: Author.objects.update_or_create(
        pk=7, defaults={"name": new()}
    ),
    "update_or_create anew": lambda: Author.objects.update_or_create(
        name=new(), defaults={"mentor": None}
    ),
    "update_or_create, unchanged": lambda: Author.objects.update_or_create(pk=7),
    "update_or_create of a relation": lambda: of_books().update_or_create(
        title="t", defaults={"pages": 1}
    ),
    "get_or_create": lambda: Tag.objects.get_or_create(name="1"),
    "get_or_create anew": lambda: Tag.objects.get_or_create(name=new()),
}


def in_turn(*reads: Callable[[], Any]) -> Callable[[], Any]:
    """Do a different one each time."""
    each = cycle(reads)
    return lambda: next(each)()


READS: dict[str, Callable[[], Any]] = {
    "list": lambda: Tag.objects.filter(pk__gt=1),
    "list of none": lambda: Tag.objects.filter(pk__in=[]),
    "list of some, then none": in_turn(
        lambda: Tag.objects.filter(pk__in=[1]),
        lambda: Tag.objects.filter(pk__in=[1]),
        lambda: Tag.objects.filter(pk__in=[]),
    ),
    "list on an alias": lambda: Tag.objects.using("default").filter(pk=1),
    "list, then its count": in_turn(
        lambda: Tag.objects.filter(pk__lt=3),
        lambda: Tag.objects.filter(pk__lt=3),
        lambda: Tag.objects.filter(pk__lt=3).count(),
    ),
    "values": lambda: Tag.objects.filter(pk__gt=1).values("name"),
    "flat": lambda: Tag.objects.values_list("name", flat=True),
    "stream": lambda: Tag.objects.filter(pk__gt=2).iterator(),
    "stream of instances with deferred": lambda: Tag.objects.defer("name"),
    "stream with prefetches": lambda: Book.objects.prefetch_related("tags").iterator(
        10
    ),
    "prefetch": lambda: Author.objects.prefetch_related("books"),
    "get": lambda: Tag.objects.get(pk=1),
    "get of none": lambda: Tag.objects.get(pk=-1),
    "get of many": lambda: Tag.objects.get(pk__gt=1),
    "get of an empty list": lambda: Tag.objects.get(pk__in=[]),
    "get, then first": in_turn(
        lambda: Tag.objects.get(pk=2),
        lambda: Tag.objects.get(pk=2),
        lambda: Tag.objects.filter(pk=2).first(),
    ),
    "get of a lock": lambda: Tag.objects.select_for_update().get(pk=1),
    "get of a lock of none": lambda: Tag.objects.select_for_update().get(pk=2**70),
    "get of a lock, then of none": in_turn(
        lambda: Tag.objects.select_for_update().get(pk=1),
        lambda: Tag.objects.select_for_update().get(pk=1),
        lambda: Tag.objects.select_for_update().get(pk=2**70),
    ),
    "first": lambda: Tag.objects.order_by("name").first(),
    "last": lambda: Tag.objects.last(),
    "earliest": lambda: Tag.objects.earliest("name"),
    "latest of none": lambda: Tag.objects.filter(pk=-1).latest("name"),
    "count": lambda: Tag.objects.filter(pk__gt=1).count(),
    "exists": lambda: Tag.objects.filter(pk__gt=1).exists(),
    "exists in a slice": lambda: Tag.objects.all()[1:3].exists(),
    "exists, then count": in_turn(
        lambda: Tag.objects.filter(pk=4).exists(),
        lambda: Tag.objects.filter(pk=4).exists(),
        lambda: Tag.objects.filter(pk=4).count(),
    ),
    "count of none": lambda: Tag.objects.filter(pk__in=[]).count(),
    "contains": lambda: Tag.objects.all().contains(Tag(pk=1)),
    "aggregate": lambda: Book.objects.aggregate(Sum("pages")),
    "aggregate of none": lambda: Book.objects.none().aggregate(Sum("pages")),
    "in_bulk": lambda: Tag.objects.in_bulk([1, 2]),
    "explain": lambda: Tag.objects.filter(pk=1).explain(),
    "annotate": lambda: Author.objects.annotate(Count("books")),
    "union": lambda: Tag.objects.filter(pk=1).union(Tag.objects.filter(pk=2)),
    "raw": lambda: Tag.objects.raw("SELECT * FROM testapp_tag"),
    "related manager": lambda: of_books().filter(pages=0),
    "many to many": lambda: Book.objects.get(pk=1).tags.all(),
    "related object": lambda: Book.objects.get(pk=1).author,
    "refresh_from_db": lambda: Tag(pk=1).refresh_from_db(),
    "deferred field": lambda: Tag.objects.only("pk").get(pk=1).name,
}


def asked(do: Callable[[], Any], router: Router | None = None) -> list[list[Any]]:
    """Return what a router was asked each time."""
    found, router = [], router or Router()
    with override_settings(DATABASE_ROUTERS=[router]):
        for _ in range(TIMES):
            router.asked = []
            with suppress(*ERRORS), transaction.atomic(using="default"):
                listed(do())
            found.append(router.asked)
    return found


@pytest.fixture
def _filled() -> None:
    author = Author.objects.create(pk=7, name="a")
    Author.objects.create(pk=8, name="b")
    Book.objects.create(pk=1, title="t", author=author)
    Tag.objects.bulk_create([Tag(pk=pk, name=str(pk)) for pk in range(1, 6)])
    execute("SELECT setval(oid::regclass, 1000) FROM pg_class WHERE relkind = 'S'")


@pytest.mark.usefixtures("_filled")
@pytest.mark.parametrize("name", WRITES)
def test_of_writes(name: str) -> None:
    with stock():
        wanted = asked(WRITES[name])
    assert asked(WRITES[name]) == wanted


@pytest.mark.usefixtures("_filled")
@pytest.mark.parametrize(
    "read", [list, lambda tags: tags.count(), lambda tags: tags.first()]
)
def test_an_answer_is_no_other_querysets(read: Callable[[Any], Any]) -> None:
    """One that is made meanwhile, to write, asks for itself."""

    def execute(execute: Any, *args: Any) -> Any:
        seen.append([tags._db, tags.filter(pk__gt=0)._db])
        return execute(*args)

    seen: list[Any] = []
    with override_settings(DATABASE_ROUTERS=[Alternating()]):
        for _ in range(TIMES):
            tags = Tag.objects.filter(pk__lt=9)
            with (
                connections["default"].execute_wrapper(execute),
                connections["pooled"].execute_wrapper(execute),
            ):
                read(tags)
    assert seen
    assert all(each == [None, None] for each in seen)


class Alternating(Router):
    """Reads here and there in turn, as a router of replicas does."""

    def db_for_read(self, model: Any, **hints: Any) -> Any:
        super().db_for_read(model, **hints)
        return ("default", "pooled")[len(self.asked) % 2]


@pytest.mark.usefixtures("_filled")
@pytest.mark.parametrize("router", [Router, Alternating])
@pytest.mark.parametrize("name", READS)
def test_of_reads(name: str, router: type[Router]) -> None:
    with stock():
        wanted = asked(READS[name], router())
    assert asked(READS[name], router()) == wanted

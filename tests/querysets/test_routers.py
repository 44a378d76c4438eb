"""Writes ask routers what Django's own code asks them, in the same order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q, Value
from django.test import override_settings

from tests.support.without_seams import stock
from tests.testapp.models import Author, Book, Publisher, Tag

# Each is done so often: it is Django's, learnt, known.
TIMES = 5
_numbers = count()


class Router:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def db_for_read(self, model: Any, **hints: Any) -> None:
        self.asked.append(("read", model, sorted(hints)))

    def db_for_write(self, model: Any, **hints: Any) -> None:
        self.asked.append(("write", model, sorted(hints)))

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> None:
        self.asked.append(("relation", type(one), type(other)))


def new() -> str:
    return f"n{next(_numbers)}"


def rename(value: Any, **options: Any) -> Any:
    tags = list(Tag.objects.order_by("pk")[:5])
    for each in tags:
        each.name = value(each) if callable(value) else value
    return lambda: Tag.objects.bulk_update(tags, ["name"], **options)


def of_books() -> Any:
    return Author.objects.get(pk=7).books


# What is done beforehand, and returns what is measured.
WRITES: dict[str, Callable[[], Callable[[], Any]]] = {
    "update": lambda: lambda: Tag.objects.filter(pk=1).update(name=new()),
    "update of all": lambda: lambda: Author.objects.update(name="a"),
    "update to an expression": lambda: (
        lambda: Book.objects.filter(pk=1).update(pages=F("pages") + 1)
    ),
    "update of either": lambda: (
        lambda: Author.objects.filter(Q(pk=7) | Q(pk=8)).update(name="x")
    ),
    "update of a join": lambda: (
        lambda: Book.objects.filter(author__name="a").update(pages=1)
    ),
    "update of none": lambda: lambda: Tag.objects.filter(pk__in=[]).update(name="x"),
    "update of no such field": lambda: lambda: Tag.objects.filter(pk=1).update(no=1),
    "update to a wrong value": lambda: lambda: Book.objects.update(pages="x"),
    "update to a refused value": lambda: lambda: Tag.objects.update(name="\0"),
    "update of a relation": lambda: lambda: of_books().update(pages=1),
    "update to an object": lambda: (
        lambda: Book.objects.filter(pk=1).update(author=Author.objects.get(pk=8))
    ),
    "update on an alias": lambda: (
        lambda: Tag.objects.using("default").filter(pk=1).update(name=new())
    ),
    "bulk_update": lambda: rename(lambda tag: f"x{tag.pk}"),
    "bulk_update in batches": lambda: rename(lambda tag: f"x{tag.pk}", batch_size=2),
    "bulk_update to an expression": lambda: rename(F("name")),
    "bulk_update to a value": lambda: rename(lambda tag: Value(f"x{tag.pk}")),
    "bulk_update to a refused value": lambda: rename("\0"),
    "bulk_update of none": lambda: lambda: Tag.objects.bulk_update([], ["name"]),
    "bulk_create": lambda: (
        lambda: Tag.objects.bulk_create([Tag(name=new()) for _ in range(3)])
    ),
    "bulk_create of one": lambda: lambda: Tag.objects.bulk_create([Tag(name=new())]),
    "delete": lambda: lambda: Publisher.objects.filter(pk=-1).delete(),
    "delete with a look": lambda: lambda: Author.objects.filter(pk=-1).delete(),
    "delete of no relations": lambda: (
        lambda: Book.tags.through.objects.filter(pk=-1).delete()
    ),
    "update_or_create": lambda: (
        lambda: Author.objects.update_or_create(pk=7, defaults={"name": new()})
    ),
    "update_or_create anew": lambda: (
        lambda: Author.objects.update_or_create(name=new(), defaults={"mentor": None})
    ),
    "update_or_create, unchanged": lambda: (
        lambda: Author.objects.update_or_create(pk=7)
    ),
    "update_or_create of a relation": lambda: (
        lambda: of_books().update_or_create(title="t", defaults={"pages": 1})
    ),
    "get_or_create": lambda: lambda: Tag.objects.get_or_create(name="1"),
    "get_or_create anew": lambda: lambda: Tag.objects.get_or_create(name=new()),
}


def asked(prepare: Callable[[], Callable[[], Any]]) -> list[list[Any]]:
    """Return what a router was asked each time."""
    found, router = [], Router()
    with override_settings(DATABASE_ROUTERS=[router]):
        for _ in range(TIMES):
            write = prepare()
            router.asked = []
            with (
                suppress(DatabaseError, FieldDoesNotExist, ValueError),
                transaction.atomic(using="default"),
            ):
                write()
            found.append(router.asked)
    return found


@pytest.mark.parametrize("name", WRITES)
def test_routers_are_asked_as_by_django(name: str) -> None:
    author = Author.objects.create(pk=7, name="a")
    Author.objects.create(pk=8, name="b")
    Book.objects.create(pk=1, title="t", author=author)
    Tag.objects.bulk_create([Tag(pk=pk, name=str(pk)) for pk in range(1, 6)])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(oid::regclass, 1000) FROM pg_class WHERE relkind = 'S'"
        )
    with stock():
        wanted = asked(WRITES[name])
    assert asked(WRITES[name]) == wanted

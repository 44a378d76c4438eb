"""Rows of every type, and querysets over them whose rows are as Django builds them."""

import datetime as dt
import math
import uuid
from decimal import Decimal
from typing import Any

from asgiref.sync import async_to_sync
from django.db import connections
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Upper

from django_async_fast import new_connection, run_sync
from tests.support.describe import described
from tests.support.django_rows import djangos_rows
from tests.testapp.models import Author, Book, Everything

AT = dt.datetime(2026, 11, 28, 12, 34, 56, 789, tzinfo=dt.UTC)
VALUES: list[dict[str, Any]] = [
    {},
    {
        "small": -1, "integer": 2**31 - 1, "big": -(2**63), "positive": 2**62,
        "char": "é\N{SNOWMAN}", "text": "", "boolean": True, "float": math.pi,
        "decimal": Decimal("1.5000000000"), "datetime": AT,
        "date": dt.date(2024, 2, 29), "time": dt.time(23, 59, 59, 999999),
        "duration": dt.timedelta(-3, 5, 7), "uuid": uuid.UUID(int=2**127 + 5),
        "json": {"a": [1, None, True, "x"]}, "inet": "192.168.0.1",
    },
    {
        "boolean": False, "decimal": Decimal(-10), "float": -0.0,
        "datetime": AT.replace(microsecond=0), "date": dt.date.min,
        "time": dt.time(0), "duration": dt.timedelta(days=10**6),
        "uuid": uuid.UUID(int=0), "json": "text",
    },
]  # fmt: skip


def create_rows(alias: str) -> None:
    """Create some in a database that has the tables."""
    rows = Everything.objects.using(alias)
    for values in VALUES:
        rows.create(**values)
    author = Author.objects.using(alias).create(name="A")
    for i in range(5):
        Book.objects.using(alias).create(
            title=f"b{i}",
            pages=i,
            price=Decimal(i) / 4,
            in_print=i % 2,
            published=dt.date(2020, 1, 1 + i) if i else None,
            author=author,
        )


def querysets_of(alias: str) -> list[Any]:
    """Return querysets whose rows are of every kind."""
    everything = Everything.objects.using(alias).order_by("pk")
    books = Book.objects.using(alias).order_by("pk")
    return [
        everything,
        everything.filter(boolean=True),
        everything.values(),
        everything.values_list(),
        everything.values_list("uuid", flat=True),
        everything.values_list("datetime", "json__a", named=True),
        everything.only("date"),
        everything.defer("json", "datetime"),
        everything.annotate(next=F("big"), shouted=Upper("char")),
        books.select_related("author", "publisher"),
        books.annotate(n=Count("tags"), total=Sum("price")),
        books.filter(Q(pages__gte=2) | Q(title="b0"), pk__in=[1, 2, 3, 4]),
        books.filter(title__icontains="B", price__lt=Decimal("0.75")),
        books[1:3],
        books[2:],
        books.filter(published__gte=dt.date(2020, 1, 3)),
        books.order_by().union(books.filter(pages=1).order_by()).order_by("pk"),
        books.dates("published", "month"),
        everything.datetimes("datetime", "hour"),
    ]


def listed(alias: str) -> list[Any]:
    return [described(list(queryset)) for queryset in querysets_of(alias)]


def djangos(alias: str) -> list[Any]:
    """Return what Django's own iterables make of each queryset."""
    with djangos_rows():
        return listed(alias)


def are_djangos_in_synchronous_code(alias: str) -> None:
    wanted = djangos(alias)
    for _ in range(3):  # built and compiled, learnt, filled in
        assert listed(alias) == wanted


def are_djangos_in_a_block(alias: str) -> None:
    wanted = djangos(alias)
    connections[alias].close()

    async def run() -> None:
        async with new_connection(alias):
            for _ in range(3):
                for queryset, expected in zip(querysets_of(alias), wanted, strict=True):
                    assert described([row async for row in queryset]) == expected
            for queryset, expected in zip(querysets_of(alias), wanted, strict=True):
                streamed = [row async for row in queryset.aiterator(2)]
                assert described(streamed) == expected
            assert await run_sync(listed, alias) == wanted

    async_to_sync(run)()


WAYS = are_djangos_in_synchronous_code, are_djangos_in_a_block

"""Rows are Django's own whatever the settings of the project and the connection.

In each environment the same queries run through Django's iterables, the core, and a
block; and what a block writes is what Django writes.
"""

import datetime as dt
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connections
from django.db.models import Count, F, Max
from django.db.models.functions import ExtractHour, Now, TruncDay
from django.test import override_settings
from django.utils import timezone

from django_async_fast import new_connection, run_sync
from django_async_fast.querysets import whole_results
from tests.support.describe import described
from tests.support.signals import receiving
from tests.support.targets import plant
from tests.testapp.models import Author, Book, Everything

# Name -> settings of the project, settings of the database.
ENVIRONMENTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as usual": ({}, {}),
    "no server-side cursors": ({}, {"DISABLE_SERVER_SIDE_CURSORS": True}),
    "USE_TZ off": ({"USE_TZ": False}, {}),
    "USE_TZ off, abroad": ({"USE_TZ": False, "TIME_ZONE": "Asia/Kolkata"}, {}),
    "TIME_ZONE of the project": ({"TIME_ZONE": "America/Sao_Paulo"}, {}),
    "TIME_ZONE of the connection": ({}, {"TIME_ZONE": "Asia/Kolkata"}),
    # Not by OPTIONS: Django overrules that.
    "client_encoding": ({}, {"at first": "SET client_encoding TO LATIN1"}),
    "server_side_binding": ({}, {"OPTIONS": {"server_side_binding": True}}),
    "prepared at once": ({}, {"OPTIONS": {"prepare_threshold": 0}}),
    "datestyle": ({}, {"OPTIONS": {"options": "-c datestyle=ISO,DMY"}}),
    "bytea_output": ({}, {"OPTIONS": {"options": "-c bytea_output=escape"}}),
    "pooled": ({}, {"OPTIONS": {"pool": {"min_size": 0, "max_size": 2}}}),
}
MOMENT = dt.datetime(2024, 2, 29, 23, 30, 15, 678_901)

QUERIES: dict[str, Callable[[], Any]] = {
    "every type": lambda: Everything.objects.order_by("pk"),
    "values": lambda: Everything.objects.order_by("pk").values(),
    "values_list": lambda: Everything.objects.order_by("pk").values_list(),
    "flat": lambda: Everything.objects.order_by("pk").values_list("datetime", flat=True),
    "hours": lambda: Everything.objects.order_by("pk").values_list(
        ExtractHour("datetime"), TruncDay("datetime")
    ),
    "datetimes": lambda: Everything.objects.datetimes("datetime", "hour"),
    "dates": lambda: Book.objects.dates("published", "month"),
    "select_related": lambda: Book.objects.select_related("author").order_by("pk"),
    "prefetch": lambda: Author.objects.prefetch_related("books__tags").order_by("pk"),
    "aggregate": lambda: Author.objects.annotate(
        n=Count("books"), top=Max("books__pages")
    ).order_by("pk"),
    "by moment": lambda: Everything.objects.filter(
        datetime__lte=moment(), datetime__lt=Now()
    ).annotate(later=F("datetime") + dt.timedelta(days=1)),
}  # fmt: skip


def moment() -> dt.datetime:
    return MOMENT.replace(tzinfo=dt.UTC) if settings.USE_TZ else MOMENT


def everything() -> Everything:
    return Everything(
        small=-1, integer=2, big=2**62, char="façade ÿ", text="\N{POUND SIGN}1",
        boolean=True, decimal=Decimal("1.50"), float=0.1, datetime=moment(),
        date=dt.date(2024, 2, 29), time=dt.time(3, 4, 5, 600),
        duration=dt.timedelta(days=-3, microseconds=7), uuid="a" * 32,
        json={"a": [1, None, "é"]}, inet="2001:db8::1", binary=b"\0\1\xff",
    )  # fmt: skip


def prepare_session(sender: Any, connection: Any, **kwargs: Any) -> None:
    if statement := connection.settings_dict.get("at first"):
        with connection.cursor() as cursor:
            cursor.execute(statement)


@contextmanager
def environment(name: str) -> Iterator[None]:
    """Let connections be made with the settings of an environment."""
    project, database = ENVIRONMENTS[name]
    _forget()  # a connection that is open closes by the settings it was made with
    with (
        mock.patch.dict(connections.settings["default"], database),
        override_settings(**project),
        receiving(prepare_session),
    ):
        try:
            yield
        finally:
            connections["default"].close_pool()
            _forget()


def _forget() -> None:
    connections["default"].close()
    del connections["default"]
    timezone.get_default_timezone.cache_clear()


def each_way(make: Callable[[], Any]) -> list[Any]:
    # Twice, because the first time teaches the core what a column is.
    return [
        described(rows)
        for _ in range(2)
        for rows in (list(make()), list(make().iterator(chunk_size=2)))
    ]


async def each_way_awaited(make: Callable[[], Any]) -> list[Any]:
    found = []
    for _ in range(2):
        found.append([row async for row in await run_sync(make)])
        found.append([row async for row in (await run_sync(make)).aiterator(2)])
    return [described(rows) for rows in found]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_rows_are_djangos(name: str, without_core: Any) -> None:
    async def in_a_block() -> Any:
        async with new_connection():
            return {name: await each_way_awaited(QUERIES[name]) for name in QUERIES}

    with environment(name):
        plant()
        Everything.objects.create()
        everything().save()
        with without_core():
            expected = {query: each_way(QUERIES[query]) for query in QUERIES}
        for query, make in QUERIES.items():
            assert each_way(make) == expected[query], query
        for query, found in async_to_sync(in_a_block)().items():
            assert found == expected[query], query


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_what_is_written(name: str, without_core: Any) -> None:
    async def in_a_block() -> None:
        fields = [field.name for field in Everything._meta.fields[1:]]
        values = {name: getattr(everything(), name) for name in fields}
        async with new_connection():
            await everything().asave()
            await Everything.objects.abulk_create([everything()])
            made = await Everything.objects.acreate()
            await Everything.objects.filter(pk=made.pk).aupdate(**values)

    with environment(name):
        everything().save()
        async_to_sync(in_a_block)()
        with without_core():
            rows = list(Everything.objects.order_by("pk").values_list())
    assert len(rows) == 4
    assert [described(row[1:]) for row in rows] == [described(rows[0][1:])] * 4


@pytest.mark.core
def test_a_backend_of_mysqls_on_another_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    # PyMySQL and MySQL's own have no `MySQLdb`, or not all of it.
    monkeypatch.setitem(sys.modules, "MySQLdb", None)
    name = "django_async_fast.drivers.mysql.statement"
    monkeypatch.delitem(sys.modules, name, raising=False)
    reader_of = whole_results._reader_of.__wrapped__
    assert reader_of("mysql") is None
    assert reader_of("sqlite") is not None

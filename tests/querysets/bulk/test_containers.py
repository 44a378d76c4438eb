"""`bulk_update()` of ranges, bytes and dicts: by a join, with Django's outcome."""

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from functools import partial
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.contrib.postgres import fields as postgres
from django.contrib.postgres.signals import get_hstore_oids
from django.db import DataError, connection, connections, models
from django.test.utils import isolate_apps
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.range import Range, RangeDumper

from django_async_fast import copy_from, explain_writes, new_connection
from tests.support.containers import VALUES, Container
from tests.support.noted import noted
from tests.support.sql import execute
from tests.support.strategies import text
from tests.support.tables import Isolated, table_of
from tests.testapp.models import Everything

from .ways import arrays, djangos, like_djangos, outcome

pytestmark = [pytest.mark.core, pytest.mark.keep_rows]

NOON = dt.datetime(2024, 2, 3, 12, tzinfo=dt.UTC)
ranges = {
    name: st.none() | VALUES[name]
    for name in ("span", "large", "worth", "during", "days")
}

with isolate_apps("tests.testapp"):

    class Sack(Isolated):
        pairs = postgres.HStoreField(null=True)
        number = models.IntegerField(null=True)


@pytest.fixture(scope="module", autouse=True)
def _rows(_databases: Any) -> Iterator[None]:
    with table_of(Container):
        Container.objects.bulk_create(Container(pk=pk) for pk in range(1, 5))
        yield


@pytest.fixture(scope="module")
def sacks(system_alias: str) -> Iterator[str]:
    execute("CREATE EXTENSION IF NOT EXISTS hstore", using=system_alias)
    get_hstore_oids.cache_clear()
    connections[system_alias].close()  # psycopg learns of it when it connects
    with table_of(Sack, using=system_alias):
        Sack.objects.using(system_alias).bulk_create(Sack(pk=pk) for pk in range(1, 5))
        yield system_alias


def update(rows: list[dict[str, Any]]) -> Any:
    names = sorted({name for row in rows for name in row})
    objs = [Container(pk=pk, **row) for pk, row in enumerate(rows, 1)]
    return Container.objects.bulk_update(objs, names)


@settings(max_examples=60)
@given(st.lists(st.fixed_dictionaries(ranges), min_size=1, max_size=4))
def test_any_ranges_are_joined(rows: list[dict[str, Any]]) -> None:
    (sent,) = like_djangos(lambda: update(rows), Container)
    # Only Django writes a zero with a sign.
    assert sent == [6] or any(
        bound is not None and bound.is_zero() and bound.is_signed()
        for row in rows
        if (worth := row["worth"])
        for bound in (worth.lower, worth.upper)
    )


JOINED: dict[str, Any] = {
    "span": (1, 5),
    "large": [3, None],
    "worth": Range(Decimal("1.50"), None, "[]"),
    "during": (None, NOON),
    "days": Range(dt.date(2024, 1, 1), dt.date(2024, 2, 1), "[]"),
}
DJANGOS: dict[str, list[Any]] = {
    "span": [Range(1, 2**31), Range(1.5, 2), Range("1", "2"), "[1,2)", Range(True)],
    "large": [Range(2**63)],
    "worth": [Range(1, 3), Range(Decimal("-0.0")), Range(Decimal("Infinity"))],
    "during": [Range(NOON.replace(tzinfo=None), None), Range(NOON.date())],
    "days": [Range(NOON, None), ("2024-01-01", "2024-02-01")],
    "ints": [[1, None]],
    "spans": [[Range(1, 2)]],
}


@pytest.mark.parametrize("name", JOINED)
def test_what_becomes_a_range_is_joined(name: str) -> None:
    rows = [{name: JOINED[name]}, {name: Range(empty=True)}, {name: None}]
    assert like_djangos(lambda: update(rows), Container) == [[2]]


@pytest.mark.parametrize(
    ("name", "value"), [(name, each) for name in DJANGOS for each in DJANGOS[name]]
)
def test_what_django_sends(name: str, value: Any) -> None:
    rows = [{name: None}, {name: value}]
    assert like_djangos(lambda: update(rows), Container) == [[]]


def test_a_range_that_ends_before_it_begins() -> None:
    write = partial(update, [{"span": Range(1, 2)}, {"span": Range(5, 1)}])
    with djangos():
        (kind, _), wanted = outcome(write, Container)
    (error, message), rows = outcome(write, Container)
    assert (error, rows) == (kind, wanted)
    assert error is DataError
    assert "range lower bound must be less than" in message


@pytest.mark.parametrize(
    "values",
    [[b"a\0", b"", None], [b"x"], [memoryview(b"x"), b"y"], [bytearray(b"x")], ["x"]],
)
def test_bytes(values: list[Any]) -> None:
    Everything.objects.bulk_create(Everything(pk=i) for i in range(3))
    objs = [Everything(pk=i, binary=each) for i, each in enumerate(values)]
    write = partial(Everything.objects.bulk_update, objs, ["binary"])
    (sent,) = like_djangos(write, Everything)
    assert sent == ([2] if {*map(type, values)} <= {bytes, type(None)} else [])
    Everything.objects.all().delete()


def pairs(alias: str, values: list[Any]) -> Any:
    objs = [Sack(pk=pk, pairs=each, number=pk) for pk, each in enumerate(values, 1)]
    return Sack.objects.using(alias).bulk_update(objs, ["pairs", "number"])


dicts = st.none() | st.dictionaries(text, st.none() | text)


@settings(max_examples=60)
@given(values=st.lists(dicts, min_size=1, max_size=4))
def test_any_dicts_are_joined(sacks: str, values: list[Any]) -> None:
    assert like_djangos(lambda: pairs(sacks, values), Sack, using=sacks) == [[3]]


@pytest.mark.parametrize(
    "value",
    [
        {'"\\=>, NULL': '"\'\\ => %s $1 {}'}, {"": ""}, {}, {1: 2, None: True}, "a=>NULL",
        {"NULL": "NULL", "a": None},
    ],
)  # fmt: skip
def test_what_becomes_pairs(sacks: str, value: Any) -> None:
    write = partial(pairs, sacks, [{"a": "b"}, value, None])
    assert like_djangos(write, Sack, using=sacks) == [[3]]


@pytest.mark.parametrize("value", [["a", "b"], {"a": "\0"}, {"\ud800": None}, 5])
def test_pairs_that_django_sends(sacks: str, value: Any) -> None:
    write = partial(pairs, sacks, [{"a": "b"}, value])
    assert like_djangos(write, Sack, using=sacks) == [[]]


def test_a_text_that_is_no_pairs(sacks: str) -> None:
    write = partial(pairs, sacks, ["no pairs"])
    with djangos():
        (kind, _), wanted = outcome(write, Sack, using=sacks)
    (error, _), rows = outcome(write, Sack, using=sacks)
    assert (error, rows) == (kind, wanted)


def test_a_database_that_does_not_know_pairs(sacks: str) -> None:
    write = partial(pairs, sacks, [{"a": "b"}])
    with ExitStack() as stack:
        for dumpers in connections[sacks].connection.adapters._dumpers.values():
            stack.enter_context(mock.patch.dict(dumpers))
            dumpers.pop(dict, None)
        assert like_djangos(write, Sack, using=sacks) == [[]]


class Fixed(RangeDumper):
    def dump(self, obj: Any) -> bytes:
        return b"[7,8)"


@pytest.mark.parametrize("way", ["bulk_update", "copy_from"])
def test_a_dumper_of_ones_own_writes_ranges(way: str) -> None:
    connection.ensure_connection()
    adapters = connection.connection.adapters
    Fixed.oid = psycopg.postgres.types["int4range"].oid
    adapters.register_dumper(Range, Fixed)
    try:
        with arrays() as sent:
            if way == "bulk_update":
                update([{"span": Range(None, None)}])
            else:
                Container.objects.filter(pk=1).delete()
                copy_from(Container, [(1, Range(None, None))], ["id", "span"])
        assert sent == []
        found = Container.objects.get(pk=1).span
    finally:
        connection.close()
    assert found == Range(7, 8)


@isolate_apps("tests.testapp")
def test_a_placeholder_of_ones_own_is_asked() -> None:
    class Shifted(postgres.IntegerRangeField):
        def get_placeholder_sql(
            self, value: Any, compiler: Any, connection: Any
        ) -> Any:
            sql, params = super().get_placeholder_sql(value, compiler, connection)
            return f"({sql} * '[2,5)'::int4range)", params

    class Placed(Isolated):
        span = Shifted(null=True)

    with table_of(Placed):
        Placed.objects.create(pk=1)
        objs = [Placed(pk=1, span=Range(1, 9))]
        write = partial(Placed.objects.bulk_update, objs, ["span"])
        assert like_djangos(write, Placed) == [[]]
        assert "span" in explain_writes(Placed).why_django_updates


def test_a_placeholder_that_is_patched_is_asked() -> None:
    # Before Django 6.1 it is the other.
    names = "get_placeholder_sql", "get_placeholder"
    name = next(each for each in names if hasattr(postgres.RangeField, each))
    # Of no other test: that Django is asked is learnt of these fields.
    write = partial(update, [{"span": Range(1, 2), "number": 1}])
    with noted(postgres.RangeField, name) as called:
        assert like_djangos(write) == [[]]
    assert called


async def test_in_a_block() -> None:
    objs = [Container(pk=pk, span=Range(pk, 9), days=None) for pk in (1, 2)]
    with arrays() as sent:
        async with new_connection():
            assert await Container.objects.abulk_update(objs, ["span", "days"]) == 2
            found = Container.objects.filter(span__isempty=False).order_by("pk")
            spans = [each.span async for each in found]
            await found.aupdate(span=None)
    assert sent == [3]
    assert spans == [Range(1, 9), Range(2, 9)]

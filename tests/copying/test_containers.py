"""COPY of lists, ranges and dicts: what Django stores, in binary where the core encodes."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres import fields as postgres
from django.db import DataError, connection, models
from django.test.utils import isolate_apps
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.range import Range

from django_async_fast import _native, acopy_from, copy_from, new_connection
from django_async_fast.copying import load
from django_async_fast.copying.columns import Columns
from tests.support.tables import table_of

from .test_load import by_django, stored

NOON = dt.datetime(2024, 2, 3, 12, tzinfo=dt.UTC)

with isolate_apps("tests.testapp"):

    class Container(models.Model):
        number = models.IntegerField(null=True)
        ints = postgres.ArrayField(models.IntegerField(null=True), null=True)
        grid = postgres.ArrayField(
            postgres.ArrayField(models.CharField(max_length=5)), null=True
        )
        prices = postgres.ArrayField(
            models.DecimalField(max_digits=10, decimal_places=2), null=True
        )
        instants = postgres.ArrayField(models.DateTimeField(), null=True)
        keys = postgres.ArrayField(models.UUIDField(), null=True)
        spans = postgres.ArrayField(postgres.IntegerRangeField(), null=True)
        span = postgres.IntegerRangeField(null=True)
        large = postgres.BigIntegerRangeField(null=True)
        worth = postgres.DecimalRangeField(null=True)
        during = postgres.DateTimeRangeField(null=True)
        days = postgres.DateRangeField(null=True)

        class Meta:
            app_label = "testapp"


NAMES = [each.name for each in Container._meta.fields if each.name != "id"]


@pytest.fixture(scope="module", autouse=True)
def _table(_databases: Any) -> Iterator[None]:
    with table_of(Container):
        yield


@pytest.fixture(autouse=True)
def _emptied(_table: None) -> Iterator[None]:
    yield
    Container.objects.all().delete()


def is_binary(names: list[str]) -> bool:
    with connection.cursor() as cursor:
        return Columns(cursor, Container, (), names).is_binary


def bounds(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def ordered(found: Any) -> Any:
        lower, upper, kinds = found
        if None not in (lower, upper) and upper < lower:
            lower, upper = upper, lower
        return Range(lower, upper, kinds)

    kinds = st.sampled_from(["()", "(]", "[)", "[]"])
    pairs = st.tuples(st.none() | inside, st.none() | inside, kinds)
    return st.just(Range(empty=True)) | pairs.map(ordered)


ints = st.integers(-(2**31), 2**31 - 2)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
prices = st.decimals(-999, 999, places=4, allow_nan=False)
moments = st.datetimes(
    dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC)
)
VALUES = {
    "number": ints,
    "ints": st.lists(st.none() | ints, max_size=4),
    "grid": st.tuples(st.integers(0, 2), st.integers(1, 2)).flatmap(
        lambda size: st.lists(
            st.lists(texts, min_size=size[1], max_size=size[1]),
            min_size=size[0],
            max_size=size[0],
        )
    ),
    "prices": st.lists(prices, max_size=2),
    "instants": st.lists(moments, max_size=2),
    "keys": st.lists(st.uuids(), max_size=2),
    "spans": st.lists(bounds(ints), max_size=2),
    "span": bounds(ints),
    "large": bounds(st.integers(-(2**63), 2**63 - 2)),
    "worth": bounds(st.decimals(-999, 999, places=3, allow_nan=False)),
    "during": bounds(moments),
    "days": bounds(st.dates(max_value=dt.date(9999, 12, 30))),
}
rows_of_all = st.lists(
    st.tuples(*(st.none() | VALUES[name] for name in NAMES)), min_size=1, max_size=4
)


@settings(max_examples=40)
@given(rows_of_all)
def test_values_are_what_django_stores(rows: list[Any]) -> None:
    expected = by_django(Container, NAMES, rows)
    if _native.COMPILED:
        assert is_binary(NAMES)
    assert copy_from(Container, rows, NAMES) == len(rows)
    assert stored(Container, *NAMES) == expected
    Container.objects.all().delete()
    objs = [Container(**dict(zip(NAMES, row, strict=True))) for row in rows]
    assert copy_from(Container, objs) == len(rows)
    assert stored(Container, *NAMES) == expected
    Container.objects.all().delete()


# What Django and psycopg are to see to.
ODD: dict[str, Any] = {
    "ints": ["1", True, 2.0],
    "grid": [["a"], [5]],
    "prices": [1, "2.5"],
    "instants": [NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=5))), None],
    "keys": [str(uuid.UUID(int=5))],
    "spans": [(1, 5), Range(2, 3)],
    "span": (1, 5),
    "large": [3, None],
    "worth": Range(1, 3),
    "during": Range(NOON, None),
    "days": ("2024-01-01", "2024-02-01"),
}


@pytest.mark.parametrize("name", ODD)
def test_rows_before_and_after_what_the_core_leaves(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "BATCH", 2)
    rows: list[Any] = [(1, None), (2, None), (3, ODD[name]), (4, None), (5, ODD[name])]
    expected = by_django(Container, ["number", name], rows)
    seen: list[int] = []
    done = copy_from(Container, rows, ["number", name], progress=seen.append)
    assert done == len(rows)
    assert seen == [2, 4, 5]
    assert stored(Container, "number", name) == expected


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("ints", [2**31]),
        ("grid", [["a"], ["b", "c"]]),
        ("grid", [["123456"]]),
        ("span", Range(5, 1)),
        ("span", Range(1, 2**31)),
        ("prices", [Decimal(10**9)]),
    ],
)
def test_a_refused_value_is_named_and_nothing_is_written(
    name: str, bad: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "BATCH", 2)
    for before in range(4):
        rows = [*[(i, None) for i in range(before)], (9, bad), (10, None)]
        with pytest.raises(DataError, match=rf"^row {before + 1}\b"):
            copy_from(Container, rows, ["number", name])
        assert not Container.objects.exists()


@pytest.mark.parametrize("lists", [[[1]], [[1], [2]], [[None]], [[[1]]]])
def test_more_lists_than_the_field_has_are_refused(lists: Any) -> None:
    for rows in ([(1, lists)], [(1, [1]), (2, lists)]):
        with pytest.raises(TypeError):
            by_django(Container, ["number", "ints"], rows)
        with pytest.raises(DataError, match=rf"^row {len(rows)}\b"):
            copy_from(Container, rows, ["number", "ints"])
        assert not Container.objects.exists()


def test_more_lists_than_the_field_has_as_text() -> None:
    rows = [(1, [[["a"]]])]
    expected = by_django(Container, ["number", "grid"], rows)
    copy_from(Container, rows, ["number", "grid"])
    assert stored(Container, "number", "grid") == expected


async def test_in_a_block() -> None:
    rows = [(1, [1, None]), (2, ["3"]), (3, [])]
    async with new_connection():
        assert await acopy_from(Container, rows, ["number", "ints"]) == 3
        found = Container.objects.order_by("number").values_list("ints", flat=True)
        assert [each async for each in found] == [[1, None], [3], []]


def test_a_field_of_ones_own_is_asked() -> None:
    field = Container._meta.get_field("ints")

    def twice(value: Any, connection: Any) -> Any:
        return value and value * 2

    field.__dict__["get_db_prep_save"] = twice
    try:
        assert not is_binary(["ints"])
        copy_from(Container, [([1],)], ["ints"])
    finally:
        del field.__dict__["get_db_prep_save"]
    assert Container.objects.get().ints == [1, 1]

"""COPY of lists, ranges and dicts: what Django stores, in binary where the core encodes."""

import datetime as dt
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from django.db import DataError, connection
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.range import Range

from django_async_fast import _native, acopy_from, copy_from, new_connection
from django_async_fast.copying.columns import Columns
from tests.support.containers import NAMES, VALUES, Container
from tests.support.tables import table_of

from .stored import assert_like_django, by_django, objects, stored

NOON = dt.datetime(2024, 2, 3, 12, tzinfo=dt.UTC)


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


rows_of_all = st.lists(
    st.tuples(*(st.none() | VALUES[name] for name in NAMES)), min_size=1, max_size=4
)


@settings(max_examples=40)
@given(rows_of_all)
def test_values_are_what_django_stores(rows: list[Any]) -> None:
    if _native.COMPILED:
        assert is_binary(NAMES)
    expected = assert_like_django(Container, NAMES, rows)
    assert copy_from(Container, objects(Container, NAMES, rows)) == len(rows)
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


@pytest.mark.usefixtures("_two_rows_a_batch")
@pytest.mark.parametrize("name", ODD)
def test_rows_before_and_after_what_the_core_leaves(name: str) -> None:
    rows: list[Any] = [(1, None), (2, None), (3, ODD[name]), (4, None), (5, ODD[name])]
    expected = by_django(Container, ["number", name], rows)
    seen: list[int] = []
    done = copy_from(Container, rows, ["number", name], progress=seen.append)
    assert done == len(rows)
    assert seen == [2, 4, 5]
    assert stored(Container, "number", name) == expected


@pytest.mark.usefixtures("_two_rows_a_batch")
@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("ints", [2**31]),
        ("grid", [["a"], ["b", "c"]]),
        ("grid", [["12345678901"]]),
        ("span", Range(5, 1)),
        ("span", Range(1, 2**31)),
        ("prices", [Decimal(10**9)]),
    ],
)
def test_a_refused_value_is_named_and_nothing_is_written(name: str, bad: Any) -> None:
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
    assert_like_django(Container, ["number", "grid"], [(1, [[["a"]]])])


async def test_in_a_block() -> None:
    rows = [(1, [1, None]), (2, ["3"]), (3, [])]
    async with new_connection():
        assert await acopy_from(Container, rows, ["number", "ints"]) == 3
        found = Container.objects.order_by("number").values_list("ints", flat=True)
        assert [each async for each in found] == [[1, None], [3], []]


def test_a_field_of_ones_own_is_asked() -> None:
    def twice(value: Any, connection: Any) -> Any:
        return value and value * 2

    field = Container._meta.get_field("ints")
    with mock.patch.object(field, "get_db_prep_save", twice):
        assert not is_binary(["ints"])
        copy_from(Container, [([1],)], ["ints"])
    assert Container.objects.get().ints == [1, 1]

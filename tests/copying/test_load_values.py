"""Values of every type that copy_from() writes are those that Django stores."""

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, connection
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_fast import copy_from
from django_async_fast.copying.columns import Columns
from tests.support.sql import execute
from tests.testapp.models import Everything

from .stored import assert_like_django, objects, stored

MOMENT = dt.datetime(2024, 2, 3, 4, 5, 6, 789, dt.UTC)

# What Django stores, and what it makes of other classes.
VALUES: dict[str, list[Any]] = {
    "small": [1, -32768, True, "7", None],
    "integer": [1, 2**31 - 1, "-5", 3.0, None],
    "big": [2**63 - 1, -(2**63), None],
    "positive": [0, 5],
    "char": ["", "a", "Ü\t\n\\N \\.", 5, None],
    "text": ["x" * 100_000, "\\.", "\r", None],
    "slug": ["a-b", None],
    "email": ["a@example.org", None],
    "url": ["https://example.org/%s?%%", None],
    "boolean": [True, False, "True", 0, None],
    "decimal": [
        *map(Decimal, ("1.5", "-0", "1E-5000", "0.00000000005", "-1." + "9" * 5000)),
        *("2.25", 3, None),
    ],
    "float": [1.5, 2, "2.5", float("inf"), float("nan"), None],
    "datetime": [MOMENT, MOMENT.astimezone(dt.timezone(dt.timedelta(hours=5))), None],
    "date": [dt.date(2024, 2, 29), "2024-02-29", MOMENT, None],
    "time": [dt.time(1, 2, 3, 4), "10:11", None],
    "duration": [dt.timedelta(days=-3, microseconds=1), None],
    "uuid": [uuid.UUID(int=5), "6" * 32, None],
    "json": [{"a": [1, None, "\\N"]}, [], "text", 5, None],
    "inet": ["::1", "10.0.0.1", None],
    "binary": [b"\x00\xff\\", memoryview(b"a"), b"", None],
    "file": ["files/a.txt", ""],
}


@pytest.mark.parametrize("name", VALUES)
def test_values_are_what_django_stores(name: str) -> None:
    rows = [(value,) for value in VALUES[name]]
    expected = assert_like_django(Everything, [name], rows)
    given = iter(objects(Everything, [name], rows))
    assert copy_from(Everything, given) == len(rows)
    assert stored(Everything, name) == expected


def test_all_columns_at_once() -> None:
    names = [*VALUES]
    length = max(map(len, VALUES.values()))
    rows = [tuple(VALUES[n][i % len(VALUES[n])] for n in names) for i in range(length)]
    assert_like_django(Everything, names, rows)


PLAIN = {
    "small": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "big": st.integers(-(2**63), 2**63 - 1),
    "char": st.text(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=100
    ),
    "boolean": st.booleans(),
    "decimal": st.decimals(-(10**19), 10**19, places=10, allow_nan=False),
    # Django's SQL of one row has -0.0 as a number, whose sign PostgreSQL drops.
    "float": st.floats().map(lambda value: value + 0.0),
    "datetime": st.datetimes(timezones=st.just(dt.UTC)),
    "date": st.dates(),
    "duration": st.timedeltas(dt.timedelta(days=-999_999), dt.timedelta(days=999_999)),
    "uuid": st.uuids(),
}
rows_of_plain = st.tuples(*(st.none() | each for each in PLAIN.values()))


@settings(max_examples=40)
@given(st.lists(rows_of_plain, min_size=1, max_size=5))
def test_plain_values_are_sent_in_binary(rows: list[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor:
        assert Columns(cursor, Everything, rows[0], [*PLAIN]).is_binary
    assert_like_django(Everything, [*PLAIN], rows)


texts = ["1 day", "-1:02:03.000004", "P1Y2M3DT4H5M6S", "1 mon -2 days", "7"]
durations = st.none() | st.sampled_from(texts)
durations |= st.timedeltas(dt.timedelta(-99_999), dt.timedelta(99_999))


@settings(max_examples=30)
@given(st.lists(durations, min_size=1, max_size=6))
def test_durations_are_what_django_stores(durations: list[Any]) -> None:
    rows = [*enumerate(durations)]
    assert_like_django(Everything, ["integer", "duration"], rows)
    # As text, beside a column that is not binary.
    names = ["integer", "duration", "json"]
    assert_like_django(Everything, names, [(*row, 1) for row in rows])


def test_a_duration_that_postgresql_does_not_read() -> None:
    rows = [(1, dt.timedelta(1)), (2, "1 day"), (3, "soon")]
    with pytest.raises(DataError, match=r"^row 3, field 'duration'"):
        copy_from(Everything, rows, ["integer", "duration"])
    assert not Everything.objects.exists()


@pytest.mark.parametrize("style", ["postgres", "sql_standard", "iso_8601"])
def test_durations_in_a_session_of_another_style(style: str) -> None:
    durations = [dt.timedelta(-3, 0, 1), dt.timedelta(hours=-30), "1 day"]
    execute(f"SET intervalstyle = {style}")
    try:
        names = ["integer", "duration"]
        assert_like_django(Everything, names, [*enumerate(durations)])
    finally:
        execute("RESET intervalstyle")

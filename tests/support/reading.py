"""What Django reads of a query against what another way reads, told apart by nothing."""

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import pq
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

TEXT, BINARY = FORMATS = (pq.Format.TEXT, pq.Format.BINARY)

Rows = list[tuple[Any, ...]]
# Of a connection, a result's format, a query and its parameters.
Read = Callable[[psycopg.Connection, pq.Format, str, Any], Rows]


def same(got: Any, expected: Any) -> None:
    """Assert that two values cannot be told apart, nor what is inside of them."""
    assert type(got) is type(expected)
    assert repr(got) == repr(expected)
    if isinstance(expected, (list, tuple, Multirange)):
        assert len(got) == len(expected)
        for each, other in zip(got, expected, strict=True):
            same(each, other)
    elif isinstance(expected, dict):
        same(list(got.items()), list(expected.items()))
    elif isinstance(expected, Range):
        same((got.lower, got.upper), (expected.lower, expected.upper))
        assert got.bounds == expected.bounds
    else:
        _same_scalar(got, expected)


def _same_scalar(got: Any, expected: Any) -> None:
    assert got == expected or got != got
    if isinstance(expected, float):
        assert math.copysign(1, got) == math.copysign(1, expected)
    if isinstance(expected, Decimal):
        assert got.as_tuple() == expected.as_tuple()
        assert got.is_nan() or hash(got) == hash(expected)
    if isinstance(expected, (dt.datetime, dt.time)):
        assert got.fold == expected.fold
        assert got.tzinfo is expected.tzinfo or got.tzinfo == expected.tzinfo


def compare(connection: Any, read: Read, query: str, params: Any = None) -> Rows:
    """Return what Django reads; assert that `read` returns the same of both formats."""
    expected = connection.execute(query, params).fetchall()
    for result_format in FORMATS:
        same(read(connection, result_format, query, params), expected)
    return expected


def compare_values(connection: Any, read: Read, type_: str, values: list[Any]) -> Rows:
    """The same for each of `values`, given as text."""
    query = (
        f"SELECT x::{type_} FROM unnest(%s::text[]) WITH ORDINALITY AS t(x, n) "
        "ORDER BY n"
    )
    return compare(connection, read, query, [[str(value) for value in values]])


def compare_errors(connection: psycopg.Connection, read: Read, query: str) -> None:
    """Assert that all ways raise DataError, with the same words."""
    with pytest.raises(psycopg.DataError) as expected:
        connection.execute(query).fetchall()
    for result_format in FORMATS:
        with pytest.raises(psycopg.DataError) as got:
            read(connection, result_format, query, None)
        assert type(got.value) is type(expected.value)
        assert str(got.value) == str(expected.value)

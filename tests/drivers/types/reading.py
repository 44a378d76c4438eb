"""What Django reads of a value against what the core reads, on one connection."""

from __future__ import annotations

import ctypes
import datetime as dt
import math
from decimal import Decimal
from functools import cache
from typing import Any

import psycopg
import pytest
from psycopg import pq
from psycopg.pq.misc import PGresAttDesc
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from django_async_fast import _native
from django_async_fast.drivers.psycopg import results

TEXT, BINARY = pq.Format.TEXT, pq.Format.BINARY


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
    if isinstance(expected, (dt.datetime, dt.time)):
        assert got.fold == expected.fold
        assert got.tzinfo is expected.tzinfo or got.tzinfo == expected.tzinfo


def in_binary(
    connection: psycopg.Connection, query: str, params: Any = None
) -> list[tuple[Any, ...]]:
    """Return a query's rows as the core decodes them from binary."""
    return _read(connection, BINARY, query, params)


def _read(
    connection: psycopg.Connection, result_format: pq.Format, query: str, params: Any
) -> list[tuple[Any, ...]]:
    with connection.cursor(binary=result_format == BINARY) as cursor:
        cursor.execute(query, params)
        result = cursor.pgresult
        assert result is not None
        oids = tuple(result.ftype(i) for i in range(result.nfields))
        assert {result.fformat(i) for i in range(result.nfields)} <= {result_format}
        decoder = results.decoders(connection).get(
            connection, cursor, oids, result_format
        )
        pointer = result.pgresult_ptr
        assert pointer is not None
        return [decoder.decode(pointer, row) for row in range(decoder.check(pointer))]


def reads(
    connection: psycopg.Connection, query: str, params: Any = None
) -> list[tuple[Any, ...]]:
    """Return what Django reads; assert that the core reads the same."""
    expected = connection.execute(query, params).fetchall()
    for result_format in (TEXT, BINARY):
        same(_read(connection, result_format, query, params), expected)
    return expected


def reads_all(
    connection: psycopg.Connection, type_: str, values: list[Any]
) -> list[Any]:
    """The same for each of `values`, given as text."""
    query = f"SELECT x::{type_} FROM unnest(%s::text[]) WITH ORDINALITY AS t(x, n) ORDER BY n"
    rows = reads(connection, query, [[str(value) for value in values]])
    return [value for (value,) in rows]


def fails(connection: psycopg.Connection, query: str) -> None:
    """All ways raise DataError, with the same words."""
    with pytest.raises(psycopg.DataError) as expected:
        connection.execute(query).fetchall()
    for result_format in (TEXT, BINARY):
        with pytest.raises(psycopg.DataError) as got:
            _read(connection, result_format, query, None)
        assert type(got.value) is type(expected.value)
        assert str(got.value) == str(expected.value)


def forged(
    connection: psycopg.Connection,
    oid: int,
    data: bytes,
    result_format: int = BINARY,
) -> Any:
    """Return a result of one value that no server has sent."""
    result = connection.pgconn.make_empty_result(pq.ExecStatus.TUPLES_OK)
    result.set_attributes([PGresAttDesc(b"x", 0, 0, result_format, oid, -1, -1)])
    assert libpq().PQsetvalue(result.pgresult_ptr, 0, 0, data, len(data)) == 1
    return result


def decoded(
    connection: psycopg.Connection,
    oid: int,
    kinds: dict[int, Any],
    data: bytes,
    result_format: int = BINARY,
) -> Any:
    result = forged(connection, oid, data, result_format)
    decoder = _native.decode.RowDecoder(
        [oid], result_format=result_format, kinds=kinds, timezone=dt.UTC
    )
    return decoder.decode(result.pgresult_ptr, 0)[0]


def malformed(
    connection: psycopg.Connection,
    oid: int,
    kinds: dict[int, Any],
    data: bytes,
    why: str,
    result_format: int = BINARY,
) -> None:
    """Assert that these bytes are refused in words that say why."""
    message = rf"^malformed value in column 0 \(OID {oid}\): .*{why}$"
    with pytest.raises(psycopg.DataError, match=message):
        decoded(connection, oid, kinds, data, result_format)


@cache
def libpq() -> Any:
    """Return the libpq that psycopg has loaded."""
    library = ctypes.CDLL(_native._libpq_path(pq.__impl__))
    library.PQsetvalue.argtypes = [ctypes.c_void_p, *[ctypes.c_int] * 2]
    library.PQsetvalue.argtypes += [ctypes.c_char_p, ctypes.c_int]
    return library

"""What Django reads of a value against what the core reads, on one connection."""

import datetime as dt
from typing import Any

import psycopg
import pytest
from psycopg import pq

from django_async_fast import _native
from django_async_fast.drivers.psycopg import results
from tests.support.forged_results import forged
from tests.support.reading import BINARY, compare, compare_errors, compare_values


def in_binary(
    connection: psycopg.Connection, query: str, params: Any = None
) -> list[tuple[Any, ...]]:
    """Return a query's rows as the core decodes them from binary."""
    return read(connection, BINARY, query, params)


def read(
    connection: psycopg.Connection, result_format: pq.Format, query: str, params: Any
) -> list[tuple[Any, ...]]:
    """Return a query's rows as the core decodes them from this format."""
    with connection.cursor(binary=result_format == BINARY) as cursor:
        cursor.execute(query, params)
        result = cursor.pgresult
        oids = tuple(result.ftype(i) for i in range(result.nfields))
        assert {result.fformat(i) for i in range(result.nfields)} <= {result_format}
        decoder = results.decoders(connection).get(
            connection, cursor, oids, result_format
        )
        pointer = result.pgresult_ptr
        return [decoder.decode(pointer, row) for row in range(decoder.check(pointer))]


def reads(
    connection: psycopg.Connection, query: str, params: Any = None
) -> list[tuple[Any, ...]]:
    """Return what Django reads; assert that the core reads the same."""
    return compare(connection, read, query, params)


def reads_all(
    connection: psycopg.Connection, type_: str, values: list[Any]
) -> list[Any]:
    """The same for each of `values`, given as text."""
    return [value for (value,) in compare_values(connection, read, type_, values)]


def fails(connection: psycopg.Connection, query: str) -> None:
    """Assert that all ways raise DataError, with the same words."""
    compare_errors(connection, read, query)


def decoded(
    connection: psycopg.Connection,
    oid: int,
    kinds: dict[int, Any],
    data: bytes,
    result_format: int = BINARY,
) -> Any:
    result = forged((oid, data), format=result_format)
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

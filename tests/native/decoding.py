"""What the core decodes, of a server's results and of forged ones."""

import datetime as dt
from functools import partial
from typing import Any

import pytest
from hypothesis import settings
from psycopg import Connection

from tests.support.forged_results import forged
from tests.support.reading import BINARY, Rows, compare, compare_errors, compare_values

_decode = pytest.importorskip("django_async_fast._decode")

UTC = dt.UTC

examples = settings(max_examples=40)


def decoder_for(result: Any, **options: Any) -> Any:
    _, oids, _ = _decode.shape(result.pgresult_ptr)
    return _decode.RowDecoder(oids, **{"timezone": UTC, **options})


def decoded(
    connection: Connection, format: int, query: str, params: Any = None, **options: Any
) -> Rows:
    """The rows of a result in `format`, as the core reads them."""
    with connection.cursor(binary=format == BINARY) as cursor:
        cursor.execute(query, params)
        result = cursor.pgresult
        assert result is not None
        decoder = decoder_for(result, result_format=format, **options)
        pointer = result.pgresult_ptr
        return [decoder.decode(pointer, row) for row in range(decoder.check(pointer))]


def reads(connection: Any, query: str, params: Any = None, **options: Any) -> Rows:
    """What Django reads; assert that the core reads the same from both formats."""
    return compare(connection, partial(decoded, **options), query, params)


def reads_all(connection: Any, type_: str, values: list[Any], **options: Any) -> Rows:
    """The same for each of `values`, given as text."""
    return compare_values(connection, partial(decoded, **options), type_, values)


def fails(connection: Connection, query: str, **options: Any) -> None:
    """Assert that all ways raise DataError, with the same words."""
    compare_errors(connection, partial(decoded, **options), query)


def read_forged(
    *columns: tuple[int, bytes | None], format: int = BINARY, **options: Any
) -> Any:
    """The row of a result with these OIDs and bytes."""
    result = forged(*columns, format=format)
    decoder = decoder_for(result, result_format=format, **options)
    return decoder.decode(result.pgresult_ptr, 0)

"""Nothing is kept of a PostgreSQL result: values, errors, decoders, capsules; counted."""

import contextlib
import datetime as dt
import sys
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import Connection

from tests.support.reading import BINARY, FORMATS

from .counting import steady

rows = pytest.importorskip("django_async_fast._rows")
decode = pytest.importorskip("django_async_fast._decode")

KOLKATA = ZoneInfo("Asia/Kolkata")
UNKNOWN = 99_999  # no type has this OID
SHARED = (None, True, 5, dt.UTC, KOLKATA, dt.datetime, Decimal, uuid.UUID)

VALUES = """
    SELECT NULL::int, true, 5::int2, 6e5::int4, 7e12::int8, 8::oid, 1.1::float4,
    1.2::float8, 12.50, 1e30::numeric, 'NaN'::numeric, 1e-20, 'ascii', 'ünï', ''::text,
    'x'::"char", 'abc'::bytea, date '2020-02-29', time '12:34:56', timetz '12:00+05:30',
    timestamp '2020-01-01', timestamptz '2020-01-01+00', interval '1 mon -2 days',
    '00000000-0000-0000-0000-000000000001'::uuid, '{"a": [1]}'::json, '{"a": 1}'::jsonb,
    inet '::1', cidr '10.0.0.0/8', repeat('x', 5000), repeat('y', 5000)::bytea
"""

ERRORS = {
    "date": "date 'infinity'",
    "date too small": "date '0044-03-15 BC'",
    "timestamp": "timestamp '-infinity'",
    "timestamptz": "timestamptz 'infinity'",
    "local timestamptz": "timestamptz '9999-12-31 23:00+00'",
    "time": "time '24:00'",
    "timetz": "timetz '24:00+01'",
    "interval": "interval '2000000000 days'",
}


def fail(data: bytes) -> Any:
    raise LookupError(data)


class Result:
    """A result, and the decoders of its columns."""

    def __init__(
        self, connection: Connection, query: str, format: int = BINARY
    ) -> None:
        self.format = format
        cursor = connection.cursor(binary=format == BINARY)
        cursor.execute(query)
        assert cursor.pgresult is not None
        self.result = cursor.pgresult
        self.pointer = self.result.pgresult_ptr
        self.rows, self.oids, _ = decode.shape(self.pointer)

    def decoder(self, **options: Any) -> Any:
        return decode.RowDecoder(self.oids, result_format=self.format, **options)

    def read(self, decoder: Any, plan: Any) -> None:
        batch = rows.ResultBatch(plan, decoder, self.result, self.pointer, self.rows)
        for _ in rows.RowIterator(iter([batch, None]).__next__):
            pass

    def plan(self) -> Any:
        return rows.TuplePlan(width=len(self.oids))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("zone", [None, KOLKATA])
def test_values(connection: Connection, zone: Any, format: int) -> None:
    result = Result(connection, VALUES, format)
    decoder = result.decoder(timezone=dt.UTC, session_timezone=zone)
    plan = result.plan()
    steady(lambda: result.read(decoder, plan), *SHARED, decoder, plan, result.result)
    steady(lambda: decoder.decode(result.pointer, 0), *SHARED, decoder)


def test_decoders_and_capsules(connection: Connection) -> None:
    result = Result(connection, VALUES)

    def act() -> None:
        decoder = result.decoder(
            timezone=dt.UTC, session_timezone=KOLKATA, loaders={0: fail, 1: bytes}
        )
        result.read(decoder, result.plan())
        assert decoder.capsule is not decoder.capsule

    steady(act, *SHARED, fail, result.result)


@pytest.mark.parametrize("error", ERRORS)
def test_values_that_python_has_not(connection: Connection, error: str) -> None:
    result = Result(connection, f"SELECT 'before', 12.50, {ERRORS[error]}, 'after'")
    decoder = result.decoder(timezone=dt.UTC, session_timezone=KOLKATA)
    plan = result.plan()

    def act() -> None:
        with contextlib.suppress(psycopg.DataError):
            result.read(decoder, plan)
            pytest.fail("it was read")

    steady(act, *SHARED, decoder, plan, psycopg.DataError)


def test_loaders_that_fail(connection: Connection) -> None:
    result = Result(connection, "SELECT 'before', point '(1,2)', 'after'")
    decoder = result.decoder(loaders={1: fail})

    def act() -> None:
        with contextlib.suppress(LookupError):
            result.read(decoder, result.plan())
            pytest.fail("it was read")

    steady(act, *SHARED, decoder, fail, LookupError)


@pytest.mark.parametrize(
    "act",
    [
        lambda: decode.RowDecoder([UNKNOWN]),
        lambda: decode.RowDecoder([25, UNKNOWN], loaders={0: fail}),
        lambda: decode.RowDecoder([25], loaders={0: fail, 1: fail}),
        lambda: decode.RowDecoder([25], loaders={0: 5}),
        lambda: decode.RowDecoder([1184], timezone="UTC"),
        lambda: decode.RowDecoder([1184]).check(0),
        lambda: decode.load_libpq("/nowhere.so"),
        lambda: decode.load_libpq(sys.executable),
    ],
)
def test_what_is_refused(act: Callable[[], Any]) -> None:
    def refused() -> None:
        with contextlib.suppress(ValueError, IndexError, TypeError, OSError):
            act()
            pytest.fail("it was not refused")

    steady(refused, *SHARED, fail)

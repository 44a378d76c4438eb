"""Every type that `_decode` reads, against what Django reads today.

`reads` executes a statement in text with the loaders that Django registers, then in both
formats through RowDecoder, and compares values, types and reprs. `Forged` makes
results of any bytes, for what no server would send.
"""

from __future__ import annotations

import copy
import ctypes
import datetime as dt
import gc
import json
import math
import pickle
import random
import re
import struct
import sys
import uuid
import weakref
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.db.backends.postgresql.psycopg_any import get_adapters_template
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg import pq
from psycopg.pq.misc import PGresAttDesc

from django_async_fast import _native

_decode = pytest.importorskip("django_async_fast._decode")

UTC = dt.UTC
UNKNOWN = 705
XML = 142  # not in every server
TEXT, BINARY = FORMATS = (0, 1)

examples = settings(max_examples=40)


def libpq_path() -> str:
    return _native._libpq_path(pq.__impl__)


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    _decode.load_libpq(libpq_path())


def decoder_for(result: Any, **options: Any) -> Any:
    _, oids, _ = _decode.shape(result.pgresult_ptr)
    return _decode.RowDecoder(oids, **{"timezone": UTC, **options})


def decoded(
    connection: psycopg.Connection,
    format: int,
    query: str,
    params: Any = None,
    **options: Any,
) -> list[tuple[Any, ...]]:
    """The rows of a result in `format`, as the core reads them."""
    with connection.cursor(binary=format == BINARY) as cursor:
        cursor.execute(query, params)
        result = cursor.pgresult
        assert result is not None
        decoder = decoder_for(result, result_format=format, **options)
        pointer = result.pgresult_ptr
        return [decoder.decode(pointer, row) for row in range(decoder.check(pointer))]


def identical(got: Any, expected: Any) -> None:
    assert type(got) is type(expected)
    assert repr(got) == repr(expected)
    assert got == expected or got != got
    if isinstance(expected, float):
        assert math.copysign(1, got) == math.copysign(1, expected)
    if isinstance(expected, Decimal):
        assert got.as_tuple() == expected.as_tuple()
        assert got.is_nan() or hash(got) == hash(expected)
    if isinstance(expected, (dt.datetime, dt.time)):
        assert got.fold == expected.fold
        assert got.tzinfo is expected.tzinfo or got.tzinfo == expected.tzinfo


def reads(
    connection: psycopg.Connection, query: str, params: Any = None, **options: Any
) -> list[tuple[Any, ...]]:
    """What Django reads; assert that the core reads the same from both formats."""
    expected = connection.execute(query, params).fetchall()
    for format in FORMATS:
        got = decoded(connection, format, query, params, **options)
        assert len(got) == len(expected)
        for row, expected_row in zip(got, expected, strict=True):
            assert len(row) == len(expected_row)
            for value, expected_value in zip(row, expected_row, strict=True):
                identical(value, expected_value)
    return expected


def reads_all(
    connection: psycopg.Connection, type_: str, values: list[Any], **options: Any
) -> list[tuple[Any, ...]]:
    """The same for each of `values`, given as text or as what psycopg adapts."""
    query = (
        f"SELECT x::{type_} FROM unnest(%s::text[]) WITH ORDINALITY AS t(x, n) "
        "ORDER BY n"
    )
    return reads(connection, query, [[str(value) for value in values]], **options)


class Forged:
    """Makes results with any OIDs and bytes, by libpq's own functions."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.pgconn = connection.pgconn
        self.setvalue = ctypes.CDLL(libpq_path()).PQsetvalue
        self.setvalue.argtypes = [ctypes.c_void_p] + [ctypes.c_int] * 2
        self.setvalue.argtypes += [ctypes.c_char_p, ctypes.c_int]

    def __call__(self, *columns: tuple[int, bytes | None], format: int = BINARY) -> Any:
        result = self.pgconn.make_empty_result(pq.ExecStatus.TUPLES_OK)
        result.set_attributes(
            [PGresAttDesc(b"x", 0, 0, format, oid, -1, -1) for oid, _ in columns]
        )
        for index, (_, data) in enumerate(columns):
            length = -1 if data is None else len(data)
            assert self.setvalue(result.pgresult_ptr, 0, index, data, length) == 1
        return result

    def read(
        self,
        *columns: tuple[int, bytes | None],
        format: int = BINARY,
        **options: Any,
    ) -> Any:
        result = self(*columns, format=format)
        decoder = decoder_for(result, result_format=format, **options)
        return decoder.decode(result.pgresult_ptr, 0)


@pytest.fixture(scope="module")
def forged(connection: psycopg.Connection) -> Forged:
    return Forged(connection)


# --- constants of every type --------------------------------------------------------

CONSTANTS = {
    "bool": ["true", "false"],
    "int2": ["0", "-1", "32767", "-32768", "256", "257"],
    "int4": ["0", "-5", "-6", "256", "2147483647", "-2147483648"],
    "int8": ["0", "9223372036854775807", "-9223372036854775808"],
    "oid": ["0", "4294967295"],
    "float4": [
        *["0", "-0", "1.1", "-1e-45", "3.4028235e38", "NaN", "Infinity", "-Infinity"],
        *["2097152.25", "33554450", "8.999999e9", "1.17549435e-38", "16777216"],
    ],
    "float8": [
        *["0", "-0", "1.1", "5e-324", "1.7976931348623157e308", "0.1"],
        *["NaN", "Infinity", "-Infinity", "2.2250738585072014e-308"],
    ],
    "numeric": [
        *["0", "0.00", "-0.5", "1", "-1", "10", "10000", "100000000", "1e20"],
        *["NaN", "Infinity", "-Infinity", "0.0001", "0.00000000000001", "1e-30"],
        *["12345678901234567890.123456789", "9999999999999999.99", "1e130"],
        *["-99999999.99", "1.10", "1.100", "1e-16383", "-1e131071", "1234500000000"],
        *["9999999999999999999", "10000000000000000000", "9" * 38, "1" + "0" * 38],
        *["0.9999999999999999999", "1." + "0" * 37, "1." + "0" * 38],
    ],
    "numeric(10,2)": ["0", "12345678.9", "-0.01", "99999999.99"],
    "text": ["", "a", "é", "ab", "ünï", "€uro", "😀", "x" * 1000, "é" * 300],
    "varchar": ["", "a", "abc", "ÿ"],
    "bpchar": ["", "a", "a  "],
    "char(5)": ["", "a", "é"],
    "name": ["", "a", "pg_type"],
    '"char"': ["", "a", "\x7f", "\\377", "\\200"],
    "bytea": ["", "\\x00", "\\x00ff5c27", "\\x" + "ab" * 500],
    "date": ["0001-01-01", "9999-12-31", "2000-01-01", "2000-02-29", "1900-02-28"],
    "time": ["00:00", "23:59:59.999999", "12:34:56", "00:00:00.000001"],
    "timetz": [
        *["00:00+00", "12:00+05:30", "12:00:00.1-05:50:36", "23:59:59.999999+15:59:59"],
        *["01:02:03-15:59:59", "10:00-00:00:01"],
    ],
    "timestamp": [
        *["0001-01-01", "9999-12-31 23:59:59.999999", "2000-01-01", "1999-12-31 23:59"],
        *["1969-12-31 23:59:59.999999", "2024-02-29 12:34:56.789"],
    ],
    "timestamptz": [
        *["0001-01-01 00:00+00", "9999-12-31 23:59:59.999999+00"],
        *["1969-12-31 23:59:59.999999+00", "2000-01-01 00:00+02"],
    ],
    "interval": [
        *["0", "1 day", "-1 day", "1 mon", "-1 mon -1 day", "1 year -13 mons"],
        *["1 year 2 mons -3 days 04:05:06.789", "-1 us", "25:00:00.000001"],
        *["-1 day +00:00:01", "999999999 days", "-999999999 days", "2562047788:00:54"],
        *["-100 years 00:00:00.5", "100 years -00:00:00.5"],
    ],
    "uuid": [
        *["00000000-0000-0000-0000-000000000000", "f" * 32],
        *["12345678-1234-4678-9234-567812345678"],
    ],
    "jsonb": ['""', "{}", '{"b": 1, "a": [1, 2.50, null]}', '"é"', "1e3", "null"],
    "json": ['""', "{}", '{"b": 1, "a": [1, 2.50, null]}', '"\\u00e9é"', "1e3", "null"],
    "inet": [
        *["0.0.0.0", "0.0.0.0/0", "10.1.2.3/8", "255.255.255.255", "1.2.3.4/31"],
        *["::", "::1", "::/0", "1::", "::ffff:1.2.3.4", "::1.2.3.4", "::1:2", "0:1::"],
        *["2001:db8::ff00:42:8329/64", "1:0:0:2::3", "1::2:0:0:3:4", "0:2::5:6:7:8"],
        *["::ffff:0.0.0.0", "::0.1.0.0", "::0.0.1.0", "::ffff:0:1.2.3.4"],
        *["1:2:3:4:5:6:7:0", "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"],
    ],
    "cidr": ["10/8", "0.0.0.0/0", "1.2.3.4/32", "::/0", "2001:db8::/32", "::1/128"],
    "int2vector": ["", "1", "1 -2 3"],
    "oidvector": ["", "1 4294967295"],
    "tid": ["(0,0)", "(4294967295,65535)"],
    "xid": ["0", "4294967295"],
    "cid": ["7", "4294967295"],
    "xid8": ["0", "18446744073709551615"],
    "pg_lsn": ["0/0", "16/AB0100", "FFFFFFFF/FFFFFFFF"],
    "refcursor": ["", "a"],
    "jsonpath": ["$", "$.a[*] ? (@.b > 1)"],
    "bit": ["0", "1"],
    "varbit": ["", "1", "10101010", "101010101"],
    "macaddr": ["08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"],
    "macaddr8": ["08:00:2b:01:02:03:04:05", "ff:ff:ff:ff:ff:ff:ff:ff"],
    "point": [
        *["(1.5,-2)", "(1e23,5e-324)", "(NaN,Infinity)", "(-Infinity,-0)"],
        *["(1e15,123456789012345)", "(0.0001,0.00001)", "(1e-4,-1.5e300)"],
    ],
    "lseg": ["[(1,2),(3,4)]", "[(0.1,0),(0,0)]"],
    "box": ["(1,2),(3,4)", "(0,0),(0,0)"],
    "path": ["[(1,2),(3,4)]", "((1,2),(3,4))", "(1,2)"],
    "polygon": ["((0,0),(1,1.25),(2,0))", "((7,7))"],
    "line": ["{1,2,3}", "{-1,0,0.5}"],
    "circle": ["<(1,2),3.5>", "<(0,0),0>"],
    "tsvector": [
        *["", "a b", "a:1A,2B,3C,4D 'it''s':5 'back\\\\slash'", "é:16383"],
    ],
    "tsquery": [
        *["", "a", "!a", "!!a", "a & b | c", "a & (b | c)", "!(a & b)", "a:*ABCD"],
        *["a <-> (b <2> c)", "(a <-> b) <-> c", "'it''s' & 'back\\\\slash'", "é:*B"],
    ],
}


@pytest.mark.parametrize("type_", CONSTANTS)
def test_constants(connection: psycopg.Connection, type_: str) -> None:
    expected = reads_all(connection, type_, CONSTANTS[type_])
    assert len(expected) == len(CONSTANTS[type_])


@pytest.mark.parametrize("type_", CONSTANTS)
def test_nulls_and_domains(connection: psycopg.Connection, type_: str) -> None:
    value = CONSTANTS[type_][-1]
    connection.execute(f"CREATE DOMAIN pg_temp.mine AS {type_}")
    try:
        query = f"SELECT NULL::{type_}, $${value}$$::mine, NULL::mine"
        assert reads(connection, query)[0][0] is None
    finally:
        connection.execute("DROP DOMAIN mine")


def test_unknown_and_postgres_own_columns(connection: psycopg.Connection) -> None:
    reads(connection, "SELECT 'a', oid, relname, relkind, relhasindex FROM pg_class")


def test_shared_values_are_shared(connection: psycopg.Connection) -> None:
    query = "SELECT true, false, 5::int2, -5::int4, 256::int8, ''::text, 'a'::text"
    for format in FORMATS:
        row = decoded(connection, format, query)[0]
        assert row[0] is True
        assert row[1] is False
        for value, same in zip(row[2:], (5, -5, 256, "", chr(97)), strict=True):
            assert value is same


@pytest.mark.parametrize("format", FORMATS)
def test_every_oid_is_a_decoder_and_no_other(format: int) -> None:
    known = (_decode.TEXT_OIDS, _decode.BINARY_OIDS)[format]
    for oid in range(20_000):
        if oid in known:
            _decode.RowDecoder([oid], result_format=format)
        else:
            with pytest.raises(ValueError, match=rf"column 1 has OID {oid}\b"):
                _decode.RowDecoder([16, oid], result_format=format)


def test_formats_are_checked() -> None:
    with pytest.raises(ValueError, match=r"0 \(text\) or 1 \(binary\), not 2"):
        _decode.RowDecoder([16], result_format=2)


def test_every_oid_has_constants(connection: psycopg.Connection) -> None:
    names = ", ".join(f"$${name}$$::regtype::oid::int8" for name in CONSTANTS)
    tested = set(connection.execute(f"SELECT {names}").fetchone() or ())
    assert tested | {UNKNOWN, XML} == _decode.BINARY_OIDS == _decode.TEXT_OIDS


# --- random values ------------------------------------------------------------------


def decimals() -> st.SearchStrategy[str]:
    digits = st.text("0123456789", min_size=1)
    return st.builds(
        "{}{}.{}".format,
        st.sampled_from(["", "-"]),
        st.one_of(digits, st.text("09", min_size=1, max_size=45)),
        st.one_of(st.just(""), digits, st.text("09", max_size=45)),
    )


@examples
@given(st.lists(decimals(), min_size=1, max_size=50))
@example(["0" * 10 + "1." + "0" * 10, "-" + "9" * 60 + "." + "9" * 60])
def test_numeric(connection: psycopg.Connection, values: list[str]) -> None:
    reads_all(connection, "numeric", values)


def test_numeric_of_every_size(connection: psycopg.Connection) -> None:
    rng = random.Random(4)
    values = [
        f"{sign}{''.join(rng.choices('0123456789', k=before))}"
        f".{''.join(rng.choices('0123456789', k=after))}"
        for before in range(1, 50)
        for after in range(0, 50, 3)
        for sign in ("", "-")
    ]
    reads_all(connection, "numeric", values)


@examples
@given(st.lists(decimals(), min_size=2, max_size=10), st.sampled_from(FORMATS))
def test_decimals_compute_as_any_other(
    connection: psycopg.Connection, values: list[str], format: int
) -> None:
    """What we filled by hand must survive every kind of use."""
    query = "SELECT x::numeric FROM unnest(%s::text[]) AS t(x)"
    for (got,) in decoded(connection, format, query, [values]):
        same = Decimal(str(got))
        assert got + 0 == same + 0
        assert str(got * got - got / 7) == str(same * same - same / 7)
        assert f"{got:,.3f}" == f"{same:,.3f}"
        assert pickle.dumps(got) == pickle.dumps(same)
        assert copy.deepcopy(got) is got
        assert {got: 1}[same] == 1
        assert got.as_integer_ratio() == same.as_integer_ratio()
        assert sys.getsizeof(got) <= sys.getsizeof(same)


@examples
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=200))
def test_float4(connection: psycopg.Connection, bits: list[int]) -> None:
    values = [struct.unpack("!f", struct.pack("!I", value))[0] for value in bits]
    reads_all(connection, "float4", values)


def test_float4_near_every_power_of_two(connection: psycopg.Connection) -> None:
    values = [
        struct.unpack("!f", struct.pack("!I", (exponent << 23) + step))[0]
        for exponent in range(1, 255)
        for step in (-2, -1, 0, 1, 2)
    ]
    quarters = [(2**23 + odd) / 2**k for odd in range(1, 200, 2) for k in range(1, 14)]
    reads_all(connection, "float4", values + quarters)


@examples
@given(st.lists(st.floats(), min_size=1, max_size=100))
def test_float8(connection: psycopg.Connection, values: list[float]) -> None:
    reads_all(connection, "float8", values)


@examples
@given(st.lists(st.dates(), min_size=1, max_size=100))
def test_date(connection: psycopg.Connection, values: list[dt.date]) -> None:
    reads_all(connection, "date", values)


@examples
@given(st.lists(st.datetimes(), min_size=1, max_size=100))
def test_timestamp(connection: psycopg.Connection, values: list[dt.datetime]) -> None:
    reads_all(connection, "timestamp", values)
    reads_all(connection, "timestamptz", [f"{value}+00" for value in values])


@examples
@given(st.lists(st.times(), min_size=1), st.integers(-57599, 57599))
def test_time(connection: psycopg.Connection, values: list[dt.time], east: int) -> None:
    reads_all(connection, "time", values)
    zone = dt.timezone(dt.timedelta(seconds=east))
    reads_all(connection, "timetz", [value.replace(tzinfo=zone) for value in values])


@examples
@given(
    st.lists(
        st.tuples(
            st.integers(-10_000, 10_000),
            st.integers(-10_000_000, 10_000_000),
            st.integers(-(2**60), 2**60),
        ),
        min_size=1,
    )
)
def test_interval(
    connection: psycopg.Connection, values: list[tuple[int, int, int]]
) -> None:
    texts = [f"{months} mons {days} days {us} us" for months, days, us in values]
    reads_all(connection, "interval", texts)


@examples
@given(st.lists(st.uuids(), min_size=1))
def test_uuid(connection: psycopg.Connection, values: list[uuid.UUID]) -> None:
    reads_all(connection, "uuid", values)
    query, texts = "SELECT unnest(%s::uuid[])", [str(value) for value in values]
    for (got,) in decoded(connection, BINARY, query, [texts]):
        same = uuid.UUID(bytes=got.bytes)
        assert hash(got) == hash(same)
        assert pickle.dumps(got) == pickle.dumps(same)
        assert copy.deepcopy(got) == copy.copy(got) == same
        assert got.is_safe is same.is_safe
        assert weakref.ref(got)() is got
        with pytest.raises(TypeError):
            got.int = 1


GROUPS = st.lists(st.sampled_from(["0", "0", "1", "ffff"]), min_size=8, max_size=8)
ADDRESSES = st.ip_addresses(v=4) | st.ip_addresses(v=6) | GROUPS.map(":".join)


@examples
@given(st.lists(ADDRESSES, min_size=1), st.integers(0, 128))
def test_inet(connection: psycopg.Connection, values: list[Any], mask: int) -> None:
    reads_all(connection, "inet", values)
    masked = [f"{x}/{mask if ':' in str(x) else mask % 33}" for x in values]
    reads_all(connection, "inet", masked)
    query = "SELECT network(x::inet) FROM unnest(%s::text[]) AS t(x)"
    reads(connection, query, [masked])


@examples
@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"))))
def test_text(connection: psycopg.Connection, values: list[str]) -> None:
    reads_all(connection, "text", values)


@examples
@given(st.binary())
def test_bytea(connection: psycopg.Connection, value: bytes) -> None:
    for output in ("escape", "hex"):
        connection.execute(f"SET bytea_output = {output}")
        assert reads(connection, "SELECT %b::bytea", [value]) == [(value,)]


def test_every_char(connection: psycopg.Connection) -> None:
    codes = [f"\\{code:03o}" if code > 127 else chr(code) for code in range(1, 256)]
    reads_all(connection, '"char"', codes)


# --- time zones ---------------------------------------------------------------------

ZONES = ["UTC", "America/Chicago", "Asia/Kolkata", "Australia/Lord_Howe"]
INSTANTS = [
    *["2024-11-03 06:30+00", "2024-11-03 07:30+00", "2024-03-10 08:00+00"],
    *["2024-10-27 00:30+00", "2024-10-27 01:30+00", "1850-06-01 00:00:00.5+00"],
    *["2024-04-06 15:15+00", "2000-01-01 00:00+00", "2100-07-01 12:00+00"],
]


@pytest.fixture(params=ZONES)
def abroad(dsn: str, request: pytest.FixtureRequest) -> Iterator[tuple[Any, ZoneInfo]]:
    """A function that connects with a setting of Django's, in a session elsewhere."""
    zone = ZoneInfo(request.param)
    connections = []

    def connect(timezone: dt.tzinfo | None) -> psycopg.Connection:
        template = get_adapters_template(timezone is not None, timezone)
        connection = psycopg.connect(dsn, autocommit=True, context=template)
        connections.append(connection)
        connection.execute("SELECT set_config('TimeZone', %s, false)", [zone.key])
        return connection

    yield connect, zone
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("timezone", [UTC, None, ZoneInfo("Europe/Paris"), "session's"])
def test_timestamptz_of_other_sessions(abroad: Any, timezone: Any) -> None:
    connect, zone = abroad
    if timezone == "session's":
        timezone = zone
    connection = connect(timezone)
    options = {"session_timezone": zone, "timezone": timezone}
    rng = random.Random(5)
    first, second = dt.datetime(1, 1, 2), dt.timedelta(seconds=1)
    instants = [
        f"{first + rng.randrange(315_500_000_000) * second}+00" for _ in range(200)
    ]
    rows = reads_all(connection, "timestamptz", INSTANTS + instants, **options)
    assert all(value.tzinfo is timezone for (value,) in rows)
    # Inside of Python's years here, outside of them in UTC.
    edges = ["0001-01-01", "0001-01-01 03:00", "9999-12-31 23:59:59.999999"]
    reads_all(connection, "timestamptz", edges, **options)


@pytest.mark.parametrize(
    "value",
    [
        *["infinity", "-infinity", "0044-03-15 BC", "0001-12-31 23:59:59 BC"],
        *["10000-01-01", "12000-01-01 00:00+02", "294276-12-31 23:59:59+00"],
        "4714-12-01 00:00+00 BC",
    ],
)
def test_timestamptz_out_of_range_of_other_sessions(abroad: Any, value: str) -> None:
    connect, zone = abroad
    connection = connect(UTC)
    fails(connection, f"SELECT '{value}'::timestamptz", session_timezone=zone)


def test_zone_that_returns_no_datetime(connection: psycopg.Connection) -> None:
    class Odd(dt.tzinfo):
        def fromutc(self, _: dt.datetime) -> Any:
            return "noon"

    with pytest.raises(TypeError, match="not a datetime"):
        decoded(connection, BINARY, "SELECT now()", session_timezone=Odd())


def test_zone_that_raises(connection: psycopg.Connection) -> None:
    class Odd(dt.tzinfo):
        def fromutc(self, _: dt.datetime) -> Any:
            raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        decoded(connection, BINARY, "SELECT now()", session_timezone=Odd())


# --- values that Python does not have -----------------------------------------------


def fails(connection: psycopg.Connection, query: str, **options: Any) -> None:
    """All ways raise DataError, with the same words."""
    with pytest.raises(psycopg.DataError) as expected:
        connection.execute(query).fetchall()
    for format in FORMATS:
        with pytest.raises(psycopg.DataError) as got:
            decoded(connection, format, query, **options)
        assert type(got.value) is type(expected.value)
        assert str(got.value) == str(expected.value)


@pytest.mark.parametrize(
    "expression",
    [
        *["'infinity'::date", "'-infinity'::date", "'0044-03-15 BC'::date"],
        *["'10000-01-01'::date", "'5874897-12-31'::date", "'4713-01-01 BC'::date"],
        *["'infinity'::timestamp", "'-infinity'::timestamp", "'infinity'::timestamptz"],
        *["'0044-03-15 12:00:00.25 BC'::timestamp", "'10000-01-01'::timestamp"],
        *["'294276-12-31 23:59:59.999999'::timestamptz", "'-infinity'::timestamptz"],
        *["'24:00:00'::time", "'24:00:00+02'::timetz", "'24:00-05:50:36'::timetz"],
        *["'999999999 days 24:00:00'::interval", "'-999999999 days -1 us'::interval"],
        "'999999999 days 1 mon -00:00:00.5'::interval",
    ],
)
def test_out_of_range(connection: psycopg.Connection, expression: str) -> None:
    fails(connection, f"SELECT {expression}")


def test_interval_beyond_any_timedelta(connection: psycopg.Connection) -> None:
    # psycopg's compiled loader wraps around here; its Python one raises, as we do.
    for format in FORMATS:
        with pytest.raises(psycopg.DataError, match="178000000 years"):
            decoded(connection, format, "SELECT '178000000 years'::interval")


def test_infinite_interval_is_nothing_as_today(connection: psycopg.Connection) -> None:
    if connection.info.server_version < 170000:
        pytest.skip("PostgreSQL 17 has infinite intervals")
    reads_all(connection, "interval", ["infinity", "-infinity"])


def test_text_that_is_not_utf8(forged: Forged) -> None:
    with pytest.raises(UnicodeDecodeError):
        forged.read((25, b"ab\xff"))


def test_json_that_is_not_json(forged: Forged) -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        forged.read((114, b"nope"))


# --- bytes that no server sends -----------------------------------------------------


@pytest.mark.parametrize(
    ("oid", "data", "why"),
    [
        (16, b"", "expected 1 bytes, got 0"),
        (20, b"1234", "expected 8 bytes, got 4"),
        (21, b"123", "expected 2 bytes, got 3"),
        (23, b"12345678", "expected 4 bytes, got 8"),
        (700, b"1", "expected 4 bytes, got 1"),
        (701, b"1", "expected 8 bytes, got 1"),
        (1082, b"", "expected 4 bytes, got 0"),
        (1083, b"\xff" * 8, "expected microseconds of a day .* got -1"),
        (1114, b"1", "expected 8 bytes, got 1"),
        (1184, b"1", "expected 8 bytes, got 1"),
        (1186, b"1", "expected 16 bytes, got 1"),
        (1266, b"1" * 8, "expected 12 bytes, got 8"),
        (1700, b"1", "expected at least 2 bytes, got 1"),
        (1700, b"\0\2" + bytes(6), "expected 12 bytes, got 8"),
        (1700, b"\0\1" + bytes(6) + b"\xff\xff", "expected numeric digit .* got 65535"),
        (2950, b"1" * 15, "expected 16 bytes, got 15"),
        (3802, b"\2{}", "expected jsonb version 1, got 2"),
        (869, b"\2\x21\0\4\1\2\3\4", "expected network mask up to 32, got 33"),
        (650, b"\3\0\1\x10" + bytes(12), "expected 20 bytes, got 16"),
    ],
)
def test_malformed(forged: Forged, oid: int, data: bytes, why: str) -> None:
    message = rf"^malformed value in column 1 \(OID {oid}\): {why}$"
    with pytest.raises(psycopg.DataError, match=message):
        forged.read((16, b"\1"), (oid, data))


@pytest.mark.parametrize(
    ("oid", "data", "expected"),
    [
        (16, b"true", "t or f"),
        (17, b"\\x0", "bytes as .*"),
        (20, b"9223372036854775808", "an integer of eight bytes"),
        (21, b"1.0", "an integer of two bytes"),
        (23, b"", "an integer of four bytes"),
        (26, b"-1", "an unsigned integer of four bytes"),
        (700, b"1,5", "a floating point number"),
        (701, b"0x10", "a floating point number"),
        (1082, b"01/02/2024", "a date as YYYY-MM-DD"),
        (1083, b"noon", "a time as HH:MM:SS"),
        (1114, b"2024-02-30 00:00:00", "a timestamp as YYYY-MM-DD HH:MM:SS"),
        (1184, b"2024-01-01 00:00:00", r"a timestamp as YYYY-MM-DD HH:MM:SS\+HH"),
        (1186, b"P1D", "an interval of style postgres"),
        (1266, b"12:00:00", r"a time as HH:MM:SS\+HH"),
        (1700, b"1e5", "a decimal number"),
        (2950, b"f" * 32, "a UUID as 8-4-4-4-12 hexadecimal digits"),
    ],
)
def test_malformed_text(forged: Forged, oid: int, data: bytes, expected: str) -> None:
    got = re.escape(json.dumps(data.decode()))
    message = (
        rf"^malformed value in column 1 \(OID {oid}\): expected {expected}, got {got}$"
    )
    with pytest.raises(psycopg.DataError, match=message):
        forged.read((16, b"t"), (oid, data), format=TEXT)


def test_long_malformed_text_is_cut(forged: Forged) -> None:
    with pytest.raises(psycopg.DataError, match=r'got "x{60}"\.\.\. \(99 bytes\)$'):
        forged.read((23, b"x" * 99), format=TEXT)


PRINTED = st.text("0123456789-:. +infyBC\\xe", max_size=30).map(str.encode)


@settings(examples, max_examples=1000)
@given(
    st.sampled_from(FORMATS),
    st.sampled_from(sorted(_decode.BINARY_OIDS)),
    st.binary(max_size=40) | PRINTED,
)
def test_any_bytes_give_a_value_or_an_error(
    forged: Forged, format: int, oid: int, data: bytes
) -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    try:
        (value,) = forged.read((oid, data), format=format, session_timezone=kolkata)
    except (psycopg.DataError, ValueError):
        return
    repr(value)


def test_a_row_that_fails_keeps_nothing(forged: Forged) -> None:
    marker = object()
    result = forged((25, b"x"), (25, b"x"), (23, b"too long"))
    loaders = {0: lambda _: marker, 1: lambda _: marker}
    decoder = decoder_for(result, loaders=loaders)
    before = sys.getrefcount(marker)
    for _ in range(10):
        with pytest.raises(psycopg.DataError):
            decoder.decode(result.pgresult_ptr, 0)
    assert sys.getrefcount(marker) == before


IN_BINARY = [
    *[(1700, b"\0\1\0\0\0\0\0\0\0\5"), (2950, b"0" * 16), (1184, bytes(8))],
    *[(25, b"text"), (20, b"\1" * 8), (701, b"\1" * 8), (1266, bytes(12))],
]
IN_TEXT = [
    *[(1700, b"5.00"), (2950, str(uuid.UUID(int=5)).encode()), (17, b"\\x00ff")],
    *[(1184, b"2000-01-01 00:00:00+00"), (25, b"text"), (20, b"72340172838076673")],
    *[(701, b"1.5"), (1266, b"00:00:00+00"), (1186, b"1 day"), (1082, b"2000-01-01")],
]


@pytest.mark.parametrize(("format", "columns"), [(TEXT, IN_TEXT), (BINARY, IN_BINARY)])
def test_values_are_not_leaked(forged: Forged, format: int, columns: Any) -> None:
    result = forged(*columns, format=format)
    decoder = decoder_for(result, result_format=format)
    gc.collect()  # what other tests have left would be missed below
    utc = sys.getrefcount(UTC)
    decimal, uuid_ = sys.getrefcount(Decimal), sys.getrefcount(uuid.UUID)
    blocks = sys.getallocatedblocks()
    for _ in range(2000):
        decoder.decode(result.pgresult_ptr, 0)
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 200
    assert sys.getrefcount(UTC) == utc
    assert (sys.getrefcount(Decimal), sys.getrefcount(uuid.UUID)) == (decimal, uuid_)


# --- RowDecoder and the functions around it -----------------------------------------


def test_loaders_get_the_bytes_of_values(forged: Forged) -> None:
    calls: list[bytes] = []

    def load(data: bytes) -> object:
        calls.append(data)
        return len(calls)

    columns = (600, b"any\0thing"), (600, None), (25, b""), (25, b"text")
    row = forged.read(*columns, loaders={0: load, 1: load, 2: load})
    assert row == (1, None, 2, "text")
    assert calls == [b"any\0thing", b""]
    assert all(type(data) is bytes for data in calls)


def test_loader_errors_pass_through(forged: Forged) -> None:
    def load(data: bytes) -> object:
        raise LookupError(data)

    with pytest.raises(LookupError, match="x"):
        forged.read((600, b"x"), loaders={0: load})


@pytest.mark.parametrize(
    ("loaders", "error"),
    [
        ({1: bytes.decode}, IndexError),
        ({-1: bytes.decode}, IndexError),
        ({0: 5}, TypeError),
        ({"a": bytes.decode}, TypeError),
    ],
)
def test_loaders_are_checked(loaders: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        _decode.RowDecoder([25], loaders=loaders)


@pytest.mark.parametrize("name", ["timezone", "session_timezone"])
def test_timezones_are_checked(name: str) -> None:
    with pytest.raises(TypeError):
        _decode.RowDecoder([1184], **{name: "UTC"})


def test_check(forged: Forged) -> None:
    result = forged((23, bytes(4)), (25, b"x"))
    pointer = result.pgresult_ptr
    assert _decode.rows(pointer) == 1
    assert _decode.shape(pointer) == (1, (23, 25), (1, 1))
    assert _decode.RowDecoder([23, 25]).check(pointer) == 1
    assert _decode.RowDecoder([23]).check(pointer) == 1
    with pytest.raises(ValueError, match="of at least 3 columns, got 2"):
        _decode.RowDecoder([23, 25, 25]).check(pointer)
    with pytest.raises(ValueError, match=r"column 1 with OID 16 .* got OID 25"):
        _decode.RowDecoder([23, 16]).check(pointer)
    text = forged((23, b"5"), format=0)
    with pytest.raises(ValueError, match="in format 1, got OID 23 in format 0"):
        _decode.RowDecoder([23]).check(text.pgresult_ptr)
    assert _decode.RowDecoder([23], result_format=TEXT).decode(
        text.pgresult_ptr, 0
    ) == (5,)
    with pytest.raises(ValueError, match="in format 0, got OID 23 in format 1"):
        _decode.RowDecoder([23], result_format=TEXT).check(pointer)
    loads_text = _decode.RowDecoder([23], loaders={0: int})
    assert loads_text.decode(text.pgresult_ptr, 0) == (5,)


@pytest.mark.parametrize("row", [-1, 1, 2**31 - 1])
def test_rows_are_checked(forged: Forged, row: int) -> None:
    result = forged((23, bytes(4)))
    with pytest.raises(IndexError, match=rf"row {row} of a result of 1 rows"):
        _decode.RowDecoder([23]).decode(result.pgresult_ptr, row)


def test_cleared_results_are_refused(forged: Forged) -> None:
    for function in (_decode.rows, _decode.shape, _decode.RowDecoder([23]).check):
        with pytest.raises(ValueError, match="cleared"):
            function(0)


def test_no_columns(forged: Forged) -> None:
    result = forged()
    assert _decode.RowDecoder([]).check(result.pgresult_ptr) == 0


class Contract(ctypes.Structure):
    _fields_ = (
        ("abi", ctypes.c_uint32),
        ("columns", ctypes.c_uint32),
        ("ctx", ctypes.c_void_p),
        ("decode_row", ctypes.c_void_p),
    )


def contract_of(capsule: Any) -> Contract:
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype = ctypes.c_void_p
    pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = pointer(capsule, b"django_async_fast._decode.RowDecoder")
    return Contract.from_address(address)


def call_contract(contract: Contract, pointer: int, row: int) -> tuple[Any, ...]:
    """Decode a row as `native/` does."""
    signature = (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
    function: Callable[..., int]
    function = ctypes.PYFUNCTYPE(*signature, ctypes.c_void_p)(contract.decode_row)
    out = (ctypes.c_void_p * contract.columns)()
    assert function(contract.ctx, pointer, row, ctypes.addressof(out)) == 0
    values = tuple(ctypes.cast(address, ctypes.py_object).value for address in out)
    for address in out:
        ctypes.pythonapi.Py_DecRef(ctypes.c_void_p(address))
    return values


def test_capsule_outlives_its_decoder(forged: Forged) -> None:
    result = forged((25, b"hello"), (23, None), (1700, b"\0\0\0\0\0\0\0\1"))
    decoder = decoder_for(result)
    capsule = decoder.capsule
    references = sys.getrefcount(decoder)
    del capsule
    assert sys.getrefcount(decoder) == references - 1
    capsule = decoder.capsule
    del decoder
    gc.collect()
    contract = contract_of(capsule)
    assert (contract.abi, contract.columns) == (1, 3)
    row = call_contract(contract, result.pgresult_ptr, 0)
    assert row == ("hello", None, Decimal("0.0"))


def test_contract_reports_errors(forged: Forged) -> None:
    result = forged((25, b"hello"), (1082, struct.pack("!i", 2**31 - 1)))
    capsule = decoder_for(result).capsule
    with pytest.raises(psycopg.DataError, match="date too large"):
        call_contract(contract_of(capsule), result.pgresult_ptr, 0)


def test_cycles_are_collected() -> None:
    class Owner:
        decoder: Any

        def load(self, data: bytes) -> object:
            return data

    owner = Owner()
    owner.decoder = _decode.RowDecoder([600], loaders={0: owner.load})
    ref = weakref.ref(owner)
    del owner
    gc.collect()
    assert ref() is None


def test_libpq_that_is_not_there(tmp_path: Any) -> None:
    with pytest.raises(OSError, match=r"nowhere\.so is not loaded"):
        _decode.load_libpq(str(tmp_path / "nowhere.so"))
    with pytest.raises(OSError, match="no PQntuples in"):
        _decode.load_libpq(sys.modules["_ctypes"].__file__)
    _decode.load_libpq(libpq_path())


def test_build_info() -> None:
    info = _decode.build_info()
    assert info["profile"] in {"release", "debug"}
    assert info["version"]

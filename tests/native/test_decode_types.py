"""Every type that `_decode` reads, from text and from binary, against what Django reads."""

import copy
import datetime as dt
import pickle
import random
import struct
import sys
import uuid
import weakref
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import Connection

from tests.support.reading import BINARY, FORMATS

from .decoding import decoded, examples, reads, reads_all

_decode = pytest.importorskip("django_async_fast._decode")


UNKNOWN = 705
XML = 142  # not in every server


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
        *["0" * 10 + "1." + "0" * 10, "-" + "9" * 60 + "." + "9" * 60],
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
    "tsvector": [*["", "a b", "a:1A,2B,3C,4D 'it''s':5 'back\\\\slash'", "é:16383"]],
    "tsquery": [
        *["", "a", "!a", "!!a", "a & b | c", "a & (b | c)", "!(a & b)", "a:*ABCD"],
        *["a <-> (b <2> c)", "(a <-> b) <-> c", "'it''s' & 'back\\\\slash'", "é:*B"],
    ],
}


@pytest.mark.parametrize("type_", CONSTANTS)
def test_constants(connection: Connection, type_: str) -> None:
    expected = reads_all(connection, type_, CONSTANTS[type_])
    assert len(expected) == len(CONSTANTS[type_])


@pytest.mark.parametrize("type_", CONSTANTS)
def test_nulls_and_domains(connection: Connection, type_: str) -> None:
    value = CONSTANTS[type_][-1]
    connection.execute(f"CREATE DOMAIN pg_temp.mine AS {type_}")
    try:
        query = f"SELECT NULL::{type_}, $${value}$$::mine, NULL::mine"
        assert reads(connection, query)[0][0] is None
    finally:
        connection.execute("DROP DOMAIN mine")


def test_unknown_and_postgres_own_columns(connection: Connection) -> None:
    reads(connection, "SELECT 'a', oid, relname, relkind, relhasindex FROM pg_class")


def test_shared_values_are_shared(connection: Connection) -> None:
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


def test_every_oid_has_constants(connection: Connection) -> None:
    names = ", ".join(f"$${name}$$::regtype::oid::int8" for name in CONSTANTS)
    tested = set(connection.execute(f"SELECT {names}").fetchone() or ())
    assert tested | {UNKNOWN, XML} == _decode.BINARY_OIDS == _decode.TEXT_OIDS


def decimals() -> st.SearchStrategy[str]:
    digits = st.text("0123456789", min_size=1)
    return st.builds(
        "{}{}.{}".format,
        st.sampled_from(["", "-"]),
        st.one_of(digits, st.text("09", min_size=1, max_size=45)),
        st.one_of(st.just(""), digits, st.text("09", max_size=45)),
    )


def float4(bits: int) -> float:
    return float(struct.unpack("!f", struct.pack("!I", bits))[0])


def east(value: dt.time, seconds: int) -> dt.time:
    return value.replace(tzinfo=dt.timezone(dt.timedelta(seconds=seconds)))


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "numeric": decimals(),
    "float4": st.integers(0, 2**32 - 1).map(float4),
    "float8": st.floats(),
    "date": st.dates(),
    "timestamp": st.datetimes(),
    "timestamptz": st.datetimes().map("{}+00".format),
    "time": st.times(),
    "timetz": st.builds(east, st.times(), st.integers(-57599, 57599)),
    "interval": st.builds(
        "{} mons {} days {} us".format,
        st.integers(-10_000, 10_000),
        st.integers(-10_000_000, 10_000_000),
        st.integers(-(2**60), 2**60),
    ),
    "text": st.text(st.characters(exclude_characters="\0", codec="utf-8")),
}


@pytest.mark.parametrize("type_", VALUES)
@examples
@given(data=st.data())
def test_any_values(connection: Connection, type_: str, data: Any) -> None:
    reads_all(connection, type_, data.draw(st.lists(VALUES[type_], max_size=100)))


def test_numeric_of_every_size(connection: Connection) -> None:
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
    connection: Connection, values: list[str], format: int
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


def test_float4_near_every_power_of_two(connection: Connection) -> None:
    values = [
        float4((exponent << 23) + step)
        for exponent in range(1, 255)
        for step in (-2, -1, 0, 1, 2)
    ]
    quarters = [(2**23 + odd) / 2**k for odd in range(1, 200, 2) for k in range(1, 14)]
    reads_all(connection, "float4", values + quarters)


@examples
@given(st.lists(st.uuids(), min_size=1))
def test_uuid(connection: Connection, values: list[uuid.UUID]) -> None:
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
def test_inet(connection: Connection, values: list[Any], mask: int) -> None:
    reads_all(connection, "inet", values)
    masked = [f"{x}/{mask if ':' in str(x) else mask % 33}" for x in values]
    reads_all(connection, "inet", masked)
    query = "SELECT network(x::inet) FROM unnest(%s::text[]) AS t(x)"
    reads(connection, query, [masked])


@examples
@given(st.binary())
def test_bytea(connection: Connection, value: bytes) -> None:
    for output in ("escape", "hex"):
        connection.execute(f"SET bytea_output = {output}")
        assert reads(connection, "SELECT %b::bytea", [value]) == [(value,)]


def test_every_char(connection: Connection) -> None:
    codes = [f"\\{code:03o}" if code > 127 else chr(code) for code in range(1, 256)]
    reads_all(connection, '"char"', codes)

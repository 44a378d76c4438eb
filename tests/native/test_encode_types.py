"""Every type that `array_of` encodes, against what psycopg sends for the same values."""

import datetime as dt
import ipaddress
import math
import struct
import uuid
from collections.abc import Callable, Iterable
from decimal import Context, Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.db.models import TextChoices
from django.utils.safestring import SafeString
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import Connection, pq
from psycopg.types.json import Jsonb
from psycopg.types.numeric import Int4

from .counting import steady

_decode = pytest.importorskip("django_async_fast._decode")

UTC = dt.UTC
VIENNA = ZoneInfo("Europe/Vienna")
APIA = ZoneInfo("Pacific/Apia")
ODD = dt.timezone(dt.timedelta(hours=-15, minutes=-59, seconds=-59))


def of_each(names: Iterable[str], tries: int = 40) -> Callable[[Any], Any]:
    """Have a test tried for each of these types, with values that it draws."""

    def decorated(test: Any) -> Any:
        drawing = settings(max_examples=tries)(given(data=st.data())(test))
        return pytest.mark.parametrize("name", names)(drawing)

    return decorated


class Encoded(NamedTuple):
    """A type, its values, and how psycopg is given them by Django."""

    oid: int
    values: st.SearchStrategy[Any]
    wrapped: Any = staticmethod(lambda value: value)


def integers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
decimals = st.decimals(allow_nan=False, allow_infinity=False).filter(
    lambda value: (
        len(value.as_tuple().digits) <= 38
        and -1000 < value.as_tuple().exponent <= 100  # type: ignore[operator]
        and not (value.is_zero() and value.is_signed())
    )
)
zones = st.sampled_from([UTC, VIENNA, APIA, ODD, dt.timezone(dt.timedelta(hours=14))])

TYPES = {
    "bool": Encoded(16, st.booleans()),
    "bytea": Encoded(17, st.binary()),
    "int8": Encoded(20, integers(64)),
    "int2": Encoded(21, integers(16)),
    "int4": Encoded(23, integers(32)),
    "text": Encoded(25, text),
    "json": Encoded(114, text.map(lambda value: psycopg.types.json.json.dumps(value))),
    "float4": Encoded(700, st.floats(width=32, allow_nan=False)),
    "float8": Encoded(701, st.floats(allow_nan=False)),
    "inet": Encoded(869, st.ip_addresses()),
    "bpchar": Encoded(1042, text),
    "varchar": Encoded(1043, text),
    "date": Encoded(1082, st.dates()),
    "time": Encoded(1083, st.times()),
    "timestamp": Encoded(1114, st.datetimes()),
    "timestamptz": Encoded(
        1184,
        st.datetimes(
            dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=zones
        ).map(lambda value: value.replace(fold=value.minute % 2)),
    ),
    "interval": Encoded(
        1186,
        # Of more days the server would read the text as out of range.
        st.timedeltas(dt.timedelta(-99_999_999), dt.timedelta(99_999_999)),
    ),
    "numeric": Encoded(1700, decimals),
    "uuid": Encoded(2950, st.uuids()),
    "jsonb": Encoded(
        3802,
        st.recursive(
            st.none() | st.booleans() | st.integers() | text, st.lists, max_leaves=5
        ).map(psycopg.types.json.json.dumps),
        lambda value: Jsonb(psycopg.types.json.json.loads(value)),
    ),
}


def send(connection: Connection, query: str, array: bytes, name: str) -> Any:
    """Execute a query with a binary array for its `$1`; return its binary result."""
    info = connection.adapters.types[name]
    result = connection.pgconn.exec_params(
        query.encode(), [array], [info.array_oid], [1], 1
    )
    assert result.status == pq.ExecStatus.TUPLES_OK, result.error_message
    return result


def test_every_type_is_tried() -> None:
    assert {each.oid for each in TYPES.values()} == _decode.ENCODED_OIDS


def some_of(kind: Encoded) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | kind.values, min_size=1, max_size=8)


@of_each(TYPES)
def test_the_server_gets_what_psycopg_sends(
    connection: Connection, name: str, data: Any
) -> None:
    kind = TYPES[name]
    values = data.draw(some_of(kind))
    array = _decode.array_of(kind.oid, values)
    assert array is not None
    wrapped = [each if each is None else kind.wrapped(each) for each in values]
    literal = psycopg.ClientCursor(connection).mogrify(f"(%s)::{name}[]", [wrapped])
    query = (
        f"SELECT array_send(($1)::{name}[]) = array_send({literal}), "
        f"($1)::{name}[]::text = {literal}::text"
    )
    result = send(connection, query, array, name)
    assert (result.get_value(0, 0), result.get_value(0, 1)) == (b"\1", b"\1")


@of_each(TYPES)
def test_what_is_encoded_is_decoded_again(
    connection: Connection, name: str, data: Any
) -> None:
    kind = TYPES[name]
    values = data.draw(some_of(kind))
    query = f"SELECT each FROM unnest(($1)::{name}[]) WITH ORDINALITY AS t (each, i) ORDER BY i"
    result = send(connection, query, _decode.array_of(kind.oid, values), name)
    decoder = _decode.RowDecoder([kind.oid], timezone=UTC)
    decoder.check(result.pgresult_ptr)
    rows = [decoder.decode(result.pgresult_ptr, i)[0] for i in range(len(values))]
    if name == "float4":  # as few digits as tell it from its neighbours
        rows = [each and struct.unpack("f", struct.pack("f", each))[0] for each in rows]
    wanted = [_as_read(name, each) for each in values]
    assert rows == wanted
    assert [*map(type, rows)] == [*map(type, wanted)]
    assert [*map(str, rows)] == [*map(str, wanted)]


def _as_read(name: str, value: Any) -> Any:
    loads = psycopg.types.json.json.loads
    if value is None:
        return None
    match name:
        case "json":
            return loads(value)
        case "jsonb":
            return psycopg.types.json.json.dumps(loads(value), ensure_ascii=False)
        case "inet":
            inside = getattr(value, "ipv4_mapped", None)
            # As the server prints it, and Python only since 3.13.
            return str(value) if inside is None else f"::ffff:{inside}"
        case "timestamptz":
            return value.astimezone(UTC)
        case "numeric" if value.as_tuple().exponent > 0:
            return value.quantize(Decimal(1), context=Context(prec=200))
    return value


def test_an_empty_list_is_an_empty_array(connection: Connection) -> None:
    array = _decode.array_of(23, [])
    result = send(connection, "SELECT cardinality(($1)::int4[])", array, "int4")
    assert result.get_value(0, 0) == bytes(4)


class Str(str):
    __slots__ = ()


class Colour(TextChoices):
    RED = "red"


class Zone(dt.tzinfo):
    """A tzinfo that does what it is told."""

    def __init__(self, offset: Any) -> None:
        self.offset = offset

    def utcoffset(self, when: Any) -> Any:
        return self.offset() if callable(self.offset) else self.offset


def at(zone: Any) -> dt.datetime:
    return dt.datetime(2024, 1, 1, tzinfo=zone)


def fail() -> None:
    raise RuntimeError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("bool", value) for value in (0, 1, "t", b"\1")),
        *(("bytea", value) for value in ("x", bytearray(b"x"), memoryview(b"x"))),
        *(("int2", value) for value in (True, 2**15, -(2**15) - 1, "1", 1.0)),
        *(("int4", value) for value in (False, 2**31, -(2**31) - 1, Int4(1))),
        *(("int8", value) for value in (2**63, -(2**63) - 1, 10**30, Decimal(1))),
        *(("text", value) for value in (Str("x"), SafeString("x"), Colour.RED, 1, b"x")),
        *(("text", value) for value in ("a\0b", "\0", "é\0", "\ud800", "x\udfff")),
        *(("varchar", value) for value in (Colour.RED, "a\0", "\ud800")),
        *(("jsonb", value) for value in ({}, Jsonb({}), Str("{}"), "\0")),
        *(("float8", value) for value in (math.nan, 1, True, Decimal(1), "1")),
        *(("float4", value) for value in (0.1, 1e300, math.nan, 1)),
        *(("numeric", Decimal(value)) for value in ("NaN", "sNaN", "-Infinity", "-0.00")),
        *(("numeric", Decimal(value)) for value in ("1E+101", "1E-16384", "1" * 39)),
        *(("numeric", value) for value in (1, 1.0, "1")),
        *(("date", value) for value in (dt.datetime(2024, 1, 1), "2024-01-01")),
        *(("time", value) for value in (dt.time(1, tzinfo=UTC), dt.datetime(2024, 1, 1))),
        *(("timestamp", value) for value in (at(UTC), dt.date(2024, 1, 1))),
        *(("timestamptz", value) for value in (at(None), dt.date(2024, 1, 1))),
        *(("timestamptz", at(Zone(value))) for value in (None, fail)),
        ("timestamptz", at(Zone(dt.timedelta(microseconds=1)))),
        ("timestamptz", at(Zone(dt.timedelta(hours=16)))),
        *(("interval", value) for value in (1, "1 day", dt.time(1))),
        *(("uuid", value) for value in (str(uuid.UUID(int=1)), 1, uuid.UUID(int=1).bytes)),
        *(("inet", value) for value in ("::1", ipaddress.IPv4Interface("10.0.0.1/8"), 1)),
        ("inet", ipaddress.ip_address("fe80::1%eth0")),
    ],
)  # fmt: skip
def test_what_is_left_to_psycopg(name: str, value: Any) -> None:
    assert _decode.array_of(TYPES[name].oid, [None, value]) is None


def test_interrupts_are_raised() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _decode.array_of(1184, [at(Zone(interrupt))])


def test_a_list_that_changes_meanwhile() -> None:
    def shrink() -> dt.timedelta:
        values.clear()
        return dt.timedelta()

    values = [at(Zone(shrink)), *[at(UTC) for _ in range(100)]]
    assert _decode.array_of(1184, values) == _decode.array_of(1184, [at(UTC)])


def test_types_that_are_never_encoded() -> None:
    with pytest.raises(ValueError, match="OID 600"):
        _decode.array_of(600, [])


VALUES: dict[str, list[Any]] = {
    "numeric": [Decimal("1.50"), Decimal("NaN")],
    "text": ["a", "é", "\ud800"],
    "timestamptz": [at(UTC), at(VIENNA), at(Zone(fail))],
    "uuid": [uuid.UUID(int=1), 1],
    "inet": [ipaddress.ip_address("::1"), ipaddress.ip_address("10.0.0.1"), 1],
    "jsonb": ["{}", {}],
    "interval": [dt.timedelta(1), 1],
    "float8": [0.5, math.nan],
    "bytea": [b"x", "x"],
}


@pytest.mark.parametrize("name", VALUES)
def test_nothing_is_kept(name: str) -> None:
    *sound, refused = VALUES[name]
    oid = TYPES[name].oid

    def act() -> None:
        assert _decode.array_of(oid, [*sound, None]) is not None
        assert _decode.array_of(oid, [*sound, refused]) is None

    steady(act, *sound, refused)

"""Bytes that no server sends: an error that names them."""

import json
import re
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.reading import FORMATS, TEXT

from .decoding import examples, read_forged

_decode = pytest.importorskip("django_async_fast._decode")


def test_text_that_is_not_utf8() -> None:
    with pytest.raises(UnicodeDecodeError):
        read_forged((25, b"ab\xff"))


def test_json_that_is_not_json() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        read_forged((114, b"nope"))


def malformed(oid: int, why: str) -> str:
    return rf"^malformed value in column 1 \(OID {oid}\): {why}$"


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
        (22, b"", "expected at least 4 bytes, got 0"),
        (27, b"12345", "expected at least 6 bytes, got 5"),
        (27, b"1234567", "expected 6 bytes, got 7"),
        (28, b"123", "expected 4 bytes, got 3"),
        (600, bytes(15), "expected at least 16 bytes, got 15"),
        (600, bytes(17), "expected 16 bytes, got 17"),
        (602, b"\1\0\0\0\1", "expected at least 21 bytes, got 5"),
        (604, b"\xff\xff\xff\xff", "expected points of a polygon from 0, got -1"),
        (718, bytes(25), "expected 24 bytes, got 25"),
        (774, bytes(6), "expected 8 bytes, got 6"),
        (829, bytes(8), "expected 6 bytes, got 8"),
        (1560, b"\0\0\0\x09\xff", "expected 6 bytes, got 5"),
        (3220, bytes(7), "expected at least 8 bytes, got 7"),
        (3614, b"\0\0\0\1abc", "expected at least 8 bytes, got 7"),
        (3614, b"\0\0\0\1a\0\0\2\0\1", "expected at least 12 bytes, got 10"),
        (3615, b"\0\0\0\1\x03\0", "expected kind of a tsquery item 1 or 2, got 3"),
        (3615, b"\0\0\0\1\2\5", "expected tsquery operator from 1 to 4, got 5"),
        (3615, b"\0\0\0\1\2\1", "expected operands of a tsquery .* got 0"),
        (3615, b"\0\0\0\2\1\0\0\0\1\0\0\0", "expected operands of a tsquery .* got 2"),
        (4072, b"\2$", "expected jsonpath version 1, got 2"),
        (5069, bytes(4), "expected 8 bytes, got 4"),
    ],
)
def test_malformed(oid: int, data: bytes, why: str) -> None:
    with pytest.raises(psycopg.DataError, match=malformed(oid, why)):
        read_forged((16, b"\1"), (oid, data))


@pytest.mark.parametrize(
    ("oid", "text", "expected"),
    [
        (16, "true", "t or f"),
        (17, "\\x0", "bytes as .*"),
        (20, "9223372036854775808", "an integer of eight bytes"),
        (21, "1.0", "an integer of two bytes"),
        (23, "", "an integer of four bytes"),
        (26, "-1", "an unsigned integer of four bytes"),
        (700, "1,5", "a floating point number"),
        (701, "0x10", "a floating point number"),
        (1082, "01/02/2024", "a date as YYYY-MM-DD"),
        (1083, "noon", "a time as HH:MM:SS"),
        (1114, "2024-02-30 00:00:00", "a timestamp as YYYY-MM-DD HH:MM:SS"),
        (1184, "2024-01-01 00:00:00", r"a timestamp as YYYY-MM-DD HH:MM:SS\+HH"),
        (1186, "P1D", "an interval of style postgres"),
        (1266, "12:00:00", r"a time as HH:MM:SS\+HH"),
        (1700, "1e5", "a decimal number"),
        (2950, "f" * 32, "a UUID as 8-4-4-4-12 hexadecimal digits"),
    ],
)
def test_malformed_text(oid: int, text: str, expected: str) -> None:
    why = f"expected {expected}, got {re.escape(json.dumps(text))}"
    with pytest.raises(psycopg.DataError, match=malformed(oid, why)):
        read_forged((16, b"t"), (oid, text.encode()), format=TEXT)


def test_long_malformed_text_is_cut() -> None:
    with pytest.raises(psycopg.DataError, match=r'got "x{60}"\.\.\. \(99 bytes\)$'):
        read_forged((23, b"x" * 99), format=TEXT)


PRINTED = st.text("0123456789-:. +infyBC\\xe", max_size=30).map(str.encode)


@settings(examples, max_examples=1000)
@given(
    st.sampled_from(FORMATS),
    st.sampled_from(sorted(_decode.BINARY_OIDS)),
    st.binary(max_size=40) | PRINTED,
)
def test_any_bytes_give_a_value_or_an_error(format: int, oid: int, data: bytes) -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    try:
        (value,) = read_forged((oid, data), format=format, session_timezone=kolkata)
    except (psycopg.DataError, ValueError):
        return
    repr(value)

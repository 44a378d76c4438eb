"""Arrays of every type that the core decodes, of any shape."""

import struct
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_fast import _native
from django_async_fast.drivers.psycopg.results import UnknownType

from .reading import in_binary, malformed, reads, reads_all

examples = settings(max_examples=50)

ELEMENTS = {
    "bool": ["t", "f"],
    "int2": ["-1", "32767"],
    "int4": ["-5", "2147483647"],
    "int8": ["0", "-9223372036854775808"],
    "oid": ["0", "4294967295"],
    "float4": ["1.1", "NaN", "-Infinity", "-0"],
    "float8": ["0.1", "NaN", "Infinity", "5e-324"],
    "numeric": ["0.00", "NaN", "-Infinity", "12345678901234567890.5"],
    "text": ['""', "a", '"NULL"', '"a\\"b\\\\c"', '"{x,y}"', "é", '" "'],
    "varchar": ['""', '"a,b"'],
    "bpchar": ["a", '"a "'],
    "name": ["a"],
    '"char"': ["a", '""'],
    "bytea": ['"\\\\x00ff"', '"\\\\x"'],
    "date": ["0001-01-01", "9999-12-31"],
    "time": ["00:00", "23:59:59.999999"],
    "timetz": ["12:00+05:30"],
    "timestamp": ["0001-01-01", "9999-12-31 23:59:59.999999"],
    "timestamptz": ["2000-01-01 00:00+02", "1969-12-31 23:59:59.999999+00"],
    "interval": ["-1 mon", "1 day 00:00:00.5"],
    "uuid": ["12345678-1234-4678-9234-567812345678"],
    "json": ['"{\\"b\\": [1, null]}"', "null"],
    "jsonb": ['"{\\"b\\": [1, null]}"', "1e3"],
    "inet": ["10.1.2.3/8", "::1"],
    "cidr": ["10.0.0.0/8"],
    "macaddr": ["08:00:2b:01:02:03"],
    "bit(3)": ["101"],
    "varbit": ['""', "1111111110"],
    "pg_lsn": ["16/AB0100"],
    "xid": ["7"],
    "tid": ['"(1,2)"'],
    "int2vector": ['"1 2"', '""'],
    "point": ['"(1.5,1e23)"'],
    "polygon": ['"((0,0),(1,1))"'],
    "tsvector": ['"a:1A b"', '""'],
    "tsquery": ['"a & !b"'],
    "jsonpath": ["$.a"],
    "int4range": ['"[1,5]"', "empty", '"(,)"'],
    "tstzrange": ['"[2000-01-01 00:00+02,)"'],
    "int4multirange": ['"{[1,3),[5,7)}"', '"{}"'],
}


@pytest.mark.parametrize("element", ELEMENTS)
def test_elements(connection: psycopg.Connection, element: str) -> None:
    values = ELEMENTS[element]
    arrays = ["{}", "{NULL}", "{NULL,NULL}", f"{{{','.join(values)}}}"]
    arrays += [f"{{{values[0]},NULL,{values[-1]}}}"]
    arrays += [f"{{{{{{{values[0]}}}}},{{{{{values[-1]}}}}}}}"]
    read = reads_all(connection, f"{element}[]", arrays)
    assert len(read[3]) == len(values)
    assert reads(connection, f"SELECT NULL::{element}[]") == [(None,)]


def test_boxes_have_another_delimiter(connection: psycopg.Connection) -> None:
    read = reads_all(connection, "box[]", ["{(1,1),(0,0);(3,3),(2,2)}", "{NULL}"])
    assert read == [["(1,1),(0,0)", "(3,3),(2,2)"], [None]]


@pytest.mark.parametrize(
    "array",
    [
        *["{{1,2},{3,4}}", "[5:6]={1,2}", "[-1:0][7:8]={{1,2},{3,NULL}}"],
        *["{{{{{{1},{2}}}}}}", "[2:2][3:3]={{1}}", "{" + "1," * 5000 + "1}"],
    ],
)
def test_shapes(connection: psycopg.Connection, array: str) -> None:
    for element in ("int4", "text"):
        reads_all(connection, f"{element}[]", [array])


def test_arrays_of_the_catalogue(connection: psycopg.Connection) -> None:
    reads(connection, "SELECT conkey, confkey, conname FROM pg_constraint")
    reads(connection, "SELECT proallargtypes, proargnames, proargmodes FROM pg_proc")
    reads(connection, "SELECT indkey, indclass FROM pg_index")


def test_elements_without_a_decoder(connection: psycopg.Connection) -> None:
    for array in ("'{1}'::money[]", "'{int4}'::regtype[]", "ARRAY[ROW(1)]"):
        with pytest.raises(UnknownType):
            in_binary(connection, f"SELECT {array}")


@pytest.mark.parametrize(
    ("array", "why"),
    [
        ("ARRAY['2000-01-01', 'infinity']::date[]", "date too large .*: 'infinity'"),
        ("ARRAY['0044-03-15 BC']::timestamptz[]", "timestamp too small .* BC'"),
        ("ARRAY[ARRAY['24:00']]::time[]", "can't parse time '24:00:00': hour must .*"),
    ],
)
def test_values_that_python_does_not_have(
    connection: psycopg.Connection, array: str, why: str
) -> None:
    # psycopg's words are about the text up to the array's end.
    with pytest.raises(psycopg.DataError):
        connection.execute(f"SELECT {array}").fetchall()
    with pytest.raises(psycopg.DataError, match=f"^{why}$"):
        in_binary(connection, f"SELECT {array}")


def nested(dimensions: int, lengths: list[int], leaf: Any) -> Any:
    if not dimensions:
        return leaf
    inner = nested(dimensions - 1, lengths, leaf)
    return st.lists(
        inner, min_size=lengths[dimensions - 1], max_size=lengths[dimensions - 1]
    )


@st.composite
def arrays(draw: Any, leaf: Any) -> Any:
    dimensions = draw(st.integers(1, 4))
    lengths = draw(st.lists(st.integers(1, 3), min_size=4, max_size=4))
    return draw(nested(dimensions, lengths, leaf))


TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"))


@examples
@given(arrays(TEXTS | st.none()))
def test_texts(connection: psycopg.Connection, array: Any) -> None:
    assert reads(connection, "SELECT %s::text[]", [array]) == [(array,)]


@examples
@given(arrays(st.integers(-(2**31), 2**31 - 1) | st.none()))
def test_integers(connection: psycopg.Connection, array: Any) -> None:
    assert reads(connection, "SELECT %s::int4[]", [array]) == [(array,)]


@examples
@given(
    st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=3) | st.none())
)
def test_decimals(connection: psycopg.Connection, array: Any) -> None:
    assert reads(connection, "SELECT %s::numeric[]", [array]) == [(array,)]


# --- bytes that no server sends -----------------------------------------------------

ARRAY = 1007
KINDS = {ARRAY: ("array", 23)}


def numbers(*values: int) -> bytes:
    return struct.pack(f"!{len(values)}i", *values)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "expected at least 4 bytes, got 0"),
        (numbers(7, 0, 23), "expected dimensions of an array from 0 to 6, got 7"),
        (numbers(1, 0, 25, 0, 1), "expected array of elements with OID 23, got 25"),
        (numbers(1, 0, 23, -1, 1), "expected length of a dimension from 0, got -1"),
        (numbers(1, 0, 23, 2**30, 1), "expected at least 4294967316 bytes, got 20"),
        (numbers(1, 0, 23, 1, 1, 9, 0), "expected at least 33 bytes, got 28"),
        (numbers(1, 0, 23, 1, 1, -2), "length of a value from 0, or -1 .* got -2"),
        (numbers(1, 0, 23, 1, 1, 3, 0), "expected 4 bytes, got 3"),
        (numbers(1, 0, 23, 1, 1, 4, 0, 0), "expected 28 bytes, got 32"),
    ],
)
def test_malformed(connection: psycopg.Connection, data: bytes, why: str) -> None:
    malformed(connection, ARRAY, KINDS, data, why)


def test_kinds_are_checked() -> None:
    decoder = _native.decode.RowDecoder
    with pytest.raises(ValueError, match=r"no kind of type is called .tree."):
        decoder([1], kinds={1: ("tree", 2)})
    with pytest.raises(ValueError, match="is made of itself"):
        decoder([1], kinds={1: ("array", 2), 2: ("range", 1)})
    with pytest.raises(ValueError, match="column 0 has OID 1,"):
        decoder([1], kinds={1: ("array", 790)})
    with pytest.raises(TypeError):
        decoder([1], kinds={1: "array"})

"""Ranges and multiranges, as psycopg's objects."""

import copy
import datetime as dt
import gc
import pickle
import sys
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from tests.support.reading import same

from .reading import decoded, fails, in_binary, malformed, reads, reads_all

examples = settings(max_examples=50)

BOUNDS = {
    "int4": ("1", "5"), "int8": ("-9223372036854775808", "9223372036854775806"),
    "num": ("-1.50", "NaN"), "date": ("0001-01-01", "9999-12-30"),
    "ts": ('"0001-01-01 00:00"', '"9999-12-31 23:59:59.999999"'),
    "tstz": ('"1969-12-31 23:59:59.5+02"', '"2024-02-29 12:00+00"'),
}  # fmt: skip


def ranges(lower: str, upper: str) -> list[str]:
    return [
        *[f"{a}{lower},{upper}{b}" for a in "[(" for b in ")]"],
        *["empty", "(,)", f"[{lower},)", f"(,{upper}]", f"({lower},)", f"(,{upper})"],
        f"[{lower},{lower}]",
    ]


@pytest.mark.parametrize("subtype", BOUNDS)
def test_ranges(connection: psycopg.Connection, subtype: str) -> None:
    read = reads_all(connection, f"{subtype}range", ranges(*BOUNDS[subtype]))
    assert {type(each) for each in read} == {Range}
    assert reads(connection, f"SELECT NULL::{subtype}range") == [(None,)]


@pytest.mark.parametrize("subtype", BOUNDS)
def test_multiranges(connection: psycopg.Connection, subtype: str) -> None:
    lower, upper = BOUNDS[subtype]
    texts = ["{}", "{(,)}", f"{{[{lower},{upper})}}", f"{{(,{lower}),({upper},)}}"]
    read = reads_all(connection, f"{subtype}multirange", texts)
    assert [len(each) for each in read] == [0, 1, 1, 2]
    assert {type(each) for each in read} == {Multirange}
    assert reads(connection, f"SELECT NULL::{subtype}multirange") == [(None,)]


@pytest.mark.parametrize(
    "expression",
    [
        *["'[2000-01-01,infinity)'::daterange", "'(-infinity,2000-01-01)'::daterange"],
        *["'[2000-01-01,infinity]'::tstzrange", "'[2000-01-01,10000-01-01)'::tsrange"],
        "'{[2000-01-01,infinity]}'::tstzmultirange",
        "ARRAY['[2000-01-01,infinity)']::daterange[]",
    ],
)
def test_bounds_that_python_does_not_have(
    connection: psycopg.Connection, expression: str
) -> None:
    fails(connection, f"SELECT {expression}")


INSTANTS = st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29))


@examples
@given(
    st.tuples(INSTANTS, INSTANTS).map(sorted), st.sampled_from(["[)", "(]", "()", "[]"])
)
def test_instants(connection: psycopg.Connection, bounds: Any, kinds: str) -> None:
    lower, upper = (f"{value}+00" for value in bounds)
    reads(connection, "SELECT tstzrange(%s, %s, %s)", [lower, upper, kinds])
    lower, upper = map(str, bounds)
    reads(connection, "SELECT tsrange(%s, %s, %s)", [lower, upper, kinds])


@examples
@given(st.lists(st.tuples(st.integers(-1000, 1000), st.integers(0, 50)), max_size=8))
def test_unions(connection: psycopg.Connection, pairs: list[tuple[int, int]]) -> None:
    text = "{" + ",".join(f"[{start},{start + size}]" for start, size in pairs) + "}"
    reads_all(connection, "int4multirange", [text])
    reads_all(connection, "nummultirange", [text])


def test_they_behave_as_any_other(connection: psycopg.Connection) -> None:
    ((got,),) = in_binary(connection, "SELECT '[1,5)'::int4range")
    made = Range(1, 5, "[)")
    assert got == made
    assert hash(got) == hash(made)
    assert {got: 1}[made] == 1
    assert pickle.dumps(got) == pickle.dumps(made)
    same(copy.deepcopy(got), made)
    assert gc.is_tracked(got)
    assert sys.getsizeof(got) == sys.getsizeof(made)
    assert 3 in got
    assert not hasattr(got, "__dict__")
    ((got,),) = in_binary(connection, "SELECT '{[1,5)}'::int4multirange")
    got.append(Range(7, 8))
    same(got, Multirange([made, Range(7, 8)]))


RANGE, MULTIRANGE = 3904, 4451
KINDS = {RANGE: ("range", 23), MULTIRANGE: ("multirange", 23)}
ONE = b"\0\0\0\4\0\0\0\1"


@pytest.mark.parametrize(
    ("oid", "data", "why"),
    [
        (RANGE, b"", "expected at least 1 bytes, got 0"),
        (RANGE, b"\1\0", "expected 1 bytes, got 2"),
        (RANGE, b"\x10\xff\xff\xff\xff", "length of a bound from 0, got -1"),
        (RANGE, b"\x10\0\0\0\2\0\0", "expected 4 bytes, got 2"),
        (RANGE, b"\x02" + ONE, "expected at least 13 bytes, got 9"),
        (MULTIRANGE, b"\0\0\0\1", "expected at least 9 bytes, got 4"),
        (MULTIRANGE, b"\xff\xff\xff\xff", "ranges of a multirange from 0, got -1"),
        (MULTIRANGE, b"\0\0\0\0\1", "expected 4 bytes, got 5"),
    ],
)
def test_malformed(
    connection: psycopg.Connection, oid: int, data: bytes, why: str
) -> None:
    malformed(connection, oid, KINDS, data, why)


def test_flags_that_contradict_each_other(connection: psycopg.Connection) -> None:
    # An infinite bound is never inclusive, whatever the flag says.
    same(decoded(connection, RANGE, KINDS, b"\x1e"), Range(None, None, "()"))


def test_nothing_is_leaked(connection: psycopg.Connection) -> None:
    def read(times: int) -> int:
        for _ in range(times):
            in_binary(connection, "SELECT '[1,1000000)'::int4range, ARRAY[1000000]")
            with pytest.raises(psycopg.DataError):
                decoded(connection, RANGE, KINDS, b"\x00" + ONE + b"\0\0\0\1\0")
        gc.collect()
        return sys.getrefcount(Range)

    before = read(1)  # the connection keeps its decoders
    assert read(100) == before

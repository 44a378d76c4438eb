"""Lists, ranges and dicts as arrays, ranges and hstore: what psycopg sends of them, and
decoded again what they were."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import Connection, pq
from psycopg.postgres import types
from psycopg.types.range import Range

from tests.support.forged_results import forged

from .counting import steady
from .test_encode_types import TYPES, Str, of_each

_decode = pytest.importorskip("django_async_fast._decode")

HSTORE = 99_999
RANGES = {
    "int4range": "int4",
    "int8range": "int8",
    "numrange": "numeric",
    "daterange": "date",
    "tsrange": "timestamp",
    "tstzrange": "timestamptz",
}
KINDS: dict[int, tuple[str, int]] = {HSTORE: ("hstore", 0)}
for name in TYPES:
    KINDS[types[name].array_oid] = "array", types[name].oid
for name, inside in RANGES.items():
    KINDS[types[name].oid] = "range", types[inside].oid
    KINDS[types[name].array_oid] = "array", types[name].oid

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
examples = settings(max_examples=30)


def encode(oid: int, value: Any) -> bytes | None:
    """Return the binary form of a value that is not None."""
    row = _decode.RowEncoder([oid], kinds=KINDS).encode([(value,)])
    if row is None:
        return None
    assert row[:2] == b"\0\1"
    assert int.from_bytes(row[2:6], signed=True) == len(row) - 6
    found: bytes = row[6:]
    return found


def decode(oid: int, data: bytes) -> Any:
    decoder = _decode.RowDecoder([oid], timezone=dt.UTC, kinds=KINDS)
    result = forged((oid, data))
    decoder.check(result.pgresult_ptr)
    return decoder.decode(result.pgresult_ptr, 0)[0]


def elements(name: str) -> st.SearchStrategy[Any]:
    if name in RANGES:
        return ranges(name)
    return TYPES[name].values


@st.composite
def ranges(draw: Callable[[Any], Any], name: str) -> Any:
    inside = TYPES[RANGES[name]].values
    if draw(st.integers(0, 9)) == 0:
        return Range(empty=True)
    pair = draw(st.tuples(st.none() | inside, st.none() | inside))
    if None not in pair:
        pair = sorted(pair)
    return Range(*pair, draw(st.sampled_from(["()", "(]", "[)", "[]"])))


@st.composite
def lists(draw: Callable[[Any], Any], inside: Any) -> Any:
    lengths = draw(st.lists(st.integers(1, 3), max_size=3))
    if not lengths:
        return draw(st.lists(st.none() | inside, max_size=4))

    def make(lengths: list[int]) -> Any:
        if not lengths:
            return draw(st.none() | inside)
        return [make(lengths[1:]) for _ in range(lengths[0])]

    return make(lengths)


# Those that the server and psycopg print as they are read.
SAME = [
    *("bool", "bytea", "int2", "int4", "int8", "text", "varchar", "float8", "date"),
    *("time", "timestamp", "interval", "uuid", *RANGES),
]


@of_each(SAME, tries=30)
def test_lists_that_are_encoded_are_decoded_again(name: str, data: Any) -> None:
    oid, value = types[name].array_oid, data.draw(lists(elements(name)))
    encoded = encode(oid, value)
    assert encoded is not None
    assert decode(oid, encoded) == _as_read(value)


def _as_read(value: Any) -> Any:
    if isinstance(value, list):
        return [*map(_as_read, value)]
    if isinstance(value, dt.datetime) and value.tzinfo:
        # While a clock is put back it is equal to none of another zone.
        return value.astimezone(dt.UTC)
    if isinstance(value, Range) and value:
        value = Range(*map(_as_read, (value.lower, value.upper)), value.bounds)
    if isinstance(value, Range) and value and value.lower_inf + value.upper_inf:
        # There is nothing to include.
        bounds = ("[" if value.lower_inc else "(") + ("]" if value.upper_inc else ")")
        return Range(value.lower, value.upper, bounds)
    return value


# Of a range of naive datetimes psycopg says that it is one of aware ones.
SENT = sorted({*SAME, "numeric", "timestamptz"} - {"tsrange"})


@of_each(SENT, tries=30)
def test_the_server_gets_what_psycopg_sends_of_lists(
    connection: Connection, name: str, data: Any
) -> None:
    value = data.draw(lists(elements(name)))
    same(connection, f"{name}[]", types[name].array_oid, value)


@of_each([each for each in SENT if each in RANGES], tries=30)
def test_the_server_gets_what_psycopg_sends_of_ranges(
    connection: Connection, name: str, data: Any
) -> None:
    same(connection, name, types[name].oid, data.draw(ranges(name)))


def same(connection: Any, name: str, oid: int, value: Any) -> None:
    """Assert that the server makes the same of a value, or refuses both alike."""
    data = encode(oid, value)
    assert data is not None
    literal = psycopg.ClientCursor(connection).mogrify(f"(%s)::{name}", [value])
    ours = connection.pgconn.exec_params(
        f"SELECT ($1)::{name}::text".encode(), [data], [oid], [1]
    )
    psycopgs = connection.pgconn.exec_(f"SELECT {literal}::text".encode())
    assert ours.status == psycopgs.status
    if ours.status == pq.ExecStatus.TUPLES_OK:
        assert ours.get_value(0, 0) == psycopgs.get_value(0, 0)
    else:
        state = pq.DiagnosticField.SQLSTATE
        assert ours.error_field(state) == psycopgs.error_field(state)


@examples
@given(st.dictionaries(texts, st.none() | texts))
def test_dicts_that_are_encoded_are_decoded_again(value: dict[str, Any]) -> None:
    data = encode(HSTORE, value)
    assert data is not None
    assert decode(HSTORE, data) == value


INT4S, TEXTS = types["int4"].array_oid, types["text"].array_oid


@pytest.mark.parametrize(
    ("oid", "value"),
    [
        *((INT4S, value) for value in ((1, 2), "{1}", [[]], [[], []], [[1], [1, 2]])),
        *((INT4S, value) for value in ([1, [2]], [[1], 2], [[1], None], [None, [1]])),
        *((INT4S, value) for value in ([True], [2**31], ["1"], [[[[[[[1]]]]]]])),
        *((TEXTS, value) for value in (["a\0"], ["\ud800"], [Str("a")])),
        *((types["int4range"].oid, value) for value in ((1, 2), [1, 2], "[1,2)")),
        (types["int4range"].oid, type("Own", (Range,), {})(1, 2)),
        *((types["int4range"].oid, Range(*pair)) for pair in ((1, 2.0), (1, 2**31))),
        (types["tstzrange"].oid, Range(dt.datetime(2024, 1, 1))),
        *((HSTORE, value) for value in ([], "a=>1", {1: "a"}, {"a": 1}, {None: "a"})),
        *((HSTORE, {key: value}) for key, value in (("a", Str("b")), ("a\0", "b"))),
        (HSTORE, {"a": "\ud800"}),
    ],
)
def test_what_is_left_to_psycopg(oid: int, value: Any) -> None:
    assert encode(oid, value) is None


def test_rows_of_several_columns() -> None:
    encoder = _decode.RowEncoder([23, INT4S], kinds=KINDS)
    rows = encoder.encode([(1, [2]), [3, None]])
    alone = [encoder.encode([each]) for each in ((1, [2]), (3, None))]
    assert rows == b"".join(alone)
    for refused in ((1,), (1, [2], 3), "ab", {1: 2, 3: 4}, None, (1, 2)):
        assert encoder.encode([(1, [2]), refused]) is None


def test_types_that_are_never_encoded() -> None:
    for oid in (600, 1017, types["point"].array_oid):
        with pytest.raises(ValueError, match=f"OID {oid}"):
            _decode.RowEncoder([23, oid], kinds={1017: ("array", 600)})


def test_lists_that_change_meanwhile() -> None:
    class Zone(dt.tzinfo):
        def utcoffset(self, when: Any) -> dt.timedelta:
            value.pop()
            row.pop()
            return dt.timedelta()

    oid = types["timestamptz"].array_oid
    value: list[Any] = [dt.datetime(2024, 1, 1, tzinfo=Zone()), None, None]
    row = [value, 1]
    assert _decode.RowEncoder([oid, 23], kinds=KINDS).encode([row]) is None


def test_nothing_is_kept() -> None:
    value = [[dt.date(2024, 1, 1), None]], Range(1, 5), {"a": "b"}
    refused = [["x"]], Range("a"), {"a": 5}
    oids = [types["date"].array_oid, types["int4range"].oid, HSTORE]

    def act() -> None:
        encoder = _decode.RowEncoder(oids, kinds=KINDS)
        assert encoder.encode([value, list(value)]) is not None
        for i in range(3):
            assert encoder.encode([(*value[:i], refused[i], *value[i + 1 :])]) is None

    steady(act, *value, *refused)

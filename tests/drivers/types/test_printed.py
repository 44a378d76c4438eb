"""Types that Django takes as the server's text: random values, and bytes of nobody."""

import random
import struct
from typing import Any

import psycopg
from hypothesis import given, settings
from hypothesis import strategies as st

from .reading import reads, reads_all

examples = settings(max_examples=50)

POINTS = "SELECT point(x, y) FROM unnest(%s::float8[], %s::float8[]) AS t(x, y)"


@examples
@given(st.lists(st.tuples(st.floats(), st.floats()), min_size=1, max_size=50))
def test_points(connection: psycopg.Connection, points: list[Any]) -> None:
    columns = [list(column) for column in zip(*points, strict=True)]
    reads(connection, POINTS, columns)


def test_numbers_are_as_short_as_the_server_prints_them(
    connection: psycopg.Connection,
) -> None:
    rng = random.Random(3)
    numbers = [struct.unpack("d", rng.randbytes(8))[0] for _ in range(4000)]
    numbers += [
        rng.randint(1, 10**17) * 10.0 ** rng.randint(-30, 30) for _ in range(4000)
    ]
    numbers += [rng.randint(1, 99) * 10.0**power for power in range(-300, 300)]
    # At a power of two an interval has a narrow side; among these integers are those
    # that lie in the middle of two shortest decimals.
    numbers += [2.0**power for power in range(-1074, 1024)]
    numbers += [float(2**53 + 2 * rng.randint(0, 2**40)) for _ in range(4000)]
    reads(connection, POINTS, [numbers, numbers[::-1]])


@examples
@given(st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 2), min_size=1, max_size=8))
def test_shapes(connection: psycopg.Connection, points: list[Any]) -> None:
    text = ",".join(f"({x},{y})" for x, y in points)
    reads_all(connection, "polygon", [f"({text})"])
    reads_all(connection, "path", [f"({text})", f"[{text}]"])
    first, last = points[0], points[-1]
    segment = f"({first[0]},{first[1]}),({last[0]},{last[1]})"
    reads_all(connection, "box", [segment])
    reads_all(connection, "lseg", [f"[{segment}]"])
    reads_all(connection, "circle", [f"<({first[0]},{first[1]}),{abs(last[0])}>"])
    reads_all(connection, "line", [f"{{1,{first[0]},{first[1]}}}"])


@examples
@given(st.lists(st.text("01", max_size=70), min_size=1))
def test_bits(connection: psycopg.Connection, values: list[str]) -> None:
    assert reads_all(connection, "varbit", values) == values


@examples
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_numbers_without_sign(
    connection: psycopg.Connection, values: list[int]
) -> None:
    reads_all(connection, "xid8", values)
    reads_all(connection, "xid", [value >> 32 for value in values])
    lsns = [f"{value >> 32:X}/{value & 0xFFFFFFFF:X}" for value in values]
    assert reads_all(connection, "pg_lsn", lsns) == lsns
    macs = [":".join(f"{byte:02x}" for byte in value.to_bytes(8)) for value in values]
    assert reads_all(connection, "macaddr8", macs) == macs
    reads_all(connection, "macaddr", [mac[:17] for mac in macs])
    reads_all(connection, "tid", [f"({x >> 32},{x & 0xFFFF})" for x in values])


LEXEMES = st.text(
    st.sampled_from("abé'\\ :&|!()<>*€")
    | st.characters(codec="utf-8", categories=["L"]),
    min_size=1,
    max_size=8,
)


def quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


@examples
@given(
    st.dictionaries(
        LEXEMES, st.dictionaries(st.integers(1, 16383), st.sampled_from("ABCD"))
    )
)
def test_tsvectors(connection: psycopg.Connection, vector: dict[str, Any]) -> None:
    parts = []
    for lexeme, positions in vector.items():
        places = ",".join(f"{place}{weight}" for place, weight in positions.items())
        parts.append(quoted(lexeme) + (":" + places if places else ""))
    reads_all(connection, "tsvector", [" ".join(parts)])


LEAVES = st.builds(
    lambda lexeme, flags: quoted(lexeme) + (":" + flags if flags else ""),
    LEXEMES,
    st.text("*ABCD", max_size=3),
)
QUERIES = st.recursive(
    LEAVES,
    lambda inner: (
        inner.map("!({})".format)
        | st.builds(
            "({}) {} ({})".format,
            inner,
            st.sampled_from(["&", "|", "<->", "<0>", "<7>"]),
            inner,
        )
    ),
    max_leaves=12,
)


@examples
@given(st.lists(QUERIES, min_size=1, max_size=10))
def test_tsqueries(connection: psycopg.Connection, queries: list[str]) -> None:
    reads_all(connection, "tsquery", queries)


def test_a_deep_tsquery(connection: psycopg.Connection) -> None:
    words = [f"w{i}" for i in range(2000)]
    reads_all(connection, "tsquery", [" & ".join(words), "!(" * 30 + "a" + ")" * 30])

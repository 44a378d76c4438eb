"""Types that an extension or a project has made: their OIDs differ between databases."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.hstore import register_hstore
from psycopg.types.range import RangeInfo, register_range

from django_async_fast.drivers.psycopg.results import UnknownType

from .reading import decoded, in_binary, malformed, reads, reads_all

examples = settings(max_examples=50)


@pytest.fixture
def made(either: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A connection to a database with an enum, a composite type and a range type."""
    either.execute(
        "CREATE TYPE mood AS ENUM ('calm', 'cross', 'ünsure'); "
        "CREATE TYPE pair AS (a int, b text); "
        "CREATE TYPE floatrange AS RANGE (subtype = float8); "
        "CREATE DOMAIN year AS int CHECK (VALUE > 0); "
        "CREATE DOMAIN years AS int[]; "
        "CREATE DOMAIN temper AS mood"
    )
    yield either
    either.execute(
        "DROP DOMAIN year, years, temper; DROP TYPE mood, pair, floatrange CASCADE"
    )


def test_enums(made: psycopg.Connection) -> None:
    assert reads_all(made, "mood", ["calm", "ünsure"]) == ["calm", "ünsure"]
    assert reads(made, "SELECT NULL::mood, 'cross'::temper") == [(None, "cross")]


def test_domains(made: psycopg.Connection) -> None:
    query = "SELECT 7::year, NULL::year, '{1,NULL}'::years"
    assert reads(made, query) == [(7, None, [1, None])]


@pytest.mark.parametrize(
    "expression",
    [
        *["ROW(1, 'a')::pair", "ROW(1, 'a')", "ARRAY[ROW(1, 'a')::pair]"],
        *["ARRAY['calm']::mood[]", "'[1,2)'::floatrange", "ARRAY[7]::year[]"],
        *["'1'::money", "'int4'::regtype", "'10:20:10'::pg_snapshot"],
    ],
)
def test_types_that_only_text_can_give(
    made: psycopg.Connection, expression: str
) -> None:
    with pytest.raises(UnknownType):
        in_binary(made, f"SELECT {expression}")


def test_types_registered_with_psycopg(made: psycopg.Connection) -> None:
    register_range(RangeInfo.fetch(made, "floatrange"), made)
    reads_all(made, "floatrange", ["[0.5,NaN]", "empty", "(,)"])
    reads_all(made, "floatrange[]", ['{"[0.5,1)",NULL}'])
    TypeInfo.fetch(made, "mood").register(made)
    assert reads_all(made, "mood[]", ["{calm,NULL}"]) == [["calm", None]]


def test_loaders_of_the_users_own_are_respected(made: psycopg.Connection) -> None:
    register_enum(EnumInfo.fetch(made, "mood"), made)
    register_composite(CompositeInfo.fetch(made, "pair"), made)
    for expression in ("'calm'::mood", "ARRAY['calm']::mood[]", "ROW(1, 'a')::pair"):
        with pytest.raises(UnknownType):
            in_binary(made, f"SELECT {expression}")


def test_a_loader_for_a_type_read_as_text(connection: psycopg.Connection) -> None:
    class Point(psycopg.adapt.Loader):
        def load(self, data: Any) -> tuple[float, ...]:
            return tuple(map(float, bytes(data)[1:-1].split(b",")))

    with psycopg.connect(connection.info.dsn, context=connection) as own:
        own.adapters.register_loader("point", Point)
        for expression in ("point(1, 2)", "ARRAY[point(1, 2)]"):
            with pytest.raises(UnknownType):
                in_binary(own, f"SELECT {expression}")


# --- extensions ---------------------------------------------------------------------


@pytest.fixture
def extensions(system: psycopg.Connection) -> psycopg.Connection:
    """A connection prepared as `django.contrib.postgres` does it."""
    system.execute(
        "CREATE EXTENSION IF NOT EXISTS hstore; "
        "CREATE EXTENSION IF NOT EXISTS citext; "
        "CREATE EXTENSION IF NOT EXISTS ltree"
    )
    register_hstore(TypeInfo.fetch(system, "hstore"), system)
    citext = TypeInfo.fetch(system, "citext")
    TypeInfo("citext", 0, citext.array_oid).register(system)
    return system


def test_hstore(extensions: psycopg.Connection) -> None:
    texts = ["", "a=>1", "b=>NULL, a=>1", '""=>""', '"a\\"b"=>"c\\\\d\ne"', "é=>ü"]
    read = reads_all(extensions, "hstore", texts)
    assert read[2] == {"a": "1", "b": None}
    assert reads(extensions, "SELECT NULL::hstore") == [(None,)]
    reads_all(extensions, "hstore[]", ['{"a=>1",NULL,""}', "{}"])


TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"))


@examples
@given(st.dictionaries(TEXTS, TEXTS | st.none()))
def test_any_hstore(extensions: psycopg.Connection, value: dict[str, Any]) -> None:
    query = "SELECT hstore(%s::text[], %s::text[])"
    ((got,),) = reads(extensions, query, [list(value), list(value.values())])
    assert got == value


def test_hstore_that_psycopg_does_not_know(system: psycopg.Connection) -> None:
    system.execute("CREATE EXTENSION IF NOT EXISTS hstore")
    with pytest.raises(UnknownType):
        in_binary(system, "SELECT 'a=>1'::hstore")


def test_citext(extensions: psycopg.Connection) -> None:
    assert reads_all(extensions, "citext", ["", "Straße"]) == ["", "Straße"]
    reads_all(extensions, "citext[]", ['{A,NULL,"b c"}', "{}", "{{a},{B}}"])


def test_extensions_with_a_binary_form_of_their_own(
    extensions: psycopg.Connection,
) -> None:
    with pytest.raises(UnknownType):
        in_binary(extensions, "SELECT 'a.b'::ltree")


def test_xml(system: psycopg.Connection) -> None:
    values = ["<a>é</a>", "a<b/>", '<?xml version="1.0" encoding="UTF-8"?>\n<a/>']
    values += ['<?xml version="1.1" standalone="yes"?><a/>', "\n<a/>"]
    reads_all(system, "xml", values)
    reads_all(system, "xml[]", ["{<a/>,NULL}"])


HSTORE = 16_400
KINDS = {HSTORE: ("hstore", 0)}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\0\0\0", "expected at least 4 bytes, got 3"),
        (b"\xff\xff\xff\xff", "pairs of an hstore from 0, got -1"),
        (b"\0\0\0\1", "expected at least 12 bytes, got 4"),
        (b"\0\0\0\1" + b"\xff" * 8, "length of a key from 0, got -1"),
        (b"\0\0\0\0x", "expected 4 bytes, got 5"),
    ],
)
def test_malformed_hstore(
    connection: psycopg.Connection, data: bytes, why: str
) -> None:
    malformed(connection, HSTORE, KINDS, data, why)


def test_text_of_a_made_type_must_be_utf8(connection: psycopg.Connection) -> None:
    with pytest.raises(UnicodeDecodeError):
        decoded(connection, 16_401, {16_401: ("text", 0)}, b"a\xff")


COMPOUND = {
    **KINDS,
    16_402: ("array", 25),
    16_403: ("range", 1700),
    16_404: ("multirange", 1184),
    16_405: ("array", 16_404),
    16_406: ("hex", 0),
}
INTEGERS = st.sampled_from([-1, 0, 1, 2, 4, 8, 25, 16_404]).map(
    lambda number: number.to_bytes(4, signed=True)
)


@settings(examples, max_examples=500)
@given(
    st.sampled_from(sorted(COMPOUND)),
    st.lists(INTEGERS | st.binary(max_size=3), max_size=12).map(b"".join),
)
def test_any_bytes_give_a_value_or_an_error(
    connection: psycopg.Connection, oid: int, data: bytes
) -> None:
    try:
        value = decoded(connection, oid, COMPOUND, data)
    except (psycopg.DataError, UnicodeDecodeError):
        return
    repr(value)

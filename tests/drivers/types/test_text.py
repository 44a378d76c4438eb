"""Text of types made of other types: what is refused, and what is left to psycopg."""

import re

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_fast.drivers.psycopg import results
from tests.support.reading import TEXT

from .reading import decoded, malformed, reads

INT4 = 23
ARRAY, RANGE, MULTIRANGE, HSTORE, TEXTS = range(16_400, 16_405)
KINDS = {
    ARRAY: ("array", INT4),
    RANGE: ("range", INT4),
    MULTIRANGE: ("multirange", RANGE),
    HSTORE: ("hstore", 0),
    TEXTS: ("array", 25),
}


@pytest.mark.parametrize(
    ("oid", "text", "expected"),
    [
        (ARRAY, "", "an array as {element,element}"),
        (ARRAY, "{1", "an array as {element,element}"),
        (ARRAY, "{1}{2}", "an array as {element,element}"),
        (ARRAY, "{1,}", "an array as {element,element}"),
        (ARRAY, "{null}", "an integer of four bytes"),
        (ARRAY, "{" * 7 + "1" + "}" * 7, "an array of up to six dimensions"),
        (TEXTS, '{"a}', "an array as {element,element}"),
        (RANGE, "[1,2", "a range as [lower,upper)"),
        (RANGE, "[1,x)", "an integer of four bytes"),
        (MULTIRANGE, "{[1,2)[3,4)}", "a multirange as {[lower,upper)}"),
        (HSTORE, '"a"=>1', 'an hstore as "key"=>"value"'),
    ],
)
def test_malformed(
    connection: psycopg.Connection, oid: int, text: str, expected: str
) -> None:
    why = rf"expected {re.escape(expected)}, got .*"
    malformed(connection, oid, KINDS, text.encode(), why, TEXT)


@settings(max_examples=500)
@given(st.sampled_from(sorted(KINDS)), st.text('{}[]()",\\=> 15aNUL:', max_size=25))
def test_any_text_gives_a_value_or_an_error(
    connection: psycopg.Connection, oid: int, text: str
) -> None:
    try:
        value = decoded(connection, oid, KINDS, text.encode(), TEXT)
    except psycopg.DataError:
        return
    repr(value)


def test_styles_inside_of_other_types(connection: psycopg.Connection) -> None:
    """Elements in a style that the core does not read are left to psycopg."""
    values = ["ARRAY['2024-02-29'::date]", "daterange('2024-02-29', NULL)"]
    connection.execute("SET DateStyle = German")
    try:
        for value in values:
            reads(connection, f"SELECT {value}, ARRAY[1]")
    finally:
        connection.execute("RESET DateStyle")
    for value in values:
        reads(connection, f"SELECT {value}, ARRAY[1]")


def test_what_the_core_knows_in_no_format(connection: psycopg.Connection) -> None:
    query = "SELECT '{1}'::money[], 'int4'::regtype, ROW(1, 'a'), 1::money, 5"
    with connection.cursor() as cursor:
        expected = cursor.execute(query).fetchall()
        result = cursor.pgresult
        oids = tuple(result.ftype(i) for i in range(result.nfields))
        decoder = results.decoders(connection).get(connection, cursor, oids, TEXT)
        assert decoder.decode(result.pgresult_ptr, 0) == expected[0]

"""A query that has been sent is not sent again, whatever its columns turn out to be.

Each has a function beside it that draws a number: the server counts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import NotSupportedError, connections
from django.db.models import BigIntegerField, F, Func, Model, TextField, Value
from django.db.models.expressions import RawSQL

from django_async_fast import new_connection, run_sync
from tests.support.django_rows import djangos_rows
from tests.support.forget_types import forget_types
from tests.support.reading import same

from .models import Priced, table

pytestmark = pytest.mark.keep_rows

on_default = pytest.mark.parametrize("alias", ["default"], indirect=True)

# What a function may return: its type, and SQL for a value of it.
RETURNED = {
    "enum": ("kindmood", "'calm'"),
    "enum array": ("kindmood[]", "array['calm']::kindmood[]"),
    "domain": ("kindshort", "'ab'"),
    "composite": ("kindpair", "(1, 'b,c')::kindpair"),
    "composite array": ("kindpair[]", "array[(1, 'b')::kindpair]"),
    "money": ("money", "1234.5::money"),
    "money array": ("money[]", "array[1::money]"),
    "void": ("void", None),
    "range": ("int4range", "'[1,5)'"),
    "multirange": ("int4multirange", "'{[1,5)}'"),
    "jsonb": ("jsonb", """'{"a": 1}'"""),
    "json": ("json", """'{"a": 1}'"""),
    "json array": ("json[]", "array['1'::json]"),
    "regclass": ("regclass", "'pg_type'"),
    "oid": ("oid", "7"),
    "name": ("name", "'n'"),
    "char": ('"char"', "'c'"),
    "inet": ("inet", "'10.0.0.1/8'"),
    "point": ("point", "'(1,2)'"),
    "timestamptz": ("timestamptz", "'2024-01-02T03:04:05Z'"),
    "interval": ("interval", "'1 day'"),
    "bytea": ("bytea", "'\\x01'"),
    "no binary form": ("aclitem", "'=r/' || current_user"),
    "record": ("record", "(1, 'b')"),
    "null": ("text", "NULL"),
}
# On the system's server, with extensions.
RETURNED_BY_EXTENSIONS = {"citext": ("citext", "'Ab'"), "hstore": ("hstore", "'a=>1'")}

SETUP = """
    CREATE SEQUENCE kindsent;
    CREATE TYPE kindmood AS ENUM ('calm', 'cross');
    CREATE TYPE kindpair AS (a int, b text);
    CREATE DOMAIN kindshort AS varchar(5);
"""
TEARDOWN = """
    DROP SEQUENCE kindsent;
    DROP TYPE kindmood CASCADE;
    DROP TYPE kindpair CASCADE;
    DROP DOMAIN kindshort CASCADE;
"""
FUNCTION = """
    CREATE FUNCTION kindof() RETURNS {} LANGUAGE plpgsql VOLATILE AS
    $$ BEGIN PERFORM nextval('kindsent'); {}; END $$
"""

Way = Callable[[Callable[[], Any]], Awaitable[Any]]


async def synchronously(make: Callable[[], Any]) -> Any:
    return list(make())


async def bridged(make: Callable[[], Any]) -> Any:
    return await run_sync(lambda: list(make()))


async def asynchronously(make: Callable[[], Any]) -> Any:
    return [row async for row in make()]


async def streamed(make: Callable[[], Any]) -> Any:
    return [row async for row in make().aiterator(7)]


async def streamed_synchronously(make: Callable[[], Any]) -> Any:
    return list(make().iterator(7))


IN_A_BLOCK = bridged, asynchronously, streamed
OUTSIDE = synchronously, streamed_synchronously


def read(alias: str, way: Way, make: Callable[[], Any], times: int = 1) -> list[Any]:
    async def main() -> list[Any]:
        if way in OUTSIDE:
            return [await way(make) for _ in range(times)]
        async with new_connection(using=alias):
            return [await way(make) for _ in range(times)]

    if way in OUTSIDE:
        found = main()
        try:
            found.send(None)
        except StopIteration as stop:
            return list(stop.value)
        raise AssertionError("synchronous code has waited")
    return asyncio.run(main())


@pytest.fixture
def server(request: pytest.FixtureRequest, alias: str) -> Iterator[psycopg.Connection]:
    """A connection beside those of Django, for what the server knows."""
    name = "dsn" if alias == "default" else "system_dsn"
    params = request.getfixturevalue(name)
    with psycopg.connect(params, autocommit=True) as connection:
        if alias == "system":
            for extension in "citext", "hstore":
                connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        connection.execute(SETUP)
        forget_types()
        yield connection
        connection.execute(TEARDOWN)
        forget_types()


@pytest.fixture
def priced(server: psycopg.Connection, alias: str) -> Iterator[Any]:
    with table(alias, Priced) as found:
        found.create(price="7.5")
        found.create(price="8", size=2)
        yield found


def drawn(server: psycopg.Connection) -> int:
    """Return how often a number has been drawn since the last time."""
    found = server.execute(
        "SELECT last_value - 1 + is_called::int FROM kindsent"
    ).fetchone()
    server.execute("SELECT setval('kindsent', 1, false)")
    return int(found[0])


def told(rows: list[Any]) -> list[Any]:
    return [
        {k: v for k, v in vars(row).items() if k != "_state"}
        if isinstance(row, Model)
        else row
        for row in rows
    ]


def kind_of(output: Any) -> Func:
    return Func(function="kindof", output_field=output)


QUERIES: dict[str, Callable[[Any], Any]] = {
    "annotate": lambda objects: objects.annotate(x=kind_of(TextField())),
    "values": lambda objects: objects.values("pk", x=kind_of(TextField())),
    "flat": lambda objects: objects.values_list(kind_of(TextField()), flat=True),
    "raw SQL": lambda objects: objects.annotate(x=RawSQL("kindof()", ())),
    "extra": lambda objects: objects.extra(select={"x": "kindof()"}).values_list("x"),
}


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    ("alias", "kind"),
    [
        *(("default", kind) for kind in RETURNED),
        *(("system", kind) for kind in RETURNED_BY_EXTENSIONS),
    ],
    indirect=["alias"],
)
def test_functions(
    priced: Any, alias: str, server: psycopg.Connection, kind: str, query: str
) -> None:
    returned, value = (RETURNED | RETURNED_BY_EXTENSIONS)[kind]
    body = f"RETURN {value}" if value else "RETURN"
    server.execute(FUNCTION.format(returned, body))
    try:
        with djangos_rows():
            expected = told(list(QUERIES[query](priced)))
        assert drawn(server) == 2
        for way in (*OUTSIDE, *IN_A_BLOCK):
            forget_types()
            for rows in read(alias, way, lambda: QUERIES[query](priced), times=3):
                same(told(rows), expected)
            assert drawn(server) == 6, way
    finally:
        server.execute("DROP FUNCTION kindof")


@on_default
@pytest.mark.parametrize("way", [*OUTSIDE, *IN_A_BLOCK])
@pytest.mark.parametrize(
    "type_",
    ["text", "money", "kindpair", "kindmood", "regclass", "int4range", "aclitem"],
)
def test_columns_that_are_altered(
    priced: Any, alias: str, server: psycopg.Connection, way: Way, type_: str
) -> None:
    """The core knows another type of the column; the server converts the values."""
    values = {"kindpair": "(1, 'b')", "kindmood": "'calm'", "int4range": "'[1,3)'"}
    values |= {"regclass": "'pg_type'", "aclitem": "'=r/' || current_user"}

    def counted() -> Any:
        number = Func(
            Value("kindsent"), function="nextval", output_field=BigIntegerField()
        )
        return priced.annotate(n=number).values_list("price", "size", "n")

    server.execute("ALTER TABLE testapp_priced ALTER price TYPE int USING 1")
    read(alias, way, counted, times=2)
    made = f"({values.get(type_, '3')})::{type_}"
    server.execute(f"ALTER TABLE testapp_priced ALTER price TYPE {type_} USING {made}")
    drawn(server)
    with djangos_rows():
        expected = [row[:2] for row in counted()]
    drawn(server)
    if type_ == "aclitem" and way in (synchronously, bridged, asynchronously):
        with pytest.raises(Exception, match="no binary output function"):
            read(alias, way, counted)
        drawn(server)
    for rows in read(alias, way, counted, times=3):
        same([row[:2] for row in rows], expected)
    assert drawn(server) == 6


@on_default
@pytest.mark.parametrize("way", [synchronously, bridged])
def test_get(alias: str, server: psycopg.Connection, way: Way) -> None:
    """A `get()` like one before is not Django's to meet again."""

    def got() -> list[Any]:
        found = Priced.objects.using(alias).get(pk=1)
        return [(found.price, found.size)]

    def view(price: str) -> None:
        server.execute("DROP VIEW IF EXISTS testapp_priced")
        columns = f"1::bigint AS id, {price} AS price, nextval('kindsent')::int AS size"
        server.execute(f"CREATE VIEW testapp_priced AS SELECT {columns}")
        server.execute("SELECT setval('kindsent', 1, false)")

    try:
        view("7")
        assert read(alias, way, got, times=3) == [[(7, 1)], [(7, 2)], [(7, 3)]]
        for price, value in ("'7.5'::money", "$7.50"), ("(1, 'b')::kindpair", "(1,b)"):
            view(price)
            expected = [[(value, 1)], [(value, 2)], [(value, 3)]]
            assert read(alias, way, got, times=3) == expected
    finally:
        server.execute("DROP VIEW testapp_priced")


@on_default
def test_what_the_server_does_not_take_back(
    priced: Any, alias: str, server: psycopg.Connection
) -> None:
    """An anonymous row has a binary form that is only sent."""

    def found() -> list[Any]:
        return list(priced.values_list(kind_of(TextField()), flat=True))

    server.execute(FUNCTION.format("int", "RETURN 1"))
    assert [found(), found()] == [[1, 1], [1, 1]]
    server.execute("DROP FUNCTION kindof")
    server.execute(FUNCTION.format("record", "RETURN (1, 'b')"))
    drawn(server)
    try:
        with pytest.raises(NotSupportedError, match="Column 1 has another type"):
            found()
        assert drawn(server) == 2
        assert found() == [("1", "b"), ("1", "b")]
    finally:
        server.execute("DROP FUNCTION kindof")


@on_default
def test_locks(priced: Any, alias: str) -> None:
    def lock() -> Any:
        return priced.filter(size=2).annotate(
            x=Func(F("size"), function="pg_advisory_lock", output_field=TextField())
        )

    with connections[alias].cursor() as cursor:
        for _ in range(2):
            list(lock())
        held = "SELECT pg_advisory_unlock(2)"
        for unlocked in True, True:
            cursor.execute(held)
            assert cursor.fetchone() == (unlocked,)
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert cursor.fetchone() == (0,)

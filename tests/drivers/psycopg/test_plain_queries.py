"""Which queries are plain, and which servers quiet: what reading ahead depends on."""

from collections.abc import Callable, Iterator
from typing import Any

import django
import pytest
from django.contrib.postgres.aggregates import ArrayAgg
from django.db import connection, transaction
from django.db.models import (
    Count,
    Exists,
    F,
    FilteredRelation,
    Func,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    Value,
    Window,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, Lower, RowNumber

from django_async_fast.drivers.psycopg import plain_queries, prefetch_allowed
from tests.support.sql import execute
from tests.testapp.models import Author, Book, Everything, Tag

books, authors = Book.objects, Author.objects

PLAIN: dict[str, Callable[[], Any]] = {
    "a table": lambda: books.all(),
    "ordered": lambda: books.order_by(F("published").desc(nulls_last=True), "-pk"),
    "a slice": lambda: books.order_by("pk")[5:10],
    "joined": lambda: books.select_related("author__mentor", "publisher"),
    "joined twice": lambda: Tag.objects.filter(books__pk=1).filter(books__pages__gt=2),
    "compared": lambda: books.filter(
        Q(pages__range=(1, 2)) | ~Q(published__lte="2020-01-01"), publisher=None
    ),
    "columns compared": lambda: books.filter(pages=F("pk")),
    "one of": lambda: books.filter(pk__in=[1, 2], author__name__in=["a", "b"]),
    "a year": lambda: books.filter(published__year=2020),
    "matched": lambda: books.filter(title__icontains="%", author__name__startswith="\\"),
    "excluded": lambda: books.exclude(tags__name="x"),
    "one of a query's": lambda: books.filter(author__in=authors.filter(name="x")),
    "exists": lambda: authors.filter(Exists(books.filter(author=OuterRef("pk")))),
    "distinct": lambda: books.order_by("author").distinct("author"),
    "values": lambda: books.values("title", "author__name").order_by("title").distinct(),
    "another name": lambda: books.annotate(length=F("pages")),
    "of a relation": lambda: Tag(pk=1).books.all(),
}  # fmt: skip
if django.VERSION >= (6, 1):  # before, the alias is not quoted
    PLAIN["a filtered relation"] = lambda: authors.annotate(
        long=FilteredRelation("books", condition=Q(books__pages__gt=400))
    ).filter(long__pk__gt=0)

NOT_PLAIN: dict[str, Callable[[], Any]] = {
    "locks rows": lambda: books.select_for_update(),
    "a function": lambda: books.annotate(x=Lower("title")),
    "ordered by a function": lambda: books.order_by(Lower("title")),
    "ordered at random": lambda: books.order_by("?"),
    "filtered by a function": lambda: books.annotate(x=Lower("title")).filter(x="a"),
    "a function in a filter": lambda: books.filter(title=Lower("title")),
    "a cast": lambda: books.annotate(x=Cast("title", IntegerField())),
    "arithmetic": lambda: books.annotate(x=F("pages") / F("pk")),
    "arithmetic in a filter": lambda: books.filter(pages__gt=F("pk") * 2),
    "a regular expression": lambda: books.filter(title__regex="a"),
    "a pattern that ends too soon": lambda: books.filter(title__endswith="\\"),
    "a subquery's value": lambda: books.annotate(x=Subquery(authors.values("name"))),
    "an aggregate": lambda: books.annotate(n=Count("tags")),
    "an aggregate of PostgreSQL's": lambda: books.values(x=ArrayAgg("title")),
    "a window": lambda: books.annotate(n=Window(RowNumber())),
    "combined": lambda: authors.union(authors.all()),
    "a sequence": lambda: books.annotate(
        n=Func(Value("s"), function="nextval", output_field=IntegerField())
    ),
    "a key of JSON": lambda: Everything.objects.filter(json__a=1),
    "a converted value": lambda: Everything.objects.filter(json={"a": 1}),
    "SQL": lambda: books.annotate(x=RawSQL("now()", [])),
    "SQL with a constant": lambda: books.annotate(x=RawSQL("'a'", [])),
    "more columns": lambda: books.extra(select={"x": "pages"}),
    "more conditions": lambda: books.extra(where=['"testapp_f" ("title")']),
    "more tables": lambda: books.extra(tables=["testapp_view"]),
    "more tables after a join": lambda: books.filter(author__name="a").extra(
        tables=["testapp_view"]
    ),
}


def reads(queryset: Any) -> plain_queries.Reads | None:
    return plain_queries.reads(*queryset.query.get_compiler("default").as_sql())


@pytest.mark.parametrize("name", PLAIN)
def test_plain(name: str) -> None:
    found = reads(PLAIN[name]())
    assert found is not None
    with transaction.atomic():
        connection.ensure_connection()
        assert all(prefetch_allowed.ask(connection.connection, found))


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_not_plain(name: str) -> None:
    with transaction.atomic():  # select_for_update() asks for one
        assert reads(NOT_PLAIN[name]()) is None


def test_what_is_read() -> None:
    found = reads(books.select_related("author").filter(tags__name="x"))
    assert found is not None
    assert {each.strip('"') for each in found.tables} == {
        *("testapp_book", "testapp_book_tags", "testapp_tag", "testapp_author")
    }
    assert {"title", "author_id", "tag_id", "book_id", "id", "name"} <= {*found.columns}


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT "a"."b" FROM "a" , "f"',
        'SELECT "a"."b" FROM "a" T1, "f"',
        'SELECT "a"."b" FROM "a" INNER JOIN "b" ON ("a"."c" = "b"."c") , "f"',
        'SELECT "a"."b" FROM "a" AS "b"',
        'SELECT "a"."b" FROM "f"("a")',
        'SELECT "f"("a"."b") FROM "a"',
        'SELECT "s"."f" ("a"."b") FROM "a"',
        'SELECT "a"."b" FROM "a" FOR UPDATE',
        'SELECT DISTINCT ON ("a"."b" / "a"."c") "a"."b" FROM "a"',
        'SELECT "a"."b" FROM "a" WHERE "a"."b" = (SELECT "c"."d" FROM "c")',
        'SELECT "a"."b" FROM "a" WHERE "a"."b" LIKE %s::text',
        'SELECT "a"."b" FROM "a"; SELECT "a"."b" FROM "a"',
        'SELECT "a"."b" INTO "c" FROM "a"',
        'EXPLAIN SELECT "a"."b" FROM "a"',
        'WITH "a" AS (SELECT "c"."d" FROM "c") SELECT "a"."d" FROM "a"',
        "",
    ],
)
def test_sql_that_is_not_plain(sql: str) -> None:
    assert plain_queries.reads(sql, ()) is None


def test_a_long_query_is_judged_in_passing() -> None:
    before = plain_queries._reads.cache_info()
    assert reads(books.filter(pk__in=range(5000))) is not None
    assert plain_queries._reads.cache_info() == before


# ----- the server


CREATED = """
    CREATE TABLE t_parent (id bigint, name text) PARTITION BY LIST (name);
    CREATE TABLE t_child PARTITION OF t_parent DEFAULT;
    CREATE MATERIALIZED VIEW t_stored AS SELECT 1::bigint AS id, ''::text AS name;
    CREATE VIEW t_view AS SELECT 1::bigint AS id, ''::text AS name;
    CREATE TABLE t_policy (id bigint, name text);
    ALTER TABLE t_policy ENABLE ROW LEVEL SECURITY;
    CREATE TABLE t_heir () INHERITS (t_policy);
    CREATE TABLE t_ancestor (id bigint, name text);
    CREATE TABLE t_descendant () INHERITS (t_ancestor);
    CREATE FUNCTION computed(t_child) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE COLLATION nobody (locale = 'C');
    CREATE TABLE t_collated (id bigint, name text COLLATE nobody);
    CREATE FOREIGN DATA WRAPPER nothing;
    CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
    CREATE FOREIGN TABLE t_foreign (id bigint, name text) SERVER nowhere;
    CREATE TABLE t_far (id bigint, name text) PARTITION BY LIST (name);
    CREATE FOREIGN TABLE t_far_child PARTITION OF t_far DEFAULT SERVER nowhere;
"""


@pytest.fixture
def raw() -> Iterator[Any]:
    """Yield psycopg's connection, with tables of all sorts for this test."""
    with transaction.atomic():
        execute(CREATED)
        yield connection.connection
        transaction.set_rollback(True)
    connection.close()


def allowed(raw: Any, tables: tuple[str, ...], *columns: str) -> Any:
    return prefetch_allowed.ask(raw, plain_queries.Reads(tables, columns))


CHILD = ('"t_child"',)


def test_a_quiet_server(raw: Any) -> None:
    for tables in (CHILD, ('"t_parent"', '"t_stored"'), ('"public"."t_child"',)):
        assert allowed(raw, tables, "id", "name") == (True, True, True), tables


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("statement_timeout = '1min'", (False, True, True)),
        ("idle_in_transaction_session_timeout = '1min'", (True, False, True)),
        ("client_encoding = LATIN1", (False, False, False)),
    ],
)
def test_settings(raw: Any, setting: str, expected: tuple[bool, ...]) -> None:
    raw.execute(f"SET LOCAL {setting}")
    assert allowed(raw, CHILD, "id") == expected
    assert prefetch_allowed.ask(raw, None).chunks is expected[0]


def test_a_limit_on_transactions(raw: Any) -> None:
    if raw.info.server_version < 17_00_00:
        pytest.skip("PostgreSQL before 17 has no transaction_timeout")
    raw.execute("SET LOCAL transaction_timeout = '1min'")
    assert not allowed(raw, CHILD, "id").transactions


def test_a_serializable_transaction() -> None:
    with transaction.atomic():
        execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        found = reads(books.all())
        assert prefetch_allowed.ask(connection.connection, found) == (True, True, False)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        *(("t_view", "id"), ("t_policy", "id"), ("t_ancestor", "id")),
        *(("t_foreign", "id"), ("t_far", "id"), ("t_collated", "name")),
        *(("t_child", "computed"), ("t_child", "missing"), ("missing", "id")),
    ],
)
def test_tables_of_which_nobody_knows(raw: Any, table: str, column: str) -> None:
    for tables in ((f'"{table}"',), ('"t_stored"', f'"{table}"')):
        assert not allowed(raw, tables, column).tables


def test_a_column_that_is_computed_when_it_is_read(raw: Any) -> None:
    if raw.info.server_version < 180000:
        pytest.skip("PostgreSQL before 18 stores what it generates")
    raw.execute("CREATE TABLE t_virtual (id int, x int GENERATED ALWAYS AS (10 / id))")
    assert allowed(raw, ('"t_virtual"',), "id").tables
    assert not allowed(raw, ('"t_virtual"',), "id", "x").tables

"""Very many values of `field__in` go as one array, where nobody sees the statement."""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from psycopg.types.numeric import IntDumper

from django_async_fast import alist, new_connection, run_sync
from django_async_fast.querysets.compiled.tree import cache_info
from tests.support.describe import outcome
from tests.support.sql import execute
from tests.testapp.models import Author, Book, Everything, UuidKey

COUNT = 150
UUIDS = [UUID(int=i) for i in range(COUNT)]
DATES = [date(2026, 11, 28) + timedelta(i) for i in range(COUNT)]
TEXTS = ["", "NULL", " a ", "{}", "a,b", 'say "x"', "o'neill \\ 50% %s $1", "é☃"]
TEXTS += [f"text {i}" for i in range(COUNT)]
VALUES: dict[str, list[Any]] = {
    **{name: [*range(COUNT)] for name in ("small", "integer", "big", "positive")},
    **dict.fromkeys(("char", "text", "slug", "email", "url"), TEXTS),
    "uuid": UUIDS,
    "date": DATES,
}


@pytest.fixture
def last_query(admin: psycopg.Connection[Any]) -> Iterator[Callable[[], str]]:
    """Return what tells the statement that this session has sent last."""
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    question = "SELECT query FROM pg_stat_activity WHERE pid = %s"
    yield lambda: str(admin.execute(question, [pid]).fetchall()[0][0])
    connection.close()


def learnt(rows: Callable[[], Any]) -> Any:
    """Return the rows as Django finds them, when the statement is known."""
    before = cache_info().hits
    while cache_info().hits == before:
        rows()
    with CaptureQueriesContext(connection) as queries:
        found = rows()
    (query,) = queries
    assert " IN (" in query["sql"]
    assert "ANY" not in query["sql"]
    return found


@pytest.mark.parametrize("negated", [False, True], ids=["filter", "exclude"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, list) for name in VALUES), ("big", tuple), ("char", set)],
)
def test_the_rows_are_djangos(
    name: str, kind: Any, negated: bool, last_query: Callable[[], str]
) -> None:
    values = VALUES[name]
    Everything.objects.bulk_create(Everything(**{name: each}) for each in values)
    Everything.objects.create()
    wanted = kind([*values[:105], *values[:20]])

    def rows() -> list[int]:
        find = Everything.objects.exclude if negated else Everything.objects.filter
        return [each.pk for each in find(**{f"{name}__in": wanted}).order_by("pk")]

    expected = learnt(rows)
    assert len(expected) == (len(values) - 104 if negated else 105)
    assert rows() == expected
    assert f'"{name}" = ANY($1)' in last_query()
    assert " IN (" not in last_query()


@pytest.mark.parametrize("given", ["keys", "instances", "in_bulk", "prefetch"])
def test_keys_of_relations(given: str, last_query: Callable[[], str]) -> None:
    authors = [Author.objects.create(name=str(i)) for i in range(COUNT)]
    for each in authors:
        Book.objects.create(author=each)
    keys = [each.pk for each in authors[9:]]
    finds: dict[str, Callable[[], Any]] = {
        "keys": lambda: {each.pk for each in Book.objects.filter(author__in=keys)},
        "instances": lambda: Book.objects.filter(author__in=authors[9:]).count(),
        "in_bulk": lambda: sorted(Author.objects.in_bulk(keys)),
    }
    if given == "prefetch":
        for _ in range(4):
            found = Author.objects.prefetch_related("books")
            assert all(len(each.books.all()) == 1 for each in found)
    else:
        expected = learnt(finds[given])
        assert finds[given]() == expected
    assert " = ANY($1)" in last_query()


def test_several_lists_and_other_values(last_query: Callable[[], str]) -> None:
    for i in range(COUNT):
        Everything.objects.create(integer=i, char=str(i), small=1)

    def rows() -> list[int]:
        texts = [str(i) for i in range(120)]
        found = Everything.objects.filter(small=1, char__in=texts)
        found = found.filter(integer__in=[*range(140)]).exclude(integer__in=[3, 4])
        return [each.integer for each in found.order_by("integer")[2:200]]

    expected = learnt(rows)
    assert len(expected) == 116
    assert rows() == expected
    assert re.findall(r"ANY\(\$\d\)", last_query()) == ["ANY($1)", "ANY($2)"]
    assert " LIMIT 198 OFFSET 2" in last_query()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("integer", [2**31, *range(200)]),
        ("integer", [-(2**63), *range(200)]),
        ("positive", [-1, *range(200)]),
        ("char", ["a\0b", *TEXTS]),
        ("char", ["\ud800", *TEXTS]),
        ("integer", [True, *range(200)]),
        ("integer", [None, *range(200)]),
        ("integer", ["7", *range(200)]),
        ("integer", [7]),
    ],
)
def test_what_is_for_django(
    name: str, values: list[Any], last_query: Callable[[], str]
) -> None:
    Everything.objects.create(**{name: VALUES[name][1]})

    def count(values: list[Any]) -> Any:
        return Everything.objects.filter(**{f"{name}__in": values}).count()

    learnt(lambda: count(VALUES[name]))
    assert count(VALUES[name]) == 1
    with CaptureQueriesContext(connection):
        expected = outcome(count, values)
    assert outcome(count, values) == expected
    if isinstance(expected, int):
        assert "= ANY" not in last_query()


def test_the_query_that_is_shown_is_djangos() -> None:
    for _ in range(3):
        found = UuidKey.objects.filter(pk__in=UUIDS)
        assert not found
    assert str(UuidKey.objects.filter(pk__in=UUIDS).query).count(",") >= COUNT - 1
    assert " IN (" in found.query.sql_with_params()[0]
    assert found.explain()


def test_a_text_is_of_the_columns_type(last_query: Callable[[], str]) -> None:
    """A field of text stands for any column that the server reads from literals."""
    with transaction.atomic():
        execute("ALTER TABLE testapp_everything ALTER text TYPE uuid USING NULL")
        Everything.objects.create(text=str(UUIDS[5]))
        wanted = [str(each).upper() for each in UUIDS]
        assert learnt(lambda: Everything.objects.filter(text__in=wanted).count()) == 1
        assert Everything.objects.filter(text__in=wanted).count() == 1
        assert "ANY($1)" in last_query()
        transaction.set_rollback(True)


def test_a_dumper_of_somebodys_is_asked(last_query: Callable[[], str]) -> None:
    Everything.objects.create(integer=1)

    def rows() -> int:
        return Everything.objects.filter(integer__in=[*range(COUNT)]).count()

    assert learnt(rows) == 1

    class Own(IntDumper):
        pass

    connection.connection.adapters.register_dumper(int, Own)
    assert rows() == 1
    assert "ANY" not in last_query()


@pytest.mark.parametrize("read", [alist, partial(run_sync, list), sync_to_async(list)])
async def test_in_a_block(read: Any) -> None:
    async with new_connection():
        await Everything.objects.abulk_create(
            Everything(integer=i) for i in range(COUNT)
        )
        for count in (101, 150, 120, 100, 149):
            found = Everything.objects.filter(integer__in=[*range(count)])
            assert len(await read(found)) == count

"""Model fields of these types: sync, in a block, streamed; and how they are fetched."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.postgres.aggregates import ArrayAgg, JSONBAgg
from django.contrib.postgres.search import SearchQuery, SearchRank, SearchVector
from django.contrib.postgres.signals import get_citext_oids, get_hstore_oids
from django.db import connections
from django.db.models import Max, Value
from psycopg import pq
from psycopg.types.range import Range

from django_async_fast import explain_plan, new_connection
from django_async_fast.drivers.psycopg import results
from tests.support.django_rows import djangos_rows
from tests.support.forget_types import forget_types
from tests.support.reading import same
from tests.support.sql import execute

from .models import Own, Priced, Sack, Shelf, table

pytestmark = pytest.mark.keep_rows


@pytest.fixture
def shelves(alias: str) -> Iterator[Any]:
    with table(alias, Shelf) as found:
        found.create()
        found.create(
            numbers=[1, None, -3], grid=[["a", "NULL"], ["", "é"]],
            instants=["2024-01-02T03:04:05.6Z"], prices=["1.50", "-2"],
            keys=[uuid.UUID(int=7)], documents=[{"a": [1, None]}, None, "x"],
            span=(1, 5), large=(None, 2**40), worth=Range("1.5", "2.5", "(]"),
            during=("2024-01-02T03:04:05Z", None), days=("2024-01-02", "2024-02-01"),
            spans=[Range(1, 3), Range(empty=True)], words=Value("a:1A b"), size=4,
        )  # fmt: skip
        found.create(numbers=[], grid=[], span=Range(empty=True), words=Value(""))
        yield found


@pytest.fixture
def sacks(system_alias: str) -> Iterator[Any]:
    execute("CREATE EXTENSION IF NOT EXISTS hstore", using=system_alias)
    execute("CREATE EXTENSION IF NOT EXISTS citext", using=system_alias)
    get_hstore_oids.cache_clear()
    get_citext_oids.cache_clear()
    connections[system_alias].close()  # psycopg learns of them when it connects
    with table(system_alias, Sack) as found:
        found.create()
        found.create(
            pairs={"a": "1", "b": None}, many=[{"é": ""}, None], name="Straße",
            names=["A", "b c"],
        )  # fmt: skip
        yield found


@contextmanager
def own_table(alias: str) -> Iterator[Any]:
    execute("CREATE TYPE testmood AS ENUM ('calm', 'cross')", using=alias)
    try:
        with table(alias, Own) as found:
            yield found
    finally:
        execute("DROP TYPE testmood", using=alias)


@pytest.fixture
def owns(alias: str) -> Iterator[Any]:
    with own_table(alias) as found:
        found.create()
        found.create(
            place="(1,2.5)", card="08:00:2b:01:02:03", flags="101", mood="calm"
        )
        yield found


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[pq.Format]:
    """The format of each result whose columns a session has no decoder for yet."""
    seen: list[pq.Format] = []
    batch = results._batch

    def recording(plan: Any, decoder: Any, result: Any) -> Any:
        seen.append(pq.Format(result.fformat(0)))
        return batch(plan, decoder, result)

    monkeypatch.setattr(results, "_batch", recording)
    forget_types()
    yield seen
    forget_types()


def told(found: Any) -> list[Any]:
    def one(row: Any) -> Any:
        kept = row.__dict__.items() if hasattr(row, "_state") else None
        return {k: v for k, v in kept if k != "_state"} if kept else row

    return [one(row) for row in found]


def every_way(queryset: Callable[[], Any]) -> None:
    """Sync and in a block, whole and streamed: what Django reads without us."""
    for kind in (
        queryset,
        lambda: queryset().values_list(),
        lambda: queryset().values(),
    ):
        with djangos_rows():
            expected = told(kind())
        same(told(kind()), expected)
        same(told(kind().iterator(2)), expected)
        for rows in asyncio.run(in_a_block(kind)):
            same(told(rows), expected)


async def in_a_block(queryset: Callable[[], Any]) -> list[Any]:
    async with new_connection(using=queryset().db):
        whole = [row async for row in queryset()]
        return [whole, [row async for row in queryset().aiterator(2)]]


def test_fields_of_contrib_postgres(shelves: Any, fetched: list[Any]) -> None:
    every_way(shelves.all)
    # Once as text, to see the types of the columns.
    assert fetched[0] == pq.Format.TEXT
    assert set(fetched[1:]) == {pq.Format.BINARY}
    row = shelves.get(numbers__contains=[1])
    assert row.numbers == [1, None, -3]
    assert row.spans == [Range(1, 3), Range(empty=True)]
    assert (row.words, row.double) == ("'a':1A 'b'", 8)


def test_expressions_of_contrib_postgres(shelves: Any, fetched: list[Any]) -> None:
    query = SearchQuery("a & !b", search_type="raw")
    every_way(
        lambda: shelves.values("pk").annotate(
            sizes=ArrayAgg("size"),
            json=JSONBAgg("size"),
            rank=Max(SearchRank("words", query)),
            vector=SearchVector(Value("it's a test")),
            query=query,
        )
    )
    assert pq.Format.BINARY in fetched


def test_fields_of_extensions(sacks: Any, fetched: list[Any]) -> None:
    every_way(sacks.all)
    assert fetched[0] == pq.Format.TEXT
    assert set(fetched[1:]) == {pq.Format.BINARY}
    row = sacks.get(name="straße")
    assert row.pairs == {"a": "1", "b": None}
    assert (row.name, row.names) == ("Straße", ["A", "b c"])


def test_fields_of_the_projects_own(owns: Any, fetched: list[Any]) -> None:
    assert not explain_plan(owns).binary
    every_way(owns.all)
    assert fetched[0] == pq.Format.TEXT
    assert set(fetched[1:]) == {pq.Format.BINARY}
    assert explain_plan(owns).binary
    row = owns.get(mood="calm")
    assert (row.place, row.card) == ("(1,2.5)", "08:00:2b:01:02:03")
    assert (row.flags, row.mood) == ("101", "calm")


def test_a_column_that_only_text_can_give(fetched: list[Any]) -> None:
    with table("default", Priced) as priced:
        priced.create(price="7.5")
        fetched.clear()  # of the key that the INSERT returns
        every_way(priced.all)
        assert set(fetched) == {pq.Format.TEXT}
        list(priced.only("size"))
        assert explain_plan(priced.only("size")).binary


def test_other_expressions_of_a_field_are_not_its_column(
    owns: Any, fetched: list[Any]
) -> None:
    list(owns)
    assert explain_plan(owns).binary
    # Its output field is the column's, its type need not be.
    assert not explain_plan(owns.annotate(last=Max("mood"))).binary


def test_a_type_that_has_changed_meanwhile(fetched: list[Any]) -> None:
    with own_table("default") as owns:
        owns.create(mood="calm")
        list(owns)
        assert explain_plan(owns).binary
        execute("ALTER TABLE testapp_own DROP COLUMN mood")
        execute("ALTER TABLE testapp_own ADD COLUMN mood money DEFAULT 3")
        assert owns.get().mood == "$3.00"
        assert not explain_plan(owns).binary

"""Synchronous `iterator()`: the next chunk is on its way, and nobody is in its way."""

import gc
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from typing import Any

import psycopg
import pytest
from django.db import DataError, OperationalError, connection, connections, transaction
from django.db.models import Case, CharField, F, Func, Value, When
from django.db.models.functions import Cast

from django_async_fast.drivers.psycopg import plain_queries, prefetch
from tests.support.sql import execute
from tests.testapp.models import Author, Tag

pytestmark = [pytest.mark.keep_rows, pytest.mark.core]

ROWS = 20
# What a plain query for authors reads.
AUTHORS = plain_queries.Reads(('"testapp_author"',), ("id", "name"))


@pytest.fixture(scope="module", autouse=True)
def authors(_databases: object, _clean_tables_of_module: object) -> None:
    Author.objects.bulk_create([Author(name=f"a{i:02}") for i in range(ROWS)])
    Tag.objects.create(name="only")


@pytest.fixture(params=["autocommit", "atomic"])
def _either_mode(request: pytest.FixtureRequest) -> Iterator[None]:
    with transaction.atomic() if request.param == "atomic" else nullcontext():
        yield


either_mode = pytest.mark.usefixtures("_either_mode")


def stream() -> Any:
    return Author.objects.order_by("name").iterator(chunk_size=3)


def on_its_way(alias: str = "default") -> int:
    return len(prefetch.unsettled(connections[alias].connection))


@either_mode
def test_a_chunk_is_on_its_way_until_somebody_needs_the_connection() -> None:
    rows = stream()
    assert next(rows).name == "a00"
    assert on_its_way() == 1
    assert Tag.objects.count() == 1
    assert on_its_way() == 0
    assert [row.name for row in rows] == [f"a{i:02}" for i in range(1, ROWS)]


@either_mode
def test_statements_in_the_loops_body() -> None:
    for row in stream():
        assert Author.objects.filter(pk=row.pk).update(name=F("name")) == 1
    with transaction.atomic():
        next(stream())


@either_mode
def test_two_streams_at_once() -> None:
    pairs = list(zip(stream(), stream(), strict=True))
    assert [one.name for one, _ in pairs] == [f"a{i:02}" for i in range(ROWS)]
    assert all(one == other for one, other in pairs)


@either_mode
def test_left_half_way() -> None:
    for _ in stream():
        break
    gc.collect()
    assert execute("SELECT FROM pg_cursors") == []
    assert on_its_way() == 0


@either_mode
def test_psycopgs_other_ways_to_the_server() -> None:
    rows = stream()
    next(rows)
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY (SELECT 5) TO STDOUT") as copy,
    ):
        assert list(copy.rows()) == [("5",)]
    assert len(list(islice(rows, 3))) == 3
    with connection.connection.pipeline():
        assert Tag.objects.count() == 1
    with connection.connection.transaction():
        assert len(list(rows)) == ROWS - 4


@either_mode
def test_rows_that_fail_later_fail_in_the_stream() -> None:
    failing = Author.objects.order_by("name").annotate(x=10 / (F("pk") * 0 + 5))
    assert len(list(failing.iterator(chunk_size=3))) == ROWS
    last = Author.objects.order_by("name").last().pk
    failing = Author.objects.order_by("pk").annotate(x=10 / (F("pk") - last))
    with pytest.raises(DataError), transaction.atomic():
        list(failing.iterator(chunk_size=3))
    assert Tag.objects.count() == 1


def test_the_connection_is_closed_meanwhile() -> None:
    rows = stream()
    next(rows)
    connection.close()
    assert Tag.objects.count() == 1
    with pytest.raises(OperationalError):
        list(rows)
    rows = stream()
    next(rows)
    connection.close()
    del rows


def test_the_backend_dies_meanwhile(admin: psycopg.Connection[Any]) -> None:
    rows = stream()
    next(rows)
    pid = connection.connection.info.backend_pid
    admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with pytest.raises(OperationalError):
        list(rows)
    connection.close()
    assert Tag.objects.count() == 1


def test_ctrl_c_while_a_slow_chunk_is_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    # A quick chunk, then a slow one, which for once is taken for a plain query's.
    monkeypatch.setattr(plain_queries, "reads", lambda *query: AUTHORS)
    sleep = Func(Value(5), function="pg_sleep", output_field=CharField())
    slow = Case(When(name__lt="a03", then=Value("")), default=Cast(sleep, CharField()))
    rows = Author.objects.order_by("name").annotate(x=slow).iterator(chunk_size=3)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    # In a transaction: WITH HOLD, the server stores all rows before the first.
    with transaction.atomic():
        next(rows)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            Tag.objects.count()
        rows.close()
        transaction.set_rollback(True)
    timer.join()
    assert Tag.objects.count() == 1


def test_a_pooled_connection_keeps_its_lock() -> None:
    author = Author.objects.using("pooled").order_by("name")
    for _ in range(3):
        assert len(list(author.iterator(chunk_size=3))) == ROWS
        assert on_its_way("pooled") == 0
        connections["pooled"].close()

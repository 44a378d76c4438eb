"""Rows of SQLite by the core: as Django builds them, whoever waits."""

import datetime as dt
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, connections, models
from django.db.backends.sqlite3.base import DatabaseOperations, SQLiteCursorWrapper
from django.db.models.expressions import RawSQL
from django.db.models.query import RawModelIterable
from django.test.utils import CaptureQueriesContext, override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_fast import explain_plan, new_connection
from django_async_fast.querysets.compiled import tree
from django_async_fast.querysets.plans import compiled_converters
from tests.support import many_rows
from tests.support.describe import described, outcome
from tests.support.django_rows import djangos_rows
from tests.support.many_rows import AT, VALUES, create_rows
from tests.support.other_databases import other_database
from tests.support.sql import execute
from tests.testapp.models import Book, Everything, Tag


@pytest.fixture
def log(tmp_path: Path) -> Iterator[str]:
    with other_database("file", tmp_path) as alias:
        create_rows(alias)
        yield alias


@pytest.mark.parametrize("are_djangos", many_rows.WAYS)
def test_rows_are_djangos(log: str, are_djangos: Any) -> None:
    are_djangos(log)


def test_queries_that_are_learnt_are_djangos(log: str) -> None:
    rows = Book.objects.using(log)
    for _ in range(3):
        assert rows.get(pk=2).title == "b1"
        assert rows.filter(pages__gt=1).count() == 3
        assert rows.filter(title="b4").exists()
        assert list(rows.order_by("pk").values_list("pk", flat=True)[3:]) == [4, 5]
    before = tree.cache_info().hits
    with CaptureQueriesContext(connections[log]) as queries:
        assert list(rows.order_by("pk").values_list("pk", flat=True)[2:]) == [3, 4, 5]
    assert tree.cache_info().hits > before
    assert queries[0]["sql"].endswith("LIMIT -1 OFFSET 2")


def test_one_path_serves_databases_of_two_kinds(log: str) -> None:
    tag = Tag.objects.create(name="x")
    Tag.objects.using(log).create(name="x")
    Everything.objects.create(uuid=VALUES[1]["uuid"])
    for _ in range(4):
        for alias in ("default", log):
            tags = Tag.objects.using(alias)
            assert tags.get(name="x").name == "x"
            assert len(tags.filter(pk__in=[1, tag.pk])) == 1
            found = Everything.objects.using(alias).filter(uuid=VALUES[1]["uuid"])
            assert found.get().uuid == VALUES[1]["uuid"]
            (row,) = Everything.objects.using(alias).filter(uuid=VALUES[1]["uuid"])
            assert row._state.db == alias


def _raw(alias: str) -> list[Any]:
    everything, book = Everything.objects.using(alias), Book.objects.using(alias)
    return [
        everything.raw("SELECT * FROM testapp_everything ORDER BY id"),
        everything.raw(
            "SELECT id, uuid, datetime, 1 + 1 AS two FROM testapp_everything"
        ),
        book.raw("SELECT * FROM testapp_book WHERE pages > %s", [2]),
        book.raw("SELECT * FROM testapp_book WHERE pages > 99"),
    ]


def test_instances_of_sql_are_djangos(log: str) -> None:
    with djangos_rows():
        wanted = [described(list(rows)) for rows in _raw(log)]
    assert [described(list(rows)) for rows in _raw(log)] == wanted
    with mock.patch.object(RawModelIterable.__iter__, "__wrapped__", None):
        assert [described(list(rows)) for rows in _raw(log)] == wanted

    async def run() -> None:
        async with new_connection(log):
            assert [described([r async for r in rows]) for rows in _raw(log)] == wanted

    async_to_sync(run)()


def test_the_plan_says_whose_values_they_are(log: str) -> None:
    explanation = explain_plan(Everything.objects.using(log))
    assert explanation.loaded
    assert not explanation.binary
    assert "result: values of the driver" in str(explanation)
    assert not explain_plan(Everything.objects.all()).loaded


# ----- converters

DIGITS = st.text("0123456789abcdefABCDEF-", max_size=36)
TEXTS = st.one_of(
    st.datetimes().map(str),
    st.datetimes(timezones=st.just(dt.UTC)).map(str),
    st.datetimes().map(dt.datetime.isoformat),
    st.dates().map(str),
    st.times().map(str),
    st.uuids().map(str),
    st.uuids().map(lambda u: u.hex),
    st.uuids().map(lambda u: u.hex.upper()),
    st.decimals(-(10**9), 10**9, places=3).map(str),
    st.from_regex(r"[0-3]\d{3}-[01]\d-[0-3]\d", fullmatch=True),
    st.from_regex(
        r"[0-3]\d{3}-[01]\d-[0-3]\d[ T]\d\d:\d\d(:\d\d(\.\d{1,7})?)?", fullmatch=True
    ),
    st.from_regex(r"\d\d:\d\d(:\d\d(\.\d{1,7})?)?", fullmatch=True),
    st.from_regex(r"20[0-9]{2}-02-(28|29|30)( 10:11:12)?", fullmatch=True),
    DIGITS,
    st.text(max_size=12),
)
GIVEN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.binary(max_size=4),
    st.datetimes(),
    st.datetimes(timezones=st.just(dt.UTC)),
    st.dates(),
    st.times(),
    TEXTS,
)


def _outcome(function: Any, *args: Any) -> Any:
    value = outcome(function, *args)
    if isinstance(value, uuid.UUID):
        return value, value.is_safe, value.int
    return type(value), repr(value)


FIELDS = "boolean", "date", "datetime", "decimal", "duration", "time", "uuid"


@pytest.mark.parametrize(
    ("field", "use_tz"), [*[(field, True) for field in FIELDS], ("datetime", False)]
)
def test_converters_are_djangos(field: str, use_tz: bool, tmp_path: Path) -> None:
    with (
        override_settings(USE_TZ=use_tz),
        other_database("test database", tmp_path) as alias,
    ):
        wrapper = connections[alias]
        column = Everything._meta.get_field(field)
        _compare(wrapper, column.get_col("t"))
        if field == "decimal":  # of an expression it is not quantized
            _compare(wrapper, models.Value(None, column))


def _compare(wrapper: Any, expression: Any) -> None:
    compiler = mock.Mock(connection=wrapper)
    djangos = [
        *wrapper.ops.get_db_converters(expression),
        *expression.output_field.get_db_converters(wrapper),
    ]
    found = compiled_converters.compiled(compiler, {0: (djangos, expression)})
    ((_, ours, _),) = found
    assert all(a is not b for a, b in zip(djangos, ours, strict=True))
    assert djangos

    @settings(max_examples=40)
    @given(GIVEN)
    def compare(value: Any) -> None:
        for their, our in zip(djangos, ours, strict=True):
            assert _outcome(our, value, expression, wrapper) == _outcome(
                their, value, expression, wrapper
            )

    compare()


def test_the_zone_is_that_of_the_connection(log: str) -> None:
    rows = Everything.objects.using(log).filter(date=dt.date(2024, 2, 29))
    for _ in range(3):
        assert rows.all()[0].datetime == AT
    wrapper = connections[log]
    for zone, hours in (("Asia/Tokyo", 9), (None, 0)):
        wrapper.settings_dict["TIME_ZONE"] = zone
        del wrapper.timezone
        assert rows.all()[0].datetime == AT - dt.timedelta(hours=hours)
        assert rows.all()[0].datetime.tzinfo is wrapper.timezone


def test_a_converter_that_is_not_djangos_is_called(
    log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Book.objects.using(log)
    for _ in range(3):
        assert rows.get(pk=1).in_print is False

    def convert(self: Any, value: Any, expression: Any, connection: Any) -> Any:
        return "patched"

    with monkeypatch.context() as patch:
        patch.setattr(DatabaseOperations, "convert_booleanfield_value", convert)
        for _ in range(3):
            assert rows.get(pk=1).in_print == "patched"
    assert rows.get(pk=1).in_print is False
    with monkeypatch.context() as patch:
        patch.setattr(f"{DatabaseOperations.__module__}.parse_datetime", lambda _: AT)
        odd = RawSQL("'odd'", (), models.DateTimeField())
        Tag.objects.using(log).create(name="x")
        assert Tag.objects.using(log).annotate(at=odd).get().at == AT
    own = connections[log].ops
    own.convert_booleanfield_value = lambda value, *rest: "its own"
    try:
        assert [row.in_print for row in rows.filter(pk=1)] == ["its own"]
    finally:
        del own.convert_booleanfield_value


# ----- who watches


def test_who_watches_queries_sees_them(
    log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Tag.objects.using(log)
    for _ in range(3):
        assert not rows.filter(name="none").exists()
    seen: list[str] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append(sql)
        return execute(sql, params, many, context)

    with connections[log].execute_wrapper(watch):
        rows.filter(name="none").exists()
    assert len(seen) == 1
    with CaptureQueriesContext(connections[log]) as queries:
        rows.filter(name="none").exists()
    assert len(queries) == 1
    execute = SQLiteCursorWrapper.execute

    def patched(self: Any, query: str, params: Any = None) -> Any:
        seen.append(query)
        return execute(self, query, params)

    with monkeypatch.context() as patch:
        patch.setattr(SQLiteCursorWrapper, "execute", patched)
        rows.filter(name="none").exists()
    assert len(seen) == 2
    connections[log].connection.set_trace_callback(seen.append)
    rows.filter(name="none").exists()
    connections[log].connection.set_trace_callback(None)
    assert len(seen) == 3


def test_rows_of_a_factory_are_read_by_position(log: str) -> None:
    wrapper = connections[log]
    wrapper.ensure_connection()
    wrapper.connection.row_factory = sqlite3.Row
    for _ in range(3):
        rows = Book.objects.using(log).order_by("pk")
        assert [book.title for book in rows] == [f"b{i}" for i in range(5)]
        assert rows.values_list("title", flat=True)[0] == "b0"


def test_errors_are_djangos(log: str) -> None:
    from django.db import OperationalError
    from django.db.transaction import TransactionManagementError, atomic

    rows = Tag.objects.using(log)
    for _ in range(3):
        list(rows.filter(name="x"))
    execute("ALTER TABLE testapp_tag RENAME TO elsewhere", using=log)
    with pytest.raises(OperationalError, match="no such table: testapp_tag"):
        list(rows.filter(name="x"))
    with atomic(log):
        connections[log].needs_rollback = True
        with pytest.raises(TransactionManagementError):
            list(rows.filter(name="x"))
    assert connection.vendor == "postgresql"

"""Rows of MariaDB by the core: as Django builds them, whoever waits."""

from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import IntegrityError, ProgrammingError, connections
from django.db.backends.mysql.operations import DatabaseOperations
from django.db.models import DateTimeField, F, Value
from django.db.models.expressions import RawSQL
from django.test.utils import CaptureQueriesContext, override_settings

from django_async_fast import explain_plan, new_connection
from tests.support import many_rows
from tests.support.describe import described
from tests.support.django_rows import djangos_rows
from tests.support.in_a_block import in_a_block
from tests.support.many_rows import VALUES, create_rows
from tests.testapp.models import Book, Everything


@pytest.fixture
def rows(log: str) -> str:
    create_rows(log)
    return log


@pytest.mark.parametrize("are_djangos", many_rows.WAYS)
def test_rows_are_djangos(rows: str, are_djangos: Any) -> None:
    are_djangos(rows)


def test_a_zone_is_the_connections(rows: str) -> None:
    connections.settings[rows]["TIME_ZONE"] = "Asia/Kolkata"
    wrapper = connections[rows]
    vars(wrapper).pop("timezone", None), vars(wrapper).pop("timezone_name", None)
    moments = Everything.objects.using(rows).order_by("pk").values_list("datetime")
    with djangos_rows():
        wanted = described(list(moments))
    assert "Kolkata" in str(wanted)
    for _ in range(2):
        assert described(list(moments.all())) == wanted
    wrapper.close()

    async def run() -> None:
        async with new_connection(rows):
            assert described([each async for each in moments.all()]) == wanted

    async_to_sync(run)()


def test_no_cursor_is_made_for_rows_that_nobody_watches(
    rows: str, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = import_module("django_async_fast.drivers.mysql.statement")

    def read() -> Any:
        return statement.rows(connections[rows], "SELECT %s, '%%'", (7,))

    found = in_a_block(read, using=rows)
    assert found == ([(7, "%")] if driver == "loop" else None)
    assert read() == [(7, "%")]
    assert statement.rows(connections[rows], "SET @a = 1", ()) is None
    with CaptureQueriesContext(connections[rows]):
        assert read() is None
    monkeypatch.setattr("MySQLdb.cursors.Cursor.execute", lambda *args: None)
    assert read() is None


def test_the_core_builds_the_rows(rows: str) -> None:
    assert not explain_plan(Everything.objects.using(rows)).why_django


def test_times_have_a_zone_as_the_settings_have_it_now(rows: str) -> None:
    moments = Everything.objects.using(rows).filter(boolean=True).only("datetime")
    at = VALUES[1]["datetime"]
    for _ in range(3):
        with override_settings(USE_TZ=False):
            assert moments.all()[0].datetime == at.replace(tzinfo=None)
        assert moments.all()[0].datetime == at


def test_a_converter_that_was_replaced_is_called(
    rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(self: Any, value: Any, expression: Any, connection: Any) -> Any:
        return "mine"

    rows_of = Everything.objects.using(rows)
    assert rows_of.filter(boolean=True).get().uuid == VALUES[1]["uuid"]
    monkeypatch.setattr(DatabaseOperations, "convert_uuidfield_value", convert)
    assert rows_of.filter(boolean=True).get().uuid == "mine"


def test_what_is_no_datetime_is_djangos_error(rows: str) -> None:
    text = Book.objects.using(rows).annotate(
        at=RawSQL("'2026-02-28 01:02:03'", [], DateTimeField())
    )
    with djangos_rows(), pytest.raises(AttributeError) as wanted:
        list(text)
    with pytest.raises(AttributeError) as caught:
        list(text.all())
    assert str(caught.value) == str(wanted.value)


async def test_an_error_of_numbers_is_djangos(rows: str) -> None:
    too_much = Book.objects.using(rows).annotate(n=Value(2**63) * 2 * F("pk") * 2)
    async with new_connection(rows):
        with pytest.raises(IntegrityError) as caught:
            [each async for each in too_much]
        assert caught.value.args[0] == 1690


async def test_columns_that_have_changed_are_read_again(rows: str) -> None:
    books = Book.objects.using(rows).order_by("pk").values_list("pages", flat=True)
    types = {"BIGINT": 3, "VARCHAR(9)": "3", "DECIMAL(10, 2)": Decimal(3), "INT": 3}
    async with new_connection(rows) as conn:
        for kind, value in [*types.items()] * 2:
            async with conn.acursor() as cursor:
                await cursor.execute(f"ALTER TABLE testapp_book MODIFY pages {kind}")
            for _ in range(3):
                found = [each async for each in books.all()]
                assert (found[3], type(found[3])) == (value, type(value))


async def test_rows_of_any_size_arrive(rows: str) -> None:
    """As many as one piece of the socket has, more, and those that are cut in two."""
    texts = Everything.objects.using(rows).order_by("pk").values_list("text", flat=True)
    async with new_connection(rows) as conn, conn.acursor() as cursor:
        await cursor.execute("SET GLOBAL max_allowed_packet = 1 << 26")
    async with new_connection(rows):
        for size, count in ((0, 0), (1, 1), (50, 20000), (70000, 30), (1 << 24, 2)):
            await Everything.objects.using(rows).all().adelete()
            await Everything.objects.using(rows).abulk_create(
                [Everything(text=str(i % 10) * size) for i in range(count)],
                batch_size=1000 if size < 100 else 1,
            )
            expected = [str(i % 10) * size for i in range(count)]
            for _ in range(2):
                found = [each async for each in texts.all()]
                # pytest is not to show how they differ.
                assert len(found) == count
                assert (found == expected) is True


async def test_an_error_in_the_place_of_known_columns(rows: str) -> None:
    books = Book.objects.using(rows)
    async with new_connection(rows) as conn:
        for _ in range(3):
            assert (await books.aget(pk=1)).title == "b0"
            async with conn.acursor() as cursor:
                await cursor.execute("ALTER TABLE testapp_book RENAME gone")
            with pytest.raises(ProgrammingError):
                await books.aget(pk=1)
            async with conn.acursor() as cursor:
                await cursor.execute("ALTER TABLE gone RENAME testapp_book")

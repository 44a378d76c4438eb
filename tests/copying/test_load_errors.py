"""What goes wrong while rows are loaded, and where: the row, the line, the field."""

import io
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    connection,
    transaction,
)
from django.db.models import F

from django_async_fast import acopy_from, copy_from, new_connection
from tests.support.other_databases import other_database
from tests.testapp.models import Author, Everything, Novel, Tag


def place(raised: pytest.ExceptionInfo[Any]) -> tuple[Any, Any, Any]:
    found = vars(raised.value)
    return found.get("row"), found.get("line"), found.get("field")


@pytest.mark.parametrize(
    ("row", "kind", "field", "message"),
    [
        (("x" * 51,), DataError, "name", "too long"),
        (("a0",), IntegrityError, None, "duplicate key"),
        ((None,), IntegrityError, "name", "null value"),
        (("\0",), DataError, "name", "NUL|0x00"),
        (("\ud800",), DataError, "name", "surrogates"),
        (("a", "b"), DataError, None, "2 values for 1 columns"),
        ((F("name"),), DatabaseError, "name", "expressions"),
    ],
)
async def test_errors_of_rows(row: Any, kind: Any, field: Any, message: str) -> None:
    async with new_connection():
        rows = [(f"a{i}",) for i in range(600)]
        rows.insert(555, row)
        with pytest.raises(kind, match=message) as raised:
            await acopy_from(Tag, rows, ["name"])
        assert place(raised) == (556, None, field)
        assert str(raised.value).startswith("row 556")
        assert await Tag.objects.acount() == 0
        async with transaction.atomic():
            await Tag.objects.acreate(name="kept")
            with pytest.raises(kind):
                await acopy_from(Tag, rows, ["name"])
        assert await Tag.objects.acount() == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("integer", "abc", "expected a number"),
        ("integer", 2**31, "out of range"),
        ("small", -(2**15) - 1, "out of range"),
        ("big", 2**63, "out of range"),
        ("decimal", "abc", "must be a decimal"),
        ("decimal", Decimal("1E+200000"), "overflow"),
        ("decimal", Decimal("1E+30"), "overflow"),
        ("decimal", Decimal("NaN"), "must be a decimal"),
        ("date", "2024-13-01", "invalid date"),
        ("uuid", "zz", "not a valid UUID"),
        ("json", {1, 2}, "not JSON serializable"),
    ],
)
def test_errors_of_values(name: str, value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        copy_from(Everything, [(None,), (value,)], [name])
    assert place(raised) == (2, None, name)
    assert raised.value.__cause__ is not None
    assert Everything.objects.count() == 0


@pytest.mark.parametrize(
    ("text", "kind", "line", "field", "message"),
    [
        ("id,name\n1,a\nx,b\n", DataError, 3, "id", "invalid input syntax"),
        ('"id","name"\n1,a\n2,"a\nb"\n3,a,b\n', DataError, 5, None, "extra data"),
        ("id,name\n1\n", DataError, 2, None, "missing data"),
        ("id,name\n1,a\n2,a\n", IntegrityError, 3, None, "duplicate key"),
        ("id,name\n,a\n", IntegrityError, 2, "id", "null value"),
    ],
)
def test_errors_of_files(
    text: str, kind: Any, line: int, field: Any, message: str
) -> None:
    with pytest.raises(kind, match=message) as raised:
        copy_from(Tag, io.StringIO(text))
    assert place(raised) == (None, line, field)
    assert raised.value.__cause__.diag.context
    assert Tag.objects.count() == 0


def test_a_wrong_instance() -> None:
    with pytest.raises(DataError, match="row 2: not a Tag, but Author"):
        copy_from(Tag, [Tag(name="a"), Author(name="b")])
    with pytest.raises(NotSupportedError, match="several tables"):
        copy_from(Novel, [Novel(title="a")])
    assert Tag.objects.count() == 0


def test_no_copy_where_the_database_has_none(tmp_path: Path) -> None:
    message = r"SQLite: use bulk_create\(\)"
    with (
        other_database("sqlite", tmp_path) as alias,
        pytest.raises(NotSupportedError, match=message),
    ):
        copy_from(Tag, [("a",)], ["name"], using=alias)


async def test_rows_that_ask_the_same_connection() -> None:
    def rows() -> Iterator[tuple[str]]:
        for i in range(1_000):
            if i == 700:
                Tag.objects.count()
            yield (f"t{i}",)

    with pytest.raises(InterfaceError, match="A COPY is under way"):
        await sync_to_async(copy_from)(Tag, rows(), ["name"])
    async with new_connection():
        with pytest.raises(InterfaceError, match="A COPY is under way"):
            await acopy_from(Tag, rows(), ["name"])
        assert await Tag.objects.acount() == 0


async def test_rows_that_fail() -> None:
    async def rows() -> AsyncIterator[tuple[str]]:
        for i in range(1_000):
            yield (f"t{i}",)
        raise LookupError

    async with new_connection():
        with pytest.raises(LookupError):
            await acopy_from(Tag, rows(), ["name"])
        assert await Tag.objects.acount() == 0


@pytest.mark.parametrize("within", [True, False])
async def test_the_session_is_killed(within: bool, admin: Any) -> None:
    def rows() -> Iterator[tuple[str]]:
        for i in range(100_000):
            if i == 1_000:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE query LIKE 'COPY %' AND state = 'active'"
                )
            yield (f"t{i}",)

    async with new_connection() if within else nullcontext():
        with pytest.raises(OperationalError):
            await acopy_from(Tag, rows(), ["name"])
        await sync_to_async(lambda: connection.close())()
        assert await Tag.objects.acount() == 0

"""COPY into a model's table: copy_from() and acopy_from()."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import FieldDoesNotExist
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    connection,
    models,
    transaction,
)
from django.db.models import F
from django.test.utils import isolate_apps
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.string import StrDumper

from django_async_fast import (
    _native,
    acopy_from,
    acopy_to,
    copy_from,
    copy_to,
    new_connection,
)
from django_async_fast.copying import load
from django_async_fast.copying.columns import Columns
from tests.support.other_databases import other_database
from tests.support.tables import table_of
from tests.testapp.models import Author, Book, Everything, Novel, Tag, UuidKey


class Str(str):
    __slots__ = ()


class Row(NamedTuple):
    integer: int | None
    char: str


MOMENT = dt.datetime(2024, 2, 3, 4, 5, 6, 789, dt.UTC)

# What Django stores, and what it makes of other classes.
VALUES: dict[str, list[Any]] = {
    "small": [1, -32768, True, "7", None],
    "integer": [1, 2**31 - 1, "-5", 3.0, None],
    "big": [2**63 - 1, -(2**63), None],
    "positive": [0, 5],
    "char": ["", "a", "Ü\t\n\\N \\.", 5, None],
    "text": ["x" * 100_000, "\\.", "\r", None],
    "slug": ["a-b", None],
    "email": ["a@example.org", None],
    "url": ["https://example.org/%s?%%", None],
    "boolean": [True, False, "True", 0, None],
    "decimal": [
        Decimal("1.5"),
        "2.25",
        3,
        Decimal("-0"),
        Decimal("1E-5000"),
        Decimal("0.00000000005"),
        Decimal("-1." + "9" * 5000),
        None,
    ],
    "float": [1.5, 2, "2.5", float("inf"), float("nan"), None],
    "datetime": [MOMENT, MOMENT.astimezone(dt.timezone(dt.timedelta(hours=5))), None],
    "date": [dt.date(2024, 2, 29), "2024-02-29", MOMENT, None],
    "time": [dt.time(1, 2, 3, 4), "10:11", None],
    "duration": [dt.timedelta(days=-3, microseconds=1), None],
    "uuid": [uuid.UUID(int=5), "6" * 32, None],
    "json": [{"a": [1, None, "\\N"]}, [], "text", 5, None],
    "inet": ["::1", "10.0.0.1", None],
    "binary": [b"\x00\xff\\", memoryview(b"a"), b"", None],
    "file": ["files/a.txt", ""],
}


def stored(model: Any, *names: str) -> list[str]:
    """Return a table's rows, as the server prints them."""
    rows = model.objects.order_by("pk").values_list(*names)
    file = io.StringIO(newline="")
    copy_to(rows, file, format="text", header=False)
    return file.getvalue().splitlines(keepends=True)


def by_django(model: Any, names: list[str], rows: list[Any]) -> list[str]:
    model.objects.all().delete()
    model.objects.bulk_create(
        [model(**dict(zip(names, row, strict=True))) for row in rows]
    )
    found = stored(model, *names)
    model.objects.all().delete()
    return found


@pytest.mark.parametrize("name", VALUES)
def test_values_are_what_django_stores(name: str) -> None:
    rows = [(value,) for value in VALUES[name]]
    expected = by_django(Everything, [name], rows)
    assert copy_from(Everything, rows, [name]) == len(rows)
    assert stored(Everything, name) == expected
    Everything.objects.all().delete()
    assert copy_from(Everything, (Everything(**{name: v}) for (v,) in rows)) == len(
        rows
    )
    assert stored(Everything, name) == expected


def test_all_columns_at_once() -> None:
    names = [*VALUES]
    length = max(map(len, VALUES.values()))
    rows = [tuple(VALUES[n][i % len(VALUES[n])] for n in names) for i in range(length)]
    expected = by_django(Everything, names, rows)
    assert copy_from(Everything, iter(rows), names) == length
    assert stored(Everything, *names) == expected


PLAIN = {
    "small": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "big": st.integers(-(2**63), 2**63 - 1),
    "char": st.text(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=100
    ),
    "boolean": st.booleans(),
    "decimal": st.decimals(-(10**19), 10**19, places=10, allow_nan=False),
    # Django's SQL of one row has -0.0 as a number, whose sign PostgreSQL drops.
    "float": st.floats().map(lambda value: value + 0.0),
    "datetime": st.datetimes(timezones=st.just(dt.UTC)),
    "date": st.dates(),
    "duration": st.timedeltas(dt.timedelta(days=-999_999), dt.timedelta(days=999_999)),
    "uuid": st.uuids(),
}


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(*(st.none() | each for each in PLAIN.values())),
        min_size=1,
        max_size=5,
    )
)
def test_plain_values_are_sent_in_binary(rows: list[tuple[Any, ...]]) -> None:
    names = [*PLAIN]
    expected = by_django(Everything, names, rows)
    with connection.cursor() as cursor:
        assert Columns(cursor, Everything, rows[0], names).is_binary
    assert copy_from(Everything, rows, names) == len(rows)
    assert stored(Everything, *names) == expected
    Everything.objects.all().delete()


# ----- rows


async def test_it_is_the_same_in_a_block_and_outside() -> None:
    names = [f"t{i}" for i in range(1_234)]
    told: list[int] = []
    async with new_connection():
        rows = ((name,) for name in names)
        assert await acopy_from(Tag, rows, ["name"], progress=told.append) == 1_234
        assert told == [500, 1_000, 1_234]
        assert [tag.name async for tag in Tag.objects.order_by("pk")] == names
        await Tag.objects.all().adelete()
    assert await acopy_from(Tag, [[name] for name in names], ["name"]) == 1_234
    assert await Tag.objects.acount() == 1_234


async def rows_of(names: list[str]) -> AsyncIterator[tuple[str]]:
    for name in names:
        await asyncio.sleep(0)
        yield (name,)


async def test_asynchronous_rows() -> None:
    names = [f"t{i}" for i in range(1_001)]
    async with new_connection():
        assert await acopy_from(Tag, rows_of(names), ["name"]) == 1_001
        assert await Tag.objects.acount() == 1_001
        await Tag.objects.all().adelete()
    assert await acopy_from(Tag, rows_of(names), ["name"]) == 1_001


async def test_asynchronous_data() -> None:
    async def data() -> AsyncIterator[bytes]:
        yield b"na"
        yield b"me\na\nb"
        yield b"b\n"

    async with new_connection():
        assert await acopy_from(Tag, data()) == 2
        assert [tag.name async for tag in Tag.objects.order_by("pk")] == ["a", "bb"]


async def test_in_a_thread_of_a_block() -> None:
    async with new_connection(), transaction.atomic():
        assert await sync_to_async(copy_from)(Tag, [("a",)], ["name"]) == 1
        assert await Tag.objects.acount() == 1
        await transaction.aset_rollback(True)
    assert await Tag.objects.acount() == 0


def test_nothing() -> None:
    assert copy_from(Tag, []) == copy_from(Tag, iter(()), ["name"]) == 0
    assert copy_from(Tag, io.BytesIO(b"name\n")) == 0


def test_keys_are_the_databases_or_given() -> None:
    copy_from(Tag, [Tag(name="a"), Tag(name="b")])
    given = [2**40, 2**40 + 1, 2**40 + 10]
    copy_from(Tag, [Tag(pk=given[0], name="c"), Tag(pk=given[1], name="d")])
    copy_from(Tag, [(given[2], "e")])
    assert [*Tag.objects.order_by("pk").values_list("name", flat=True)] == [*"abcde"]
    found = Tag.objects.filter(pk__gte=given[0]).order_by("pk")
    assert [*found.values_list("pk", flat=True)] == given
    ids = [uuid.uuid4(), uuid.uuid4()]
    copy_from(UuidKey, [UuidKey(pk=each) for each in ids])
    assert {*UuidKey.objects.values_list("pk", flat=True)} == {*ids}


def test_fields_by_any_of_their_names() -> None:
    author = Author.objects.create(name="a")
    for names in (["title", "author"], ["title", "author_id"]):
        rest = ["pages", "price", "in_print"]
        copy_from(Book, [("t", author.pk, 1, 2, True)], [*names, *rest])
    assert Book.objects.filter(author=author, price=2).count() == 2
    copy_from(Author, [(77, "b")], ["pk", "name"])
    assert Author.objects.get(pk=77).name == "b"
    with pytest.raises(FieldDoesNotExist, match="no field of its own named nothing"):
        copy_from(Book, [("t",)], ["nothing"])
    with pytest.raises(ValueError, match="named twice"):
        copy_from(Book, [(1, 2)], ["author", "author_id"])


def test_related_objects_and_pre_save(tmp_path: Path) -> None:
    author = Author(name="a")
    book = Book(title="t", author=author)
    with pytest.raises(ValueError, match="unsaved related object"):
        copy_from(Book, [book])
    author.save()
    assert copy_from(Book, [book]) == 1
    assert Book.objects.get().author == author
    assert book.pk is None


@isolate_apps("tests.testapp")
def test_fields_that_make_their_values() -> None:
    class Stamped(models.Model):
        made = models.DateTimeField(auto_now_add=True)
        day = models.DateField(auto_now=True)
        shout = models.GeneratedField(
            expression=F("number") * 2,
            output_field=models.IntegerField(),
            db_persist=True,
        )
        number = models.IntegerField(default=4)
        kind = models.CharField(max_length=5, db_default="new")

        class Meta:
            app_label = "testapp"

    with table_of(Stamped):
        assert copy_from(Stamped, [Stamped(), Stamped(number=5)]) == 2
        rows = [*Stamped.objects.order_by("pk").values_list("number", "shout", "kind")]
        assert rows == [(4, 8, "new"), (5, 10, "new")]
        assert (
            Stamped.objects.filter(made__isnull=False, day__isnull=False).count() == 2
        )
        with pytest.raises(DataError, match=r"row 2, field 'kind'.*first row leaves"):
            copy_from(Stamped, [Stamped(), Stamped(kind="old")])
        with pytest.raises(
            NotSupportedError, match=r"row 2, field 'kind'.*no expressions"
        ):
            copy_from(Stamped, [Stamped(kind="old"), Stamped()])


# ----- files


async def test_what_was_exported_is_imported(tmp_path: Path) -> None:
    async with new_connection():
        author = await Author.objects.acreate(name='Ü "quoted",\n%s')
        await Book.objects.acreate(title="", author=author, price="1.50")
        await Book.objects.acreate(title="t\r\n", author=author, in_print=False)
        expected = [row async for row in Book.objects.order_by("pk").values_list()]
        for format in ("csv", "text", "binary"):
            path = tmp_path / f"books.{format}"
            assert await acopy_to(Book.objects.order_by("pk"), path, format=format) == 2
            await Book.objects.all().adelete()
            assert await acopy_from(Book, path, format=format) == 2
            assert [
                row async for row in Book.objects.order_by("pk").values_list()
            ] == expected


def test_headers() -> None:
    def load(text: str | bytes, *args: Any, **how: Any) -> list[tuple[Any, ...]]:
        file: Any = io.StringIO(text) if isinstance(text, str) else io.BytesIO(text)
        copy_from(Author, file, *args, **how)
        rows = [*Author.objects.order_by("pk").values_list("name", "mentor")]
        Author.objects.all().delete()
        return rows

    assert load("name,mentor\na,\n") == [("a", None)]
    assert load("mentor_id,name\n,a\n") == [("a", None)]
    assert load("\ufeffname\r\na\r\n") == [("a", None)]
    assert load(b'\xef\xbb\xbf"name"\n"a\nb"\n,c\n'[:-3]) == [("a\nb", None)]
    assert load("Full\nname\na\n"[5:]) == [("a", None)]
    assert load('"Full\nname"\na\n', {"Full\nname": "name"}) == [("a", None)]
    assert load("name\n", ["name"]) == []
    assert load("a,\n", ["name", "mentor"], header=False) == [("a", None)]
    assert load("name\tmentor\na\\tb\t\\N\n", format="text") == [("a\tb", None)]
    assert load("name\n\n") == [("", None)]  # not NULL
    for text, args, message in (
        ("nothing\n", (), "no field of its own named nothing"),
        ("", (), "has no header"),
        ("name\na\n", (["mentor"],), "The header names name, not mentor"),
        ("name\na\n", ({"Name": "name"},), "does not name Name, but name"),
    ):
        with pytest.raises((ValueError, FieldDoesNotExist), match=message):
            load(text, *args)


def test_progress_of_a_file_is_in_bytes(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("name\n" + "".join(f"tag{i}\n" for i in range(50_000)))
    told: list[int] = []
    assert copy_from(Tag, path, progress=told.append) == 50_000
    assert told == sorted(told)
    assert told[-1] == path.stat().st_size - len("name\n")
    assert len(told) > 5


def test_iterables_of_data() -> None:
    assert copy_from(Tag, iter(["name\n", "a\n"])) == 1
    assert copy_from(Tag, [b"name\nb", b"\n"]) == 1


# ----- what goes wrong


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
async def test_the_session_is_killed(within: bool, dsn: str) -> None:
    def rows() -> Iterator[tuple[str]]:
        for i in range(100_000):
            if i == 1_000:
                with psycopg.connect(dsn, autocommit=True) as admin:
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


# ----- the core's rows


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the core has encoded each batch that it was asked about."""
    kind = pytest.importorskip("django_async_fast._decode").RowEncoder
    found: list[bool] = []

    class Counting:
        def __init__(self, oids: Any, **options: Any) -> None:
            self._inner = kind(oids, **options)

        def encode(self, rows: Any) -> Any:
            data = self._inner.encode(rows)
            found.append(data is not None)
            return data

    monkeypatch.setattr(_native.decode, "RowEncoder", Counting)
    return found


ODD: dict[str, list[Any]] = {
    "plain": [(1, "a"), [2, "é"], (None, None)],
    "wrapped": [(True, "a"), (2, Str("b"))],
    "prepared": [("3", 4)],
    "rows of other classes": [Row(1, "a"), Row(None, "b")],
}


@pytest.mark.parametrize("name", ODD)
def test_batches_of_either_kind(
    name: str, encoded: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "BATCH", 2)
    rows = [(0, "first"), (1, "x"), *ODD[name], (5, "last"), *ODD[name]]
    names = ["integer", "char"]
    expected = by_django(Everything, names, rows)
    assert copy_from(Everything, rows, names) == len(rows)
    assert stored(Everything, *names) == expected
    assert encoded[0]
    assert all(encoded) == (name == "plain")


def test_errors_say_where_they_are_after_batches_of_the_core(
    encoded: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "BATCH", 2)
    for bad, kind in (("a\0", DataError), ("x" * 101, DataError)):
        rows = [(1, "a"), (2, "b"), (3, "c"), (4, bad)]
        with pytest.raises(kind, match=r"^row 4, field 'char'"):
            copy_from(Everything, rows, ["integer", "char"])
    with pytest.raises(DataError, match=r"^row 3: 1 values for 2 columns"):
        copy_from(Everything, [(1, "a"), (2, "b"), (3,)], ["integer", "char"])
    assert encoded[0]
    assert not Everything.objects.exists()


def test_where_somebody_dumps_texts_the_core_encodes_none(encoded: list[bool]) -> None:
    class Louder(StrDumper):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.upper())

    connection.ensure_connection()
    connection.connection.adapters.register_dumper(str, Louder)
    try:
        assert copy_from(Everything, [(1, "a")], ["integer", "char"]) == 1
    finally:
        connection.close()
    assert not encoded


@settings(max_examples=30)
@given(
    st.lists(
        st.none()
        | st.timedeltas(dt.timedelta(days=-99_999), dt.timedelta(days=99_999))
        | st.sampled_from(
            ["1 day", "-1:02:03.000004", "P1Y2M3DT4H5M6S", "1 mon -2 days", "7"]
        ),
        min_size=1,
        max_size=6,
    )
)
def test_durations_are_what_django_stores(durations: list[Any]) -> None:
    names = ["integer", "duration"]
    rows = [(i, each) for i, each in enumerate(durations)]
    expected = by_django(Everything, names, rows)
    assert copy_from(Everything, rows, names) == len(rows)
    assert stored(Everything, *names) == expected
    Everything.objects.all().delete()
    # As text, beside a column that is not binary.
    expected = by_django(Everything, [*names, "json"], [(*row, 1) for row in rows])
    assert copy_from(Everything, [(*row, 1) for row in rows], [*names, "json"])
    assert stored(Everything, *names, "json") == expected
    Everything.objects.all().delete()


def test_a_duration_that_postgresql_does_not_read() -> None:
    rows = [(1, dt.timedelta(1)), (2, "1 day"), (3, "soon")]
    with pytest.raises(DataError, match=r"^row 3, field 'duration'"):
        copy_from(Everything, rows, ["integer", "duration"])
    assert not Everything.objects.exists()


@pytest.mark.parametrize("style", ["postgres", "sql_standard", "iso_8601"])
def test_durations_in_a_session_of_another_style(style: str) -> None:
    durations = [
        dt.timedelta(days=-3, microseconds=1),
        dt.timedelta(hours=-30),
        "1 day",
    ]
    names = ["integer", "duration"]
    with connection.cursor() as cursor:
        cursor.execute(f"SET intervalstyle = {style}")
        try:
            rows = [(i, each) for i, each in enumerate(durations)]
            expected = by_django(Everything, names, rows)
            assert copy_from(Everything, rows, names) == len(rows)
            assert stored(Everything, *names) == expected
        finally:
            cursor.execute("RESET intervalstyle")

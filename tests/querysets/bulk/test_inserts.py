"""`bulk_create()` with arrays: the rows, results and errors of Django's own."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from unittest import mock

import django
import pytest
from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile
from django.db import DataError, connection, models
from django.db.backends.utils import CursorWrapper
from django.db.models import F, Value
from django.db.models.functions import Upper
from django.db.models.sql.compiler import SQLInsertCompiler
from django.test.utils import CaptureQueriesContext, isolate_apps, override_settings
from django.utils.safestring import SafeString
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_fast import new_connection, run_sync
from tests.support.describe import Queries, described
from tests.support.noted import noted
from tests.support.shouting import shouting
from tests.support.sql import execute
from tests.support.tables import Isolated, table_of
from tests.testapp.models import (
    Author,
    Bestseller,
    Book,
    CharKey,
    Everything,
    Note,
    Novel,
    Tag,
    Unique,
    UuidKey,
    Wide,
)

from .values import FULL, MODELS, NOON, VIENNA, Colour, Size, Str, odd
from .ways import arrays, djangos, like_djangos, outcome, rows_like_djangos

pytestmark = pytest.mark.core


@pytest.fixture
def library() -> Any:
    Author.objects.create(pk=7, name="a")
    Unique.objects.create(key="there", value=1)


def wide(*rows: dict[str, Any]) -> Callable[[], list[Wide]]:
    """Create rows of Wide."""
    return lambda: Wide.objects.bulk_create([Wide(**row) for row in rows])


def both(**values: Any) -> Callable[[], list[Wide]]:
    """Create a row of ordinary values, and one of these."""
    return wide({name: FULL[name] for name in values}, values)


PLAIN: dict[str, Callable[[], Any]] = {
    "two": lambda: Tag.objects.bulk_create([Tag(name="x"), Tag(name="y")]),
    "every type": wide(FULL, {}, FULL),
    "nulls": wide({}, {}),
    "batches": lambda: Tag.objects.bulk_create(
        [Tag(name=f"{i}") for i in range(5)], batch_size=2
    ),
    "keys that are given": lambda: Tag.objects.bulk_create(
        [Tag(pk=i, name=f"{i}") for i in (9, 5)]
    ),
    "keys that are given to some": lambda: Tag.objects.bulk_create(
        [Tag(pk=i, name=f"{i}") for i in (9, None, 5, None)]
    ),
    "keys that are made": lambda: [
        each.name for each in UuidKey.objects.bulk_create([UuidKey(pk=uuid.UUID(int=i)) for i in (2, 1)])
    ],
    "keys of text": lambda: CharKey.objects.bulk_create([CharKey("b%s"), CharKey("a")]),
    "foreign keys": lambda: Book.objects.bulk_create(
        [Book(title="t", author_id=7), Book(title="u", author=Author.objects.get(pk=7))]
    ),
    "a proxy": lambda: Bestseller.objects.bulk_create(
        [Bestseller(title="t", author_id=7), Bestseller(title="u", author_id=7)]
    ),
    "conflicts ignored": lambda: Unique.objects.bulk_create(
        [Unique(key="there"), Unique(key="new")], ignore_conflicts=True
    ),
    "conflicts updated": lambda: Unique.objects.bulk_create(
        [Unique(key="there", value=5), Unique(key="new", value=6)],
        update_conflicts=True, unique_fields=["key"], update_fields=["value"],
    ),
    "a conflict": lambda: Unique.objects.bulk_create(
        [Unique(key="new"), Unique(key="there")]
    ),
    "a key that nothing has": lambda: Book.objects.bulk_create(
        [Book(title="t", author_id=7), Book(title="u", author_id=8)]
    ),
    "too long": lambda: Tag.objects.bulk_create([Tag(name="x" * 51), Tag(name="y")]),
    "a zone": both(datetime=dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=VIENNA)),
    "naive": both(datetime=NOON.replace(tzinfo=None)),
    "numbers of text": both(small="1", decimal="1.5", float="1", boolean="1", date="2001-02-03"),
    "choices": both(char=Colour.RED, small=Size.BIG),
    "subclasses": both(char=Str("x"), text=SafeString("y"), small=True),
    "JSON that is none": both(json={1, 2}),
    "JSON null": both(json="null"),
    "not a number": both(float=float("nan")),
    "decimals of another kind": wide(*({"decimal": n} for n in (Decimal("1.5"), Decimal("-0.00"), 1, 1.5))),
    "a date of a datetime": both(date=NOON),
    "a network": both(inet="10.0.0.1"),
    "the same object twice": lambda: Tag.objects.bulk_create([Tag(name="x")] * 2),
    "a generic relation": lambda: Note.objects.bulk_create(
        [Note(text="n", about=Author.objects.get(pk=7)), Note(text="m", about=Tag(pk=1))]
    ),
    "many": lambda: len(Author.objects.bulk_create([Author(name="x")] * 70_000)),
}  # fmt: skip

DJANGOS: dict[str, Callable[[], Any]] = {
    "bytes, for which Django has a placeholder": lambda: Everything.objects.bulk_create(
        [Everything(binary=b"\0\\x"), Everything(binary=memoryview(b"x"))]
    ),
    "one": lambda: Tag.objects.bulk_create([Tag(name="x")]),
    "none": lambda: Tag.objects.bulk_create([]),
    "an expression": both(char=Upper(Value("x"))),
    "an expression that cannot be": both(char=F("id")),
    "a JSON null of SQL": both(json=Value(None, models.JSONField())),
    "a child": lambda: Novel.objects.bulk_create([Novel(), Novel()]),
    "an unsaved key": lambda: Book.objects.bulk_create(
        [Book(author=Author()), Book(author_id=7)]
    ),
    "a number that is none": both(small="x"),
    "a boolean that is none": both(boolean="maybe"),
    "infinite": both(decimal=Decimal("Infinity")),
}  # fmt: skip

# Not by an array alone: the server, or psycopg, is to see what Django sends.
REFUSED: dict[str, Any] = {
    "small": 2**15, "integer": -(2**31) - 1, "big": 2**63, "char": "a\0b",
    "text": "\ud800", "decimal": Decimal("1e40"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning")
@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", PLAIN)
def test_what_is_sent_as_arrays(name: str) -> None:
    for sent in like_djangos(PLAIN[name], *MODELS, times=2):
        assert sent
        assert all(sent)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", DJANGOS)
def test_what_django_sends(name: str) -> None:
    assert like_djangos(DJANGOS[name], *MODELS) == [[]]


@pytest.mark.parametrize("name", REFUSED)
def test_values_that_are_refused(name: str) -> None:
    write = both(**{name: REFUSED[name]})
    with djangos():
        wanted = outcome(write, Wide)
    ours = outcome(write, Wide)
    assert ours[0][0] is wanted[0][0]
    assert issubclass(ours[0][0], (DataError, UnicodeError, ValueError))
    # Their text may quote the statement, where `id` and the like are now parameters.
    assert ours[0][1].partition("\n")[0] == wanted[0][1].partition("\n")[0]
    assert ours[1] == wanted[1] == [described([])]


@pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning")
@settings(max_examples=60)
@given(st.lists(odd, min_size=2, max_size=4))
def test_any_values(rows: list[Any]) -> None:
    rows_like_djangos(lambda: len(wide(*rows)()), Wide)


class Counter(models.CharField):
    """Notes what it is asked for, and may answer with an expression."""

    calls: list[Any] = []
    expression: Any = None

    def pre_save(self, instance: Any, add: bool) -> Any:
        self.calls.append((instance.number, add))
        instance.other = f"set for {instance.number}"
        if self.expression is not None and instance.number == 1:
            return self.expression
        return super().pre_save(instance, add)

    def get_prep_value(self, value: Any) -> Any:
        return value if value is None else value.upper()


def numbered(field: models.Field[Any, Any]) -> Any:
    """Return a model whose `name` is of this field, with a number for it to note."""

    class Numbered(Isolated):
        number = models.IntegerField()
        name = field
        other = models.CharField(max_length=10, default="o")

    return Numbered


@isolate_apps("tests.testapp")
def test_fields_of_ones_own_are_asked_as_often_as_by_django() -> None:
    Counted = numbered(Counter(max_length=10))

    def write() -> Any:
        objs = [Counted(number=i, name="n") for i in range(3)]
        return Counted.objects.bulk_create(objs)

    def calls(expression: Any = None) -> Any:
        with (
            mock.patch.object(Counter, "calls", found := []),
            mock.patch.object(Counter, "expression", expression),
        ):
            return outcome(write, Counted), found

    with table_of(Counted):
        with djangos():
            plain, expression = calls(), calls(Upper(Value("x")))
        for _ in range(2):
            assert calls() == plain
            assert calls(Upper(Value("x"))) == expression
        assert "'SET" not in str(plain)
        assert "'N'" in str(plain)


@isolate_apps("tests.testapp")
def test_raw_values_are_asked_of_no_field() -> None:
    Counted = numbered(Counter(max_length=10))
    fields = [each for each in Counted._meta.fields if not each.primary_key]
    objs = [Counted(number=i, name="n") for i in range(2)]
    with table_of(Counted), mock.patch.object(Counter, "calls", found := []):
        Counted.objects._insert(objs, fields=fields, raw=True)
        assert Counted.objects.count() == 2
    assert found == []


@isolate_apps("tests.testapp")
def test_after_an_error_no_later_object_is_asked() -> None:
    class Refusing(Counter):
        def get_prep_value(self, value: Any) -> Any:
            if value == "bad":
                raise TypeError("refused")
            return value

    Refused = numbered(Refusing(max_length=10))

    def calls(at: int) -> Any:
        names = ["bad" if i == at else "n" for i in range(4)]
        objs = [Refused(number=i, name=name) for i, name in enumerate(names)]
        with mock.patch.object(Counter, "calls", found := []):
            error, _ = outcome(lambda: Refused.objects.bulk_create(objs), Refused)
        return error, found, [each.other for each in objs]

    with table_of(Refused):
        with djangos():
            wanted = [calls(at) for at in range(4)]
        assert [calls(at) for at in range(4)] == wanted
    assert wanted[1][0] == (TypeError, "refused")


@isolate_apps("tests.testapp")
def test_stamps_are_of_each_object() -> None:
    class Stamped(Isolated):
        made = models.DateTimeField(auto_now_add=True)
        day = models.DateField(auto_now=True)
        free = models.DateTimeField(auto_now_add=True)

    times = [NOON + dt.timedelta(days=i) for i in range(6)]
    with table_of(Stamped), arrays() as sent:
        with mock.patch("django.utils.timezone.now", side_effect=times):
            made = Stamped.objects.bulk_create([Stamped(), Stamped()])
        assert sorted(each.made for each in made) == times[:2] or (
            {each.made for each in made} < {*times}
        )
        assert [*Stamped.objects.values_list("made")] == [(each.made,) for each in made]
        free = Stamped._meta.get_field("free")
        with mock.patch.object(free, "auto_now_add", False):
            Stamped.objects.bulk_create([Stamped(free=NOON), Stamped(free=NOON)])
        assert Stamped.objects.filter(free=NOON).count() >= 2
    assert sent == [3, 3]


@isolate_apps("tests.testapp")
def test_database_defaults_are_the_databases() -> None:
    class Defaulted(Isolated):
        name = models.CharField(max_length=10, db_default="from db")
        size = models.IntegerField(db_default=3)
        plain = models.IntegerField(default=1)

    def made(*rows: dict[str, Any]) -> Any:
        objs = Defaulted.objects.bulk_create([Defaulted(**each) for each in rows])
        return [(each.name, each.size) for each in objs]

    with table_of(Defaulted):
        for _ in range(2):
            with arrays() as sent:
                assert made({}, {}) == [("from db", 3)] * 2
                assert made({"name": "x"}, {"name": "y"}) == [("x", 3), ("y", 3)]
                sized = [("from db", size) for size in (1, 2)]
                assert made({"size": 1}, {"size": 2}) == sized
            # Before 6.0 Django writes DEFAULT for each, and no UNNEST.
            assert sent == ([1, 2, 2] if django.VERSION >= (6, 0) else [])
            with arrays() as sent:
                assert made({"name": "x"}, {}) == [("x", 3), ("from db", 3)]
            assert sent == []


@isolate_apps("tests.testapp")
def test_times_that_are_returned_have_a_zone_as_the_settings_have_it_now() -> None:
    class Timed(Isolated):
        name = models.CharField(max_length=10)
        at = models.DateTimeField(db_default=Value(NOON))

    def write() -> Any:
        return Timed.objects.bulk_create([Timed(name="a"), Timed(name="b")])

    with table_of(Timed):
        for use_tz in (True, False, True):
            with override_settings(USE_TZ=use_tz):
                like_djangos(write, Timed)
                made, _ = outcome(write, Timed)
            assert ("tzinfo" in str(made)) is use_tz


@isolate_apps("tests.testapp")
def test_a_column_without_fields_besides_its_key() -> None:
    class Bare(Isolated):
        pass

    with table_of(Bare), arrays() as sent:
        made = Bare.objects.bulk_create([Bare(), Bare()])
        assert [each.pk for each in made] == [1, 2]
    assert sent == []


def test_files_are_stored_once(tmp_path: Any) -> None:
    with override_settings(MEDIA_ROOT=tmp_path):
        objs = wide(*[{"file": ContentFile(b"x", name="f.txt")} for _ in "ab"])()
        assert len([*tmp_path.rglob("f*.txt")]) == 2
        names = {*Wide.objects.values_list("file", flat=True)}
        assert names == {each.file.name for each in objs}


def tags(count: int = 2) -> list[Tag]:
    return [Tag(name=f"{i}") for i in range(count)]


def test_whoever_watches_sees_djangos_statement() -> None:
    with arrays() as sent:
        with connection.execute_wrapper(queries := Queries()):
            Tag.objects.bulk_create(tags())
        Tag.objects.all().delete()
        with noted(CursorWrapper, "execute") as executed:
            Tag.objects.bulk_create(tags())
        with CaptureQueriesContext(connection) as captured:
            Tag.objects.all().delete()
            Tag.objects.bulk_create(tags())
    assert sent == []
    given = [*queries, *((sql, described(params)) for _, sql, params in executed)]
    inserts = [each for each in given if each[0].startswith("INSERT")]
    assert len(inserts) == 2
    for sql, params in inserts:
        assert "SELECT * FROM UNNEST((%s)::varchar[])" in sql
        assert params == described((["0", "1"],))
    assert any("UNNEST" in each["sql"] for each in captured)


def test_a_patched_compiler_or_field_is_called() -> None:
    with arrays() as sent, noted(SQLInsertCompiler, "as_sql") as called:
        Author.objects.bulk_create([Author(name="a"), Author(name="b")])
    assert called
    assert sent == []
    name = Author._meta.get_field("name")
    with mock.patch.object(name, "get_db_prep_save", return_value="own"):
        Author.objects.bulk_create([Author(name="a"), Author(name="b")])
    with mock.patch.object(models.CharField, "get_prep_value", return_value="class's"):
        Author.objects.bulk_create([Author(name="a"), Author(name="b")])
    found = [*Author.objects.order_by("pk").values_list("name", flat=True)]
    assert found == ["a", "b", "own", "own", "class's", "class's"]


def test_a_dumper_of_ones_own_dumps() -> None:
    with shouting():
        Tag.objects.bulk_create([Tag(name="a"), Tag(name="b")])
    assert [*Tag.objects.order_by("pk").values_list("name", flat=True)] == ["A", "B"]


def test_a_client_encoding_of_ones_own() -> None:
    execute("SET client_encoding TO LATIN1")
    try:
        with arrays() as sent:
            Tag.objects.bulk_create([Tag(name="é"), Tag(name="è")])
        assert sent == []
    finally:
        connection.close()
    assert {*Tag.objects.values_list("name", flat=True)} == {"é", "è"}


@override_settings(USE_TZ=False)
def test_without_time_zones() -> None:
    rows = [{"datetime": dt.datetime(2024, 10, 27, 2, 30 + i)} for i in range(2)]
    connection.close()
    try:
        execute("SET TIME ZONE 'Europe/Vienna'")
        assert like_djangos(wide(*rows), Wide) != [[]]
    finally:
        connection.close()


async def test_in_a_block_on_the_bridge_and_in_its_threads() -> None:
    with arrays() as sent:
        async with new_connection():
            made = await Tag.objects.abulk_create([Tag(name="a"), Tag(name="b")])
            await run_sync(Tag.objects.bulk_create, [Tag(name="c"), Tag(name="d")])
            more = [Tag(name="e"), Tag(name="f")]
            await sync_to_async(Tag.objects.bulk_create)(more)
            assert await Tag.objects.acount() == 6
            assert {each.pk for each in made + more} <= {
                pk async for pk in Tag.objects.values_list("pk", flat=True)
            }
    assert sent == [1, 1]  # in threads it is Django's

"""`bulk_update()` by a join: the rows, counts and errors of Django's CASE."""

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from django.db import DatabaseError, connection, models, transaction
from django.db.models import Case, F, QuerySet, Value
from django.db.models.functions import Upper
from django.db.models.sql.compiler import SQLUpdateCompiler
from django.test.utils import CaptureQueriesContext, isolate_apps, override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_fast import explain_writes, new_connection, run_sync
from django_async_fast.querysets.bulk import updates
from tests.support.describe import Queries
from tests.support.noted import noted
from tests.support.routers import Router
from tests.support.tables import Isolated, table_of
from tests.testapp.models import (
    Author,
    Bestseller,
    Book,
    CharKey,
    Everything,
    Novel,
    Publisher,
    Tag,
    Unique,
    UuidKey,
    Wide,
)

from .values import FULL, MODELS, NOON, Colour, Size, Str, odd
from .ways import arrays, djangos, like_djangos, rows_like_djangos

pytestmark = pytest.mark.core


@pytest.fixture(autouse=True)
def _rows() -> None:
    author = Author.objects.create(pk=7, name="a")
    Author.objects.create(pk=8, name="b")
    Publisher.objects.create(pk=2**40, name="p")
    for pk in range(1, 6):
        Tag.objects.create(pk=pk, name=f"{pk}")
        Book.objects.create(pk=pk, title=f"{pk}", author=author, pages=pk)
        Unique.objects.create(pk=pk, key=f"{pk}", value=pk)
        UuidKey.objects.create(pk=uuid.UUID(int=pk))
        Wide.objects.create(pk=pk, **FULL)
        Everything.objects.create(pk=pk)
        CharKey.objects.create(pk=f"{pk}")
    Novel.objects.create(pk=9, title="n", author=author, genre="g")


def tags(*pks: Any) -> list[Tag]:
    return [Tag(pk=pk, name=f"new {i}") for i, pk in enumerate(pks)]


def wide(*rows: dict[str, Any]) -> Any:
    """Update a row of each of these to it, all columns that one of them names."""
    fields = sorted({name for row in rows for name in row})
    objs = [Wide(pk=pk, **row) for pk, row in enumerate(rows, 1)]
    return Wide.objects.bulk_update(objs, fields)


def both(**values: Any) -> Callable[[], Any]:
    """Update to ordinary values, and to these."""
    return lambda: wide({name: FULL[name] for name in values}, values)


PLAIN: dict[str, Callable[[], Any]] = {
    "one": lambda: Tag.objects.bulk_update(tags(1), ["name"]),
    "some": lambda: Tag.objects.bulk_update(tags(3, 1, 2), ["name"]),
    "fields that are a generator": lambda: Tag.objects.bulk_update(
        (each for each in tags(2, 1)), (name for name in ["name"])
    ),
    "a field twice": lambda: Tag.objects.bulk_update(tags(1, 2), ["name", "name"]),
    "batches": lambda: Tag.objects.bulk_update(tags(5, 4, 3, 2, 1), ["name"], batch_size=2),
    "a row in two batches": lambda: Tag.objects.bulk_update(
        tags(1, 2, 1), ["name"], batch_size=2
    ),
    "rows that are not there": lambda: Tag.objects.bulk_update(tags(1, 77, 2), ["name"]),
    "none that is there": lambda: Tag.objects.bulk_update(tags(77, 78), ["name"]),
    "every type": lambda: wide(FULL, {}, FULL),
    "a foreign key": lambda: Book.objects.bulk_update(
        [Book(pk=1, author_id=8), Book(pk=2, author=Author.objects.get(pk=8))], ["author"]
    ),
    "foreign keys and nulls": lambda: Book.objects.bulk_update(
        [Book(pk=1, publisher_id=2**40), Book(pk=2)], ["publisher", "published"]
    ),
    "a foreign key of nothing": lambda: Book.objects.bulk_update(
        [Book(pk=1, author_id=77)], ["author"]
    ),
    "a proxy": lambda: Bestseller.objects.bulk_update(
        [Bestseller(pk=2, pages=6), Bestseller(pk=1, pages=9)], ["pages"]
    ),
    "UUID keys": lambda: UuidKey.objects.bulk_update(
        [UuidKey(pk=uuid.UUID(int=i), name=f"n{i}") for i in (3, 1)], ["name"]
    ),
    "a child's own column": lambda: Novel.objects.bulk_update([Novel(pk=9, genre="x")], ["genre"]),
    "unique values": lambda: Unique.objects.bulk_update(
        [Unique(pk=1, key="2")], ["key"]
    ),
    "too long": lambda: wide({"char": "x" * 200}),
    "too long by blanks": lambda: Tag.objects.bulk_update([Tag(pk=1, name="x" * 60)], ["name"]),
    "digits to be rounded": both(decimal=Decimal("1.23456789012345")),
    "digits too many": both(decimal=Decimal("1e25")),
    "a numeric key": lambda: Wide.objects.bulk_update([Wide(pk=1, small=3)], ["small"]),
    "numbers of text": both(small="1", decimal="1.5", float="1", boolean="1"),
    "numbers of choices": both(small=Size.BIG),
    "JSON null": both(json=None),
    "JSON text": both(json="null"),
    "JSON": both(json={"b": 1, "a": [None]}),
    "a network": both(inet="::ffff:10.0.0.1"),
    "none of them": both(inet=None, small=None, char=None, datetime=None, json=None),
    "infinity": both(float=float("inf")),
    "the smallest": both(float=5e-324),
    "a timestamp of old": both(datetime=dt.datetime(1, 1, 2, tzinfo=dt.UTC)),
}  # fmt: skip

DJANGOS: dict[str, Callable[[], Any]] = {
    "a row twice": lambda: Tag.objects.bulk_update(tags(1, 2, 1), ["name"]),
    "a row twice, the second time as no row may be": lambda: Wide.objects.bulk_update(
        [Wide(pk=1, json="a"), Wide(pk=1, json="\0")], ["json"]
    ),
    "nothing": lambda: Tag.objects.bulk_update([], ["name"]),
    "no fields": lambda: Tag.objects.bulk_update(tags(1), []),
    "a size of nothing": lambda: Tag.objects.bulk_update(tags(1), ["name"], batch_size=0),
    "a size below": lambda: Tag.objects.bulk_update(tags(1), ["name"], batch_size=-1),
    "the key": lambda: Tag.objects.bulk_update(tags(1), ["id"]),
    "no such field": lambda: Tag.objects.bulk_update(tags(1), ["x"]),
    "no column": lambda: Book.objects.bulk_update([Book(pk=1)], ["tags"]),
    "no key": lambda: Tag.objects.bulk_update([Tag(name="x")], ["name"]),
    "an unsaved key": lambda: Book.objects.bulk_update([Book(pk=1, author=Author())], ["author"]),
    "conditions": lambda: Book.objects.filter(pages__gt=1).bulk_update(
        [Book(pk=i, title="x") for i in (1, 2)], ["title"]
    ),
    "a slice": lambda: Tag.objects.all()[:2].bulk_update(tags(1), ["name"]),
    "an expression": lambda: Book.objects.bulk_update(
        [Book(pk=1, pages=F("pages") + 1), Book(pk=2, pages=3)], ["pages"]
    ),
    "upper case": both(char=Upper(Value("x"))),
    "a key of text": lambda: Tag.objects.bulk_update(tags("1", "2"), ["name"]),
    "a key too big": lambda: Tag.objects.bulk_update(tags(2**70), ["name"]),
    "keys that are text": lambda: CharKey.objects.bulk_update([CharKey("1")], ["code"]),
    "a parent's column": lambda: Novel.objects.bulk_update([Novel(pk=9, title="x")], ["title"]),
    "both tables": lambda: Novel.objects.bulk_update(
        [Novel(pk=9, title="x", genre="y")], ["title", "genre"]
    ),
    "choices": both(char=Colour.RED),
    "subclasses": both(char=Str("x")),
    "a size of text": lambda: Tag.objects.bulk_update(tags(1), ["name"], batch_size="1"),
    "a zero below zero": both(float=-0.0),
    "a Decimal zero below zero": both(float=Decimal("-0.0")),
    "a zero below zero of text": both(float="-0.0"),
    "not a number": both(float=float("nan")),
    "a negative zero": both(decimal=Decimal("-0.0")),
    "infinite": both(decimal=Decimal("Infinity")),
    "a NUL": both(char="a\0b"),
    "a lone surrogate": both(text="\ud800"),
    "a number too big": both(small=2**15),
    "no number": both(small="x"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_joined(name: str) -> None:
    for sent in like_djangos(PLAIN[name], *MODELS, times=2):
        assert sent
        assert all(sent)


@pytest.mark.parametrize("name", DJANGOS)
def test_what_django_sends(name: str) -> None:
    assert like_djangos(DJANGOS[name], *MODELS) == [[]]


@pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning")
@settings(max_examples=60)
@given(
    st.lists(odd.filter(bool), min_size=1, max_size=4),
    st.lists(st.integers(1, 6), min_size=4, max_size=4),
    st.none() | st.integers(1, 3),
)
def test_any_values(rows: list[Any], pks: list[int], size: int | None) -> None:
    fields = sorted({name for row in rows for name in row})

    def write() -> Any:
        objs = [Wide(pk=pk, **row) for pk, row in zip(pks, rows, strict=False)]
        return Wide.objects.bulk_update(objs, fields, batch_size=size)

    rows_like_djangos(write, Wide)


def test_rows_are_locked_in_one_order() -> None:
    with mock.patch.object(updates.Join, "update", return_value=0) as patched:
        Tag.objects.bulk_update(tags(4, 1, 3), ["name"])
    *_, (keys, names) = patched.call_args.args
    places = [keys.data.index(bytes([pk])) for pk in (1, 3, 4)]
    assert places == sorted(places)
    places = [names.data.index(b"new %d" % number) for number in (1, 2, 0)]
    assert places == sorted(places)


@isolate_apps("tests.testapp")
def test_names_that_need_quotes_and_columns_of_other_names() -> None:
    class Odd(models.Model):
        key = models.AutoField(primary_key=True, db_column="k '1'")
        value = models.IntegerField(db_column="100 :1")
        other = models.CharField(max_length=5, db_column="__values")

        class Meta:
            app_label = "testapp"
            db_table = "__VALUES x"

    with table_of(Odd):
        made = [Odd.objects.create(value=i, other="o") for i in range(3)]
        for each in made:
            each.value, each.other = each.value + 10, "new"

        def write() -> Any:
            return Odd.objects.bulk_update(made, ["value", "other"])

        assert like_djangos(write, Odd) != [[]]


@isolate_apps("tests.testapp")
def test_stamps_are_not_set() -> None:
    class Stamped(Isolated):
        made = models.DateTimeField(auto_now=True)

    with table_of(Stamped):
        made = Stamped.objects.create()
        made.made = NOON
        with arrays() as sent:
            assert Stamped.objects.bulk_update([made], ["made"]) == 1
        assert sent == [2]
        assert Stamped.objects.get().made == NOON


def test_whoever_watches_sees_djangos_statement() -> None:
    with arrays() as sent:
        with connection.execute_wrapper(queries := Queries()):
            assert Tag.objects.bulk_update(tags(1, 2), ["name"]) == 2
        with CaptureQueriesContext(connection) as captured:
            assert Tag.objects.bulk_update(tags(1, 2), ["name"]) == 2
    assert sent == []
    assert any("CASE WHEN" in sql for sql, _ in queries)
    assert any("CASE WHEN" in each["sql"] for each in captured)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (SQLUpdateCompiler, "as_sql"),
        (Case, "as_sql"),
        (QuerySet, "filter"),
        (Tag._meta.get_field("name"), "get_db_prep_save"),
        (models.SlugField, "get_prep_value"),
    ],
)
def test_what_is_patched_is_called(owner: Any, name: str) -> None:
    with noted(owner, name) as called:
        assert Tag.objects.bulk_update(tags(1, 2), ["name"]) == 2
    assert called


def test_a_queryset_of_ones_own_updates() -> None:
    class Own(QuerySet[Any]):
        def update(self, **values: Any) -> int:
            return super().update(**values) + 100

    assert Own(Tag).bulk_update(tags(1, 2), ["name"]) == 102


class Sealed(models.TextField):
    """Does with an expression as with a text."""

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        return f"sealed {value is None or type(value).__name__}"


@isolate_apps("tests.testapp")
def test_a_field_that_does_not_hand_on_expressions() -> None:
    class Letter(Isolated):
        text = Sealed()

    with table_of(Letter):
        made = [Letter.objects.create(text="x") for _ in range(2)]

        def write() -> Any:
            return Letter.objects.bulk_update(made, ["text"])

        assert like_djangos(write, Letter) == [[]]
        assert "text" in explain_writes(Letter).why_django_updates


def test_a_value_that_cannot_be_prepared_breaks_the_transaction() -> None:
    with transaction.atomic():
        with pytest.raises(ValueError, match="expected a number"):
            wide({"small": "x"})
        assert connection.needs_rollback
        transaction.set_rollback(True)


def test_an_error_leaves_a_broken_transaction_as_djangos() -> None:
    def state() -> Any:
        with pytest.raises(DatabaseError), transaction.atomic():
            try:
                Unique.objects.bulk_update([Unique(pk=1, key="2")], ["key"])
            except DatabaseError:
                found = connection.needs_rollback
                raise
        return found, Unique.objects.get(pk=1).key

    with djangos():
        wanted = state()
    with arrays() as sent:
        assert state() == wanted
    assert sent == [2]


async def test_in_a_block_and_on_the_bridge() -> None:
    with arrays() as sent:
        async with new_connection():
            assert await Tag.objects.abulk_update(tags(1, 2), ["name"]) == 2
            update = Tag.objects.bulk_update
            await Tag.objects.filter(pk__lte=2).aupdate(name=F("id"))
            assert await run_sync(update, tags(3, 4)[::-1], ["name"], batch_size=1) == 2
            names = [name async for name in Tag.objects.values_list("name", flat=True)]
    assert sorted(names) == ["1", "2", "5", "new 0", "new 1"]
    assert sent == [2, 2, 2]


@override_settings(DATABASE_ROUTERS=[Router()])
def test_routers_do_not_keep_it_from_arrays() -> None:
    with arrays() as sent:
        assert Tag.objects.bulk_update(tags(1, 2), ["name"]) == 2
    assert sent == [2]

"""With `prepare_threshold` known statements are prepared by the server."""

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from django.core.management.color import no_style
from django.db import (
    DatabaseError,
    NotSupportedError,
    connection,
    connections,
    transaction,
)
from django.db.models import Count, F

from django_async_fast import new_connection, run_sync
from django_async_fast.drivers.psycopg import prepared_statements
from tests.support.describe import described, outcome
from tests.support.django_rows import djangos_rows
from tests.support.in_a_block import in_a_block
from tests.support.sql import execute
from tests.support.targets import FIVE_BOOKS, plant
from tests.testapp.models import Author, Book, Everything, Tag

pytestmark = pytest.mark.core

OFTEN = {"prepare_threshold": 1}
ON_SERVER = {"server_side_binding": True}
MOMENT = dt.datetime(2024, 2, 29, 23, 30, tzinfo=dt.UTC)
KEY = uuid.UUID(int=9)

CALLS: dict[str, Callable[[], Any]] = {
    "get": lambda: Author.objects.get(pk=1),
    "none": lambda: Author.objects.filter(pk=-1).first(),
    "big": lambda: list(Everything.objects.values("pk").filter(big__lt=2**40)),
    "out of range": lambda: list(Everything.objects.values("pk").filter(small=2**40)),
    "text": lambda: list(Book.objects.filter(title="o'neill %s \\ é")),
    "null byte": lambda: list(Book.objects.filter(title="a\0")),
    "surrogate": lambda: list(Book.objects.filter(title="\ud800")),
    "exists": lambda: Book.objects.filter(title="a").exists(),
    "count": lambda: Book.objects.filter(pages__gte=1).count(),
    "like": lambda: list(Book.objects.filter(title__icontains="1%")),
    "in": lambda: list(Book.objects.filter(pk__in=[1, 2, 2**40]).order_by("pk")),
    "uuid": lambda: list(Everything.objects.values("pk").filter(uuid=KEY)),
    "date": lambda: list(Everything.objects.values("pk").filter(date=MOMENT.date())),
    "datetime": lambda: list(Everything.objects.values("pk").filter(datetime__lte=MOMENT)),
    "float": lambda: list(Everything.objects.values("pk").filter(float=0.1)),
    "json": lambda: list(Everything.objects.values("pk").filter(json={"a": 1})),
    "join": lambda: list(Book.objects.filter(author__name="a").order_by("pk")[:2]),
    "grouped": lambda: list(
        Author.objects.annotate(n=Count("books")).filter(n__gt=0).order_by("pk")
    ),
    "values": lambda: list(Book.objects.order_by("pk").values("pk", "title")),
}  # fmt: skip
# These values psycopg writes into the text.
NOT_BOUND = {"out of range", "null byte", "surrogate", "float", "json"}


def changed(**values: Any) -> Any:
    one = Everything(small=5, big=2**40, uuid=KEY, datetime=MOMENT)
    one.save()
    for name, each in values.items():
        setattr(one, name, each)
    one.save(update_fields=list(values))
    again = Everything.objects.get(pk=one.pk)
    return [getattr(again, name) for name in values]


def deleted(*pks: int) -> Any:
    return [Tag.objects.create(name=f"new{pk}").delete() for pk in pks]


WRITES: dict[str, Callable[[], Any]] = {
    "text": lambda: changed(text="it's"),
    "save": lambda: changed(small=7, big=-(2**40), text="o'neill %s \\ é"),
    "none": lambda: changed(small=None, text=None, datetime=None, uuid=None),
    "moment": lambda: changed(datetime=MOMENT, date=MOMENT.date(), uuid=KEY),
    "boolean": lambda: changed(boolean=True) + changed(boolean=False),
    "decimal": lambda: changed(decimal=Decimal("-1.50")),
    "infinite": lambda: changed(decimal=Decimal("NaN")),
    "out of range": lambda: changed(small=2**40),
    "null byte": lambda: changed(text="a\0"),
    "float": lambda: changed(float=0.1),
    "json": lambda: changed(json={"a": None}),
    "delete": lambda: deleted(1, 2),
    "update": lambda: [
        Book.objects.filter(pages__gte=0).update(pages=F("pages") + each)
        for each in (1, 2, -3)
    ],
    "update to text": lambda: Book.objects.filter(pages__gte=0).update(title="x"),
    "delete those": lambda: Book.objects.filter(title="nothing").delete(),
    "unique": lambda: [Tag.objects.create(pk=77, name="a") for _ in "ab"],
}


@contextmanager
def connected(**options: Any) -> Iterator[None]:
    settings = connections.settings["default"]
    changed = {"OPTIONS": {**settings.get("OPTIONS", {}), **options}}
    connections["default"].close()
    del connections["default"]
    try:
        with mock.patch.dict(settings, changed):
            yield
    finally:
        connections["default"].close()
        del connections["default"]


def prepared() -> list[str]:
    return [text for (text,) in execute("SELECT statement FROM pg_prepared_statements")]


def outcomes(times: int = 6, calls: Any = CALLS) -> dict[str, Any]:
    return {
        name: [outcome(lambda call=call: described(call())) for _ in range(times)]
        for name, call in calls.items()
    }


@pytest.fixture
def rows() -> None:
    for sql in connection.ops.sequence_reset_sql(no_style(), [Author]):
        execute(sql)  # the first author's key is 1
    plant(FIVE_BOOKS)
    Everything.objects.create(
        big=5, uuid=KEY, date=MOMENT.date(), datetime=MOMENT, float=0.1, json={"a": 1}
    )


def prepared_as_djangos(calls: Any, **options: Any) -> tuple[list[str], list[str]]:
    """Return what is prepared by `calls`, also in a block; all are as Django's."""

    def here() -> Any:
        return outcomes(6, calls), prepared()

    with djangos_rows():
        expected = outcomes(1, calls)
    with connected(**options):
        (found, texts), (in_block, texts_of_block) = here(), in_a_block(here)
    for each in (found, in_block):
        for name, wanted in expected.items():
            assert each[name] == wanted * 6, name
    return texts, texts_of_block


@pytest.mark.parametrize("options", [OFTEN, ON_SERVER, OFTEN | ON_SERVER])
def test_as_django_has_them(options: dict[str, Any], rows: None) -> None:
    for texts in prepared_as_djangos(CALLS, **options):
        if "prepare_threshold" in options:
            ours = [text for text in texts if "testapp_" in text]
            assert len(ours) >= len(CALLS) - len(NOT_BOUND), ours
            assert any('"id" = $1 LIMIT 21' in text for text in ours)
        else:
            assert texts == []


def test_writes_are_as_djangos(rows: None) -> None:
    for each in prepared_as_djangos(WRITES, **OFTEN):
        for begins in ("INSERT", "UPDATE", "DELETE"):
            assert any(text.startswith(begins) for text in each), each
        for field in ("small", "text", "datetime", "boolean", "decimal"):
            assert any(f'SET "{field}" = $1' in text for text in each), field
        assert not any('SET "json"' in text for text in each)


def test_off_by_default(rows: None) -> None:
    outcomes()
    outcomes(calls=WRITES)
    assert prepared() == []


def get(pk: int) -> Any:
    return Author.objects.get(pk=pk)


def run_in(where: str, test: Callable[[], None]) -> None:
    with connected(**OFTEN):
        in_a_block(test) if where == "block" else test()


anywhere = pytest.mark.parametrize("where", ["sync", "block"])


def known_and_prepared() -> None:
    for pk in (1, 2, 1, 2, 1):
        get(pk)
    assert any("testapp_author" in text for text in prepared())


@contextmanager
def altered(admin: Any, change: str, back: str) -> Iterator[None]:
    """Alter a table, for other sessions to find out."""
    admin.execute(f"ALTER TABLE {change}")
    try:
        yield
    finally:
        admin.execute(f"ALTER TABLE {back}")


def other_type(
    admin: Any, other: str = "text", table: str = "author", column: str = "name"
) -> AbstractContextManager[None]:
    """Give a column another type."""
    change = f"testapp_{table} ALTER COLUMN {column} TYPE"
    before = "varchar(100)" if column == "name" else "bigint"
    return altered(admin, f"{change} {other}", f"{change} {before}")


@anywhere
def test_a_changed_table_is_no_error(where: str, rows: None, admin: Any) -> None:
    def test() -> None:
        known_and_prepared()
        name = get(1).name
        with other_type(admin):
            assert get(1).name == name
            for _ in range(4):
                assert get(2).pk == 2
        assert get(1).name == name

    run_in(where, test)


@anywhere
def test_a_changed_table_in_a_transaction(where: str, rows: None, admin: Any) -> None:
    def test() -> None:
        known_and_prepared()
        with other_type(admin):
            # The transaction is over, whoever asks; the next one is not.
            with pytest.raises(NotSupportedError), transaction.atomic():
                Tag.objects.exists()  # the first goes with BEGIN, as a text
                get(1)
            with transaction.atomic():
                assert get(1).pk == 1

    run_in(where, test)


@anywhere
@pytest.mark.parametrize("forget", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_a_session_that_was_reset(where: str, forget: str, rows: None) -> None:
    def test() -> None:
        for _ in range(3):  # psycopg looks at the first alone
            known_and_prepared()
            execute(forget)
            with transaction.atomic():
                assert get(1).pk == 1
        known_and_prepared()
        # Not by psycopg's cursor: nobody knows.
        raw = connections["default"].connection
        raw.wait(raw._exec_command(forget.encode()))
        assert get(2).pk == 2
        known_and_prepared()

    run_in(where, test)


async def test_a_session_that_the_pool_has_reset(rows: None) -> None:
    async def reset(connection: Any) -> None:
        await connection.set_autocommit(True)
        await connection.execute("DISCARD ALL")
        await connection.set_autocommit(False)

    pool = {"min_size": 1, "max_size": 1, "reset": reset}
    settings = connections.settings["default"]
    with mock.patch.dict(settings, OPTIONS={**OFTEN, "pool": pool}):
        for _ in range(4):
            async with new_connection():
                await run_sync(known_and_prepared)
            async with new_connection(), transaction.atomic():
                assert (await Author.objects.aget(pk=1)).pk == 1


@anywhere
def test_a_changed_table_is_no_error_of_a_write(
    where: str, rows: None, admin: Any
) -> None:
    def test() -> None:
        author = get(1)
        for _ in range(5):
            author.save()
            Tag.objects.create().delete()
        texts = prepared()
        assert any(text.startswith('UPDATE "testapp_author"') for text in texts)
        assert any(text.startswith('INSERT INTO "testapp_tag"') for text in texts)
        with other_type(admin, "integer", "tag", "id"), other_type(admin):
            author.save()
            Tag.objects.create().delete()
            with transaction.atomic():
                author.save()
                author.save()
        author.save()
        Tag.objects.create().delete()
        assert Tag.objects.filter(name="").count() == 0

    run_in(where, test)


def test_the_first_write_goes_with_its_transaction(rows: None) -> None:
    def test() -> None:
        author = get(1)
        for _ in range(5):
            with transaction.atomic():
                author.save()
        assert not any("UPDATE" in text for text in prepared())
        for _ in range(5):
            author.save()
        assert any("UPDATE" in text for text in prepared())

    run_in("block", test)


@pytest.mark.parametrize("number", ["2", "-2", "2.5", "2E+1"])
def test_a_decimal_divides_as_in_the_text(number: str, rows: None) -> None:
    def divided() -> Any:
        Everything.objects.update(decimal=F("small") / Decimal(number))
        return Everything.objects.values_list("decimal").get()

    Everything.objects.update(small=5)
    expected = divided()
    with connected(**OFTEN):
        assert [divided() for _ in range(5)] == [expected] * 5


OF_A_NAME: dict[str, Callable[[], Any]] = {
    "save": lambda: Author(pk=1, name="12").save(update_fields=["name"]),
    "insert": lambda: Author.objects.create(name="13"),
    "update": lambda: Author.objects.filter(pk=1).update(name="14"),
    "read": lambda: Author.objects.filter(name="12").exists(),
}


@anywhere
@pytest.mark.parametrize("call", OF_A_NAME.values(), ids=OF_A_NAME)
def test_a_column_of_another_kind_is_no_error(
    where: str, call: Callable[[], Any], rows: None, admin: Any
) -> None:
    """The server resolved the parameter's type when it prepared the statement."""

    def test() -> None:
        for _ in range(5):
            call()
        admin.execute("UPDATE testapp_author SET name = '1'")
        with other_type(admin, "integer USING name::integer"):
            for _ in range(6):
                call()

    run_in(where, test)


def test_what_libpq_says_itself_forgets_nothing() -> None:
    """It has no SQLSTATE: the connection is lost, and nothing is to be run again."""
    result = mock.Mock(error_field=mock.Mock(return_value=None))
    prepared = prepared_statements.Prepared()
    assert not prepared_statements.forgotten(prepared, mock.Mock(), b"name", result)


def test_what_psycopg_has_prepared_goes_first(rows: None) -> None:
    """It is deallocated with all that is there."""
    for _ in range(4):
        get(1)
    with connected(prepare_threshold=0, **ON_SERVER):
        execute("SELECT 41")
        with transaction.atomic():
            for _ in range(4):
                assert get(1).pk == 1


def test_a_statement_is_sent_once(rows: None) -> None:
    def runs() -> int:
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT sum(generic_plans + custom_plans) FROM pg_prepared_statements"
                " WHERE statement LIKE '%testapp_author%'"
            )
            return int(cursor.fetchone()[0])

    with connected(**OFTEN):
        known_and_prepared()
        before = runs()
        for times in range(1, 10):
            assert get(1).pk == 1
            assert runs() == before + times


def test_names_are_nobody_elses(rows: None) -> None:
    names = "SELECT name FROM pg_prepared_statements"
    seen: list[str] = []
    for _ in range(2):
        with connected(**OFTEN):
            known_and_prepared()
            seen += [name for (name,) in execute(names)]
    assert len({*seen}) == len(seen) > 1


def test_an_error_is_djangos(rows: None, admin: Any) -> None:
    renamed = altered(admin, "testapp_tag RENAME TO gone", "gone RENAME TO testapp_tag")
    with connected(**OFTEN):
        Tag.objects.create(pk=99, name="t")
        for _ in range(5):
            assert Tag.objects.get(pk=99).name == "t"
        with renamed, pytest.raises(DatabaseError, match="does not exist"):
            Tag.objects.get(pk=99)
        assert Tag.objects.get(pk=99).name == "t"

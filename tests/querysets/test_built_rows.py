"""What the core builds equals what Django's own iterables build, row by row."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any
from unittest import mock

import pytest
from django.db import DataError, connection, models, transaction
from django.db.models import Count, F, FilteredRelation, Prefetch, Q, Value
from django.db.models.functions import Upper
from django.test.utils import CaptureQueriesContext

from django_async_fast import alist, new_connection, run_sync
from django_async_fast.drivers.psycopg import results
from django_async_fast.querysets import whole_results
from django_async_fast.querysets.compiled import execution
from django_async_fast.querysets.streams import Stream
from tests.support.describe import Queries, described, outcome
from tests.support.forget_types import forget_types
from tests.support.sql import execute
from tests.support.without_seams import stock
from tests.testapp.models import (
    Author,
    Bestseller,
    Book,
    Everything,
    Note,
    Novel,
    OwnFromDb,
    OwnInit,
    Tag,
    UuidKey,
)

from .fifty_books import ROWS

pytestmark = [
    pytest.mark.keep_rows,
    pytest.mark.core,
    pytest.mark.usefixtures("fifty_books"),
]


QUERYSETS: dict[str, Callable[[], Any]] = {
    "plain": lambda: Book.objects.order_by("pk"),
    "one column": lambda: Author.objects.only("pk").order_by("pk"),
    "every type": lambda: Everything.objects.order_by("pk"),
    "uuid key": lambda: UuidKey.objects.all(),
    "deferred": lambda: Book.objects.defer("title", "price").order_by("pk"),
    "only": lambda: Book.objects.only("title").order_by("pk"),
    "annotated": lambda: Book.objects.annotate(n=Count("tags"), u=Upper("title")).order_by("pk"),
    "annotated with a property's name": lambda: Author.objects.annotate(pk_=F("pk")),
    "select_related": lambda: Book.objects.select_related("author", "publisher").order_by("pk"),
    "select_related deep": lambda: Book.objects.select_related("author__mentor").order_by("pk"),
    "select_related reverse": lambda: Author.objects.select_related("profile").order_by("pk"),
    "select_related child": lambda: Book.objects.select_related("novel").order_by("pk"),
    # Ordered: a cursor's plan may join the other way round.
    "select_related and only": lambda: (
        Book.objects.select_related("author").only("title", "author__name").order_by("pk")
    ),
    "filtered relation": lambda: Author.objects.annotate(
        big=FilteredRelation("books", condition=Q(books__pages__gte=400))
    )
    .select_related("big")
    .order_by("pk", "big__pk"),
    "known related": lambda: Author.objects.get(name="a0").books.order_by("pk"),
    "many to many": lambda: Tag.objects.get(name="t0").books.order_by("pk"),
    "prefetch": lambda: Author.objects.prefetch_related("books__tags").order_by("pk"),
    "prefetch to_attr": lambda: Author.objects.prefetch_related(
        Prefetch("books", Book.objects.order_by("-pk"), to_attr="works")
    ).order_by("pk"),
    "generic": lambda: Note.objects.prefetch_related("about"),
    "child": lambda: Novel.objects.all(),
    "proxy": lambda: Bestseller.objects.order_by("pk"),
    "own from_db": lambda: OwnFromDb.objects.all(),
    "own __init__": lambda: OwnInit.objects.all(),
    "extra": lambda: Book.objects.extra(select={"one": "1"}).order_by("pk"),
    "ordered by extra": lambda: Book.objects.extra(
        select={"one": "pages %% 7"}, order_by=["one", "id"]
    ),
    "union": lambda: Author.objects.filter(pk=1).union(Author.objects.filter(pk=2)),
    "distinct on": lambda: Book.objects.order_by("author_id", "pk").distinct("author_id"),
    "none": lambda: Book.objects.none(),
    "no rows": lambda: Book.objects.filter(title=""),
    "values": lambda: Book.objects.order_by("pk").values(),
    "values of relations": lambda: Book.objects.order_by("pk").values("title", "author__name"),
    "values annotated": lambda: Book.objects.values("author").annotate(n=Count("pk")).order_by("author"),
    "values json": lambda: Everything.objects.order_by("pk").values("json", "json__a"),
    "values extra": lambda: Book.objects.extra(select={"one": "1"}).values("one", "title").order_by("pk"),
    "values union": lambda: Author.objects.values("name").union(Tag.objects.values("name")).order_by("name"),
    "values_list": lambda: Book.objects.order_by("pk").values_list(),
    "values_list json": lambda: Everything.objects.order_by("pk").values_list("json", "pk"),
    "values_list flat": lambda: Book.objects.order_by("pk").values_list("title", flat=True),
    "values_list named": lambda: Book.objects.order_by("pk").values_list("title", "pages", named=True),
    "values_list expression": lambda: Book.objects.order_by("pk").values_list(Upper("title"), Value(1)),
    "dates": lambda: Book.objects.dates("published", "month"),
    "datetimes": lambda: Everything.objects.datetimes("datetime", "hour"),
}  # fmt: skip


@pytest.fixture(params=["binary", "text"])
def either_format(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test as usual, then with every result in text."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "text":
            patch.setattr(results.Decoders, "reads_binary", lambda *given: False)
            none = property(
                lambda self: {}, lambda self, value: vars(self).update(readable=value)
            )
            patch.setattr(results.Decoders, "readable", none, raising=False)
        yield request.param


@pytest.mark.usefixtures("either_format")
@pytest.mark.parametrize("name", QUERYSETS)
def test_sync_iteration_equals_djangos(name: str, without_core: Any) -> None:
    ways = (list, list, lambda queryset: list(queryset.iterator(7)))
    with without_core():
        expected = [described(way(QUERYSETS[name]())) for way in ways]
    # The second time, the types of its columns have been seen.
    assert [described(way(QUERYSETS[name]())) for way in ways] == expected


@pytest.mark.usefixtures("either_format")
@pytest.mark.parametrize("name", QUERYSETS)
async def test_async_iteration_equals_djangos(name: str, without_core: Any) -> None:
    async with new_connection():
        make = QUERYSETS[name]
        with without_core():
            expected = described(await run_sync(lambda: list(make())))
        for _ in "learning", "known":
            queryset = await run_sync(make)
            assert described([row async for row in queryset]) == expected
        for within in (nullcontext, transaction.atomic):
            async with within():
                queryset = (await run_sync(make)).aiterator(7)
                assert described([row async for row in queryset]) == expected


@pytest.fixture
def reasons(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the kind of batch, or why Django's code built it."""
    seen: list[str] = []
    call = Stream.__call__

    def recording(self: Any) -> Any:
        batch = call(self)
        if batch is not None:
            seen.append(self.reason or type(batch).__name__)
        return batch

    monkeypatch.setattr(Stream, "__call__", recording)
    fetch = whole_results.fetch

    def fetching(*args: Any) -> Any:
        batch = fetch(*args)
        seen.append(type(batch).__name__)
        return batch

    monkeypatch.setattr(whole_results, "fetch", fetching)
    monkeypatch.setattr(execution.KNOWN, "fetch", fetching)
    monkeypatch.setattr(execution.KNOWN, "reader", None)
    return seen


BY_DJANGO = {"values union"}
AS_TEXT = {"union"}


@pytest.mark.parametrize("name", sorted(set(QUERYSETS) - {"none", "no rows"}))
def test_the_core_is_on_the_main_path(name: str, reasons: list[str]) -> None:
    list(QUERYSETS[name]())
    expected = "ResultBatch"
    if name in BY_DJANGO:
        expected = "a combined query's columns are known when it has run"
    assert set(reasons) - {"ListBatch"} == {expected}


@pytest.fixture
def formats_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect the formats of results: 0 is text, 1 is binary."""
    seen: list[int] = []
    get = results.Decoders.get

    def recording(self: Any, *given: Any) -> Any:
        seen.append(given[-1])
        found = get(self, *given)
        self.readable.clear()  # else it is not asked for again
        return found

    connection.ensure_connection()
    results.decoders(connection.connection).readable.clear()
    monkeypatch.setattr(results.Decoders, "get", recording)
    return seen


@pytest.mark.parametrize("name", sorted(set(QUERYSETS) - {"none", *BY_DJANGO}))
def test_binary_where_it_means_the_same(name: str, formats_read: list[int]) -> None:
    list(QUERYSETS[name]())
    formats_read.clear()
    list(QUERYSETS[name]())
    assert set(formats_read) == {0 if name in AS_TEXT else 1}


def test_a_type_that_only_psycopg_loads_is_text(formats_read: list[int]) -> None:
    forget_types()
    execute("""
        CREATE TYPE mood AS (calm int, angry int);
        ALTER TABLE testapp_uuidkey RENAME name TO old;
        ALTER TABLE testapp_uuidkey ADD COLUMN name mood DEFAULT '(1,2)'
    """)
    try:
        for _ in "learning", "known":
            assert [each.name for each in UuidKey.objects.all()] == ["(1,2)"]
            assert [each.name for each in UuidKey.objects.iterator()] == ["(1,2)"]
        assert set(formats_read) == {0}
    finally:
        execute("""
            ALTER TABLE testapp_uuidkey DROP COLUMN name;
            ALTER TABLE testapp_uuidkey RENAME old TO name;
            DROP TYPE mood
        """)
        forget_types()


def test_a_loader_of_the_users_own_is_respected() -> None:
    from psycopg.types.numeric import FloatLoader

    connection.ensure_connection()
    list(Book.objects.all())
    connection.connection.adapters.register_loader("numeric", FloatLoader)
    try:
        assert {type(book.price) for book in Book.objects.all()} == {float}
    finally:
        connection.close()


def test_a_loader_that_is_registered_again_costs_nothing() -> None:
    from psycopg.types.numeric import FloatLoader, NumericLoader

    connection.ensure_connection()
    raw = connection.connection
    results.decoders(raw)  # from here on it is told what is registered
    made, known, numeric = [], [], 1700
    try:
        for loader in (FloatLoader, FloatLoader, NumericLoader, NumericLoader):
            raw.adapters.register_loader("numeric", loader)
            made.append(results.decoders(raw))
            known.append(made[-1].type_kinds.decodes(numeric, raw))
    finally:
        connection.close()
    assert made[0] is made[1] is not made[2] is made[3]
    assert known == [False, False, True, True]


@pytest.mark.parametrize(
    "setting",
    [
        *("DateStyle = German", "DateStyle = 'SQL, DMY'", "IntervalStyle = iso_8601"),
        *("client_encoding = LATIN1", "bytea_output = escape"),
        "TimeZone = 'Asia/Tokyo'",
    ],
)
def test_settings_of_the_session(
    setting: str, either_format: str, without_core: Any
) -> None:
    """The core reads one style; psycopg the others, or refuses them as today."""

    def read(name: str) -> Any:
        rows = Everything.objects.order_by("pk").values_list(name)
        return outcome(lambda: described(list(rows)))

    names = [field.attname for field in Everything._meta.concrete_fields]
    execute(f"SET {setting}")
    try:
        with without_core():
            expected = {name: read(name) for name in names}
        found = {name: read(name) for name in names}
    finally:
        connection.close()
    if either_format == "binary" and "Style" in setting:
        # Whatever it would be printed as, binary is read.
        refused = NotImplementedError
        found |= {name: each for name, each in expected.items() if each[0] is refused}
    assert found == expected


class Foreign:
    """A cursor of a tool that hides what it wraps."""

    def __init__(self, cursor: Any) -> None:
        self.__wrapped = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped, name)


def test_cursors_that_are_not_to_be_seen_through(
    monkeypatch: pytest.MonkeyPatch, reasons: list[str], without_core: Any
) -> None:
    queryset = Book.objects.order_by("pk")
    with without_core():
        expected = described(list(queryset.all()))
    for name in ("cursor", "chunked_cursor"):
        made = getattr(connection, name)
        monkeypatch.setattr(connection, name, lambda made=made: Foreign(made()))
    assert described(list(queryset.all())) == expected
    assert described(list(queryset.iterator(7))) == expected
    assert set(reasons) == {"TupleBatch"}


async def test_decode_errors_are_django_errors_and_lose_nothing() -> None:
    bad = Book.objects.annotate(x=Value(1)).extra()
    async with new_connection():
        with pytest.raises(DataError):
            await bad.extra(where=["1 / (pages * 0) = 1"]).aget()
        assert await Book.objects.acount() == ROWS + 1
        infinite = (
            "SELECT id, 'infinity'::timestamptz AS datetime FROM testapp_everything"
        )
        with pytest.raises(DataError):
            [each async for each in Everything.objects.raw(infinite)]
        assert await Book.objects.acount() == ROWS + 1


async def test_infinity_in_a_column_raises_in_the_loop() -> None:
    async with new_connection() as conn, transaction.atomic():
        async with conn.acursor() as cursor:
            await cursor.execute("UPDATE testapp_everything SET datetime = 'infinity'")
        with pytest.raises(DataError):
            [each async for each in Everything.objects.aiterator()]
        assert await Book.objects.acount() == ROWS + 1
        transaction.set_rollback(True)


def test_peers() -> None:
    peers = getattr(models, "FETCH_PEERS", None) or pytest.skip("fetch modes are 6.1's")
    books = list(Book.objects.fetch_mode(peers).order_by("pk"))
    with CaptureQueriesContext(connection) as queries:
        assert len({book.author.name for book in books}) == 5
    assert len(queries) == 1


async def test_server_side_binding() -> None:
    """Django then takes psycopg's own cursor, which is not to be asked in binary."""
    async with new_connection() as conn:
        with mock.patch.dict(conn.settings_dict["OPTIONS"], server_side_binding=True):
            found = await alist(Book.objects.filter(pages__gt=5).aiterator(7))
            assert len(found) == ROWS - 1
            assert len(await alist(aiter(Book.objects.all()))) == ROWS + 1


def test_a_combined_query_is_compiled_once() -> None:
    def sent() -> Queries:
        authors = Author.objects.union(Author.objects.filter(pk=1)).order_by("-pk")
        with connection.execute_wrapper(queries := Queries()):
            list(authors.values_list("name", flat=True))
        return queries

    with stock():
        wanted = sent()
    assert sent() == wanted


def test_columns_like_others_have_their_decoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(most: int, *names: str) -> list[Any]:
        few = Book.objects.extra(where=[f"pages < {most}"])  # it is never known
        return [*few.order_by("pk").values_list(*names)]

    monkeypatch.setattr(results, "SHAPES", 2)
    found = [read(most, "pk", "title") for most in (1, 9, 10**6)][-1]
    with monkeypatch.context() as patch:
        patch.delattr(results.Decoders, "get")
        assert read(10**6 + 1, "pk", "title") == found != []
    decoders = results.decoders(connection.connection)
    for names in (["pk"], ["title"], ["pages"], ["price"], ["published"]):
        assert len([read(10**6 + i, *names) for i in range(3)][-1]) == len(found)
    assert len(decoders.readable) <= 2

"""COPY out of a queryset: copy_to(), copy_chunks() and their asynchronous faces."""

import asyncio
import csv
import io
import threading
from contextlib import aclosing, nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import (
    DataError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    connection,
    transaction,
)
from django.db.models import Count, F, Value
from django.http import HttpResponse, StreamingHttpResponse
from django.test.utils import CaptureQueriesContext

from django_async_fast import (
    acopy_chunks,
    acopy_to,
    copy_chunks,
    copy_to,
    new_connection,
)
from tests.support.other_databases import other_database
from tests.support.sql import execute
from tests.support.until import until
from tests.testapp.models import Author, Book, Everything, Tag

ODD = 'Ü "quoted", 100% %s\n\ttab \\N'


@pytest.fixture
def books() -> list[Book]:
    author = Author.objects.create(name=ODD)
    other = Author.objects.create(name="", mentor=author)
    return Book.objects.bulk_create(
        [
            Book(title="a", author=author, price=Decimal("1.50"), pages=3),
            Book(title="b,b", author=other, in_print=False),
            Book(title="c\r\nc", author=other, published="2020-02-03"),
        ]
    )


@pytest.fixture
def many() -> int:
    """Rows that neither side can hold in its buffers."""
    execute(
        "INSERT INTO testapp_everything (text)"
        " SELECT i || repeat('x', 1000) FROM generate_series(1, 50000) i"
    )
    return 50_000


def written(queryset: Any, **how: Any) -> str:
    """Return what synchronous code and a block write: the same."""
    alone, in_a_block = io.BytesIO(), io.BytesIO()
    rows = copy_to(queryset, alone, **how)

    async def export() -> None:
        async with new_connection():
            assert await acopy_to(queryset.all(), in_a_block, **how) == rows
            pieces = [piece async for piece in acopy_chunks(queryset.all(), **how)]
            assert b"".join(pieces) == alone.getvalue()

    async_to_sync(export)()
    assert b"".join(copy_chunks(queryset.all(), **how)) == alone.getvalue()
    assert in_a_block.getvalue() == alone.getvalue()
    return alone.getvalue().decode()


def records(queryset: Any, **how: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(written(queryset, **how))))


# ----- what is written


def test_instances(books: list[Book]) -> None:
    header, *rows = records(Book.objects.order_by("pk"))
    assert header == [field.attname for field in Book._meta.concrete_fields]
    assert [row[1:6] for row in rows] == [
        ["a", "3", "1.50", "t", ""],
        ["b,b", "0", "0.00", "f", ""],
        ["c\r\nc", "0", "0.00", "t", "2020-02-03"],
    ]


def test_values_in_conditions_are_merged_as_psycopg_does(books: list[Book]) -> None:
    found = Book.objects.filter(author__name=ODD, title__contains="a")
    header, row = records(found.values_list("title", "author__name"))
    assert (header, row) == (["title", "author__name"], ["a", ODD])


def test_null_and_empty_text_differ(books: list[Book]) -> None:
    authors = Author.objects.filter(name="").values_list("name")
    assert written(authors, header=False) == '""\n'
    published = Book.objects.filter(title="a").values("published")
    assert written(published) == "published\n\n"


def test_related_rows_and_annotations(books: list[Book]) -> None:
    found = (
        Book.objects.filter(title="a")
        .select_related("author__mentor")
        .annotate(double=F("pages") * 2, sign=Value("%"))
        .only("title", "author__name", "author__mentor__name")
    )
    header, row = records(found)
    assert dict(zip(header, row, strict=True)) == {
        "id": str(books[0].pk),
        "title": "a",
        "author_id": str(books[0].author_id),
        "double": "6",
        "sign": "%",
        "author__id": str(books[0].author_id),
        "author__name": ODD,
        "author__mentor_id": "",
        "author__mentor__id": "",
        "author__mentor__name": "",
    }


def test_a_reverse_relation_is_named_as_in_a_lookup(books: list[Book]) -> None:
    header, *_ = records(Author.objects.select_related("profile"))
    assert header[-1] == "profile__bio"


def test_grouped_combined_sliced_and_extra(books: list[Book]) -> None:
    grouped = Book.objects.values("author__name").annotate(n=Count("pk"))
    header, *rows = records(grouped.order_by("n"))
    assert (header, rows) == (["author__name", "n"], [[ODD, "1"], ["", "2"]])
    titles = Book.objects.values("title")
    union = titles.filter(title="a").union(titles.filter(title="b,b"), all=True)
    assert sorted(records(union)) == [["a"], ["b,b"], ["title"]]
    assert records(titles.order_by("-pk")[1:2]) == [["title"], ["b,b"]]
    extra = Author.objects.filter(name="").extra(select={"one": "'%%1'"})
    header, row = records(extra)
    assert (header[0], row[0]) == ("one", "%1")


def test_nothing(books: list[Book]) -> None:
    nothing = Book.objects.none().values("title", "pages")
    assert written(nothing) == "title,pages\n"
    assert written(nothing, header=False) == ""
    assert written(Book.objects.filter(pk__in=[]).values("title")) == "title\n"


def test_the_text_format_is_copys_own(books: list[Book]) -> None:
    found = Author.objects.order_by("pk").values("name", "mentor")
    assert written(found, format="text") == (
        "name\tmentor\n"
        'Ü "quoted", 100% %s\\n\\ttab \\\\N\t\\N\n'
        f"\t{books[0].author_id}\n"
    )


def test_binary_is_read_by_the_server(books: list[Book]) -> None:
    file = io.BytesIO()
    titles = Book.objects.order_by("pk").values("title")
    assert copy_to(titles, file, format="binary") == 3
    execute("CREATE TEMPORARY TABLE copied (title text)")
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY copied FROM STDIN (FORMAT binary)") as copy,
    ):
        copy.write(file.getvalue())
    assert execute("SELECT title FROM copied") == [(book.title,) for book in books]
    execute("DROP TABLE copied")


def test_it_is_utf8_whatever_the_session_is(books: list[Book]) -> None:
    execute("SET client_encoding TO latin1")
    try:
        file = io.StringIO()
        copy_to(Author.objects.filter(name=ODD).values("name"), file)
        assert file.getvalue().startswith('name\n"Ü ""quoted""')
    finally:
        connection.close()


def test_an_error_of_the_query_is_djangos(books: list[Book]) -> None:
    broken = Book.objects.annotate(x=1 / (F("pages") - 3)).values("x")
    with pytest.raises(DataError, match="division by zero"):
        copy_to(broken, io.BytesIO())
    assert Book.objects.count() == 3


# ----- where it is written


class Awaited(io.BytesIO):
    """A file whose `write()` is a coroutine function."""

    async def write(self, data: bytes) -> int:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().write(data)


async def test_files(books: list[Book], tmp_path: Path) -> None:
    names = Book.objects.order_by("pk").values("title")
    expected = 'title\na\n"b,b"\n"c\r\nc"\n'
    for path in (tmp_path / "a.csv", str(tmp_path / "b.csv")):
        async with new_connection():
            assert await acopy_to(names.all(), path) == 3
        assert Path(path).read_bytes().decode() == expected
    text, response, awaited = io.StringIO(newline=""), HttpResponse(), Awaited()
    for block in (new_connection, nullcontext):
        for file in (text, response, awaited):
            async with block():
                await acopy_to(names.all(), file)
    assert text.getvalue() == expected * 2
    assert response.content.decode() == awaited.getvalue().decode() == expected * 2


def test_a_file_that_cannot_be(books: list[Book], tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="text mode"):
        copy_to(Book.objects.all(), io.StringIO(), format="binary")
    with pytest.raises(FileNotFoundError):
        copy_to(Book.objects.all(), tmp_path / "nowhere" / "a.csv")
    with pytest.raises(ValueError, match="csv, text, binary"):
        copy_to(Book.objects.all(), io.BytesIO(), format="xml")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="RawQuerySet"):
        copy_to(Book.objects.raw("SELECT 1"), io.BytesIO())  # type: ignore[arg-type]
    assert Book.objects.count() == 3


class Full(io.BytesIO):
    def write(self, data: Any) -> int:
        raise OSError("no space left")


async def test_a_file_that_is_full_spoils_no_transaction(many: int) -> None:
    async with new_connection(), transaction.atomic():
        with pytest.raises(OSError, match="no space"):
            await acopy_to(Everything.objects.all(), Full())
        assert await Everything.objects.acount() == many


def test_a_full_file_in_synchronous_code(many: int) -> None:
    with transaction.atomic():
        Everything.objects.create(text="new")
        with pytest.raises(OSError, match="no space"):
            copy_to(Everything.objects.all(), Full())
        assert Everything.objects.count() == many + 1


def test_progress_is_told_in_rows(many: int) -> None:
    told: list[int] = []
    assert copy_to(Everything.objects.all(), io.BytesIO(), progress=told.append) == many
    assert told == sorted(told)
    assert told[-1] == many
    assert len(told) > 500  # 50 MB, in pieces of 64 KB


def test_no_copy_where_the_database_has_none(tmp_path: Path) -> None:
    with other_database("sqlite", tmp_path) as alias:
        file = io.BytesIO()
        with pytest.raises(NotSupportedError, match=r"SQLite: use iterator\(\)"):
            copy_to(Tag.objects.using(alias), file)


# ----- in pieces


def refused() -> Any:
    return pytest.raises(InterfaceError, match="A COPY is under way")


async def begun() -> Any:
    """Return the pieces of a COPY that is under way."""
    pieces = acopy_chunks(Everything.objects.all())
    await anext(pieces)
    return pieces


async def test_a_reader_who_takes_its_time_holds_up_the_server(
    many: int, admin: Any
) -> None:
    async with new_connection() as conn:
        pieces = acopy_chunks(Everything.objects.all())
        size = len(await anext(pieces)) + len(await anext(pieces))
        assert size < 3 * 64 * 1024
        pid = conn.connection.info.backend_pid

        event = "SELECT wait_event FROM pg_stat_activity WHERE pid = %s"
        await until(lambda: admin.execute(event, [pid]).fetchone() == ("ClientWrite",))
        await pieces.aclose()
        assert await Everything.objects.acount() == many


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_it_can_be_left(many: int, in_transaction: bool) -> None:
    async with new_connection() as conn:
        async with transaction.atomic() if in_transaction else nullcontext():
            if in_transaction:
                await Everything.objects.acreate(text="new")
            pid = conn.connection and conn.connection.info.backend_pid
            async for _ in acopy_chunks(Everything.objects.all()):
                break
            count = many + in_transaction
            assert await Everything.objects.acount() == count
            async with aclosing(acopy_chunks(Everything.objects.all())) as pieces:
                await anext(pieces)
            assert await Everything.objects.acount() == count
            assert pid in (None, conn.connection.info.backend_pid)
        assert await Everything.objects.acount() == count


async def test_the_readers_own_statement_is_refused(many: int) -> None:
    async with new_connection():
        pieces = await begun()
        for _ in range(2):
            with refused():
                await Everything.objects.acount()
        with refused():
            async with transaction.atomic():
                pass
        rest = [len(piece) async for piece in pieces]
        assert sum(rest) > many * 1000
        assert await Everything.objects.acount() == many


def test_the_readers_own_statement_in_synchronous_code(many: int) -> None:
    pieces = copy_chunks(Everything.objects.all())
    next(pieces)
    with refused():
        Everything.objects.count()
    with refused(), transaction.atomic():
        pass
    pieces.close()
    assert Everything.objects.count() == many


async def test_other_tasks_wait(many: int) -> None:
    async with new_connection():
        pieces = await begun()
        other = asyncio.create_task(Everything.objects.acount())
        for _ in range(3):
            await anext(pieces)
        assert not other.done()
        await pieces.aclose()
        assert await other == many


async def test_a_copy_is_a_statement_of_a_unit(books: list[Book]) -> None:
    files = [io.BytesIO() for _ in range(5)]
    async with new_connection():
        copies = [acopy_to(Book.objects.all(), file) for file in files]
        counts = [Book.objects.acount() for _ in files]
        assert await asyncio.gather(*copies, *counts) == [3] * 10
    assert len({file.getvalue() for file in files}) == 1


async def test_the_block_ends_meanwhile(many: int) -> None:
    async with new_connection():
        pieces = await begun()
    with pytest.raises(InterfaceError, match="has been given back"):
        await anext(pieces)
    async with new_connection():
        assert await Everything.objects.acount() == many


async def test_the_session_is_killed(many: int, admin: Any) -> None:
    async with new_connection() as conn:
        pieces = await begun()
        pid = conn.connection.info.backend_pid
        admin.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(OperationalError):
            async for _ in pieces:
                pass
        assert await Everything.objects.acount() == many


# ----- where it runs


async def test_outside_of_a_block(many: int) -> None:
    names = Everything.objects.order_by("pk").values_list("text")
    expected = await sync_to_async(lambda: b"".join(copy_chunks(names.all())))()
    assert b"".join([piece async for piece in acopy_chunks(names.all())]) == expected
    file = io.BytesIO()
    assert await acopy_to(names.all(), file) == many
    assert file.getvalue() == expected
    for _ in range(2):
        async for _ in acopy_chunks(names.all()):
            break
    assert await Everything.objects.acount() == many


async def test_in_a_thread_of_a_block(books: list[Book]) -> None:
    def export() -> bytes:
        assert threading.current_thread() is not threading.main_thread()
        names, file = Author.objects.values("name"), io.BytesIO()
        assert copy_to(names, file) == 3
        assert b"".join(copy_chunks(names.all())) == file.getvalue()
        return file.getvalue()

    async with new_connection(), transaction.atomic():
        await Author.objects.acreate(name="uncommitted")
        assert b"uncommitted" in await sync_to_async(export)()


async def test_a_streaming_response(many: int) -> None:
    async with new_connection():
        pieces = acopy_chunks(Everything.objects.values("text"))
        sizes = [len(piece) async for piece in StreamingHttpResponse(pieces)]
    assert sum(sizes) > many * 1000


async def test_who_watches_sees_it(books: list[Book]) -> None:
    async with new_connection() as conn:
        await conn.aensure_connection()
        with CaptureQueriesContext(conn) as queries:
            await acopy_to(Book.objects.filter(pages=3), io.BytesIO())
    (query,) = queries.captured_queries
    assert query["sql"].startswith("COPY (SELECT")
    assert '"pages" = 3' in query["sql"]


async def test_a_cursors_copy_in_debug_mode(books: list[Book]) -> None:
    async with new_connection() as conn:
        await conn.aensure_connection()
        conn.force_debug_cursor = True
        async with conn.acursor() as cursor:
            async with cursor.copy("COPY testapp_author TO STDOUT") as copy:
                assert [piece async for piece in copy]
            with refused():
                async with cursor.copy("COPY testapp_author TO STDOUT"):
                    await Author.objects.acount()

"""What a project may set for SQLite, and other processes beside this one."""

import asyncio
import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models import F, Func, StdDev, TextField, Value, Variance
from django.db.models.functions import (
    MD5,
    Collate,
    ExtractWeekDay,
    LPad,
    Now,
    Power,
    Sign,
    TruncMonth,
)

from django_async_fast import async_connections, new_connection, run_sync
from tests.support.other_databases import OPTIONS, names, other_database
from tests.support.signals import receiving
from tests.testapp.models import Author, Book, Tag


@pytest.fixture
def file(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """An alias in a file, with the OPTIONS that a test is given."""
    monkeypatch.setitem(OPTIONS, "file", getattr(request, "param", {}))
    with other_database("file", tmp_path) as alias:
        yield alias


async def pragma(alias: str, name: str) -> Any:
    async with async_connections[alias].acursor() as cursor:
        await cursor.execute(f"PRAGMA {name}")
        return (await cursor.fetchone())[0]


EXCLUSIVE = {"transaction_mode": "EXCLUSIVE"}


@pytest.mark.parametrize("file", [EXCLUSIVE], indirect=True)
async def test_whoever_reads_waits_for_an_exclusive_transaction(file: str) -> None:
    inside, done = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with new_connection(file), transaction.atomic(using=file):
            inside.set()
            await Tag.objects.using(file).acreate(name="a")
            await done.wait()

    writing = asyncio.create_task(write())
    await inside.wait()

    async def read() -> list[str]:
        async with new_connection(file):
            return await names(file)

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.02)
    assert not reading.done()
    done.set()
    assert await reading == ["a"]
    await writing


INIT = {
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
    "PRAGMA recursive_triggers=ON; CREATE TEMP TABLE own (x)"
}


@pytest.mark.parametrize("file", [INIT], indirect=True)
async def test_the_init_command_is_run_once_for_each_connection(file: str) -> None:
    """A second CREATE of the same name would fail."""
    for _ in range(2):
        async with new_connection(file):
            assert await pragma(file, "journal_mode") == "wal"
            assert await pragma(file, "recursive_triggers") == 1
            assert await pragma(file, "foreign_keys") == 1
            async with new_connection(file):
                assert await pragma(file, "synchronous") == 1


def _functions(alias: str) -> list[Any]:
    books = Book.objects.using(alias).order_by("pk")
    texts = {"h": MD5("title"), "l": LPad("title", 5, Value("-")), "s": Sign("pages")}
    return [
        [*books.filter(title__regex="^b[0-2]$").values_list("title", flat=True)],
        [*books.filter(title__iregex="^B").values_list("title", flat=True)],
        [*books.annotate(**texts).values_list("h", "l", "s")],
        [*books.annotate(d=ExtractWeekDay("published")).values_list("d", flat=True)],
        [*books.annotate(m=TruncMonth("published")).values_list("m", flat=True)],
        [*books.annotate(p=Power("pages", 2)).values_list("p", flat=True)],
        [*books.filter(published__lt=Now()).values_list("pk", flat=True)],
        books.aggregate(a=StdDev("pages"), b=Variance("pages")),
        [*books.annotate(x=F("pages").bitxor(3)).values_list("x", flat=True)],
        [
            *books.annotate(later=F("published") + dt.timedelta(days=1)).values_list(
                "later", flat=True
            )
        ],
    ]


def _fill(alias: str) -> None:
    author = Author.objects.using(alias).create(name="A")
    for i in range(4):
        Book.objects.using(alias).create(
            title=f"b{i}",
            pages=i,
            price=Decimal(i),
            published=dt.date(2020, 1 + i, 1 + i),
            author=author,
        )


async def test_functions_of_djangos(file: str) -> None:
    async with new_connection(file):
        await run_sync(_fill, file)

    def outside() -> list[Any]:
        try:
            return _functions(file)
        finally:
            connections[file].close()

    wanted = await asyncio.to_thread(outside)
    for _ in range(3):
        async with new_connection(file):
            assert await run_sync(_functions, file) == wanted


async def test_functions_and_collations_of_the_projects(file: str) -> None:
    """They are registered when a connection is opened, and are there in each block."""

    def register(connection: Any, **signal: Any) -> None:
        if connection.alias == file:
            raw = connection.connection
            raw.create_collation("backwards", lambda a, b: (a < b) - (a > b))
            raw.create_function("twice", 1, lambda text: text * 2, deterministic=True)

    with receiving(register):
        for round_ in range(3):
            async with new_connection(file):
                tags = Tag.objects.using(file)
                if not round_:
                    for name in "bac":
                        await tags.acreate(name=name)
                ordered = tags.order_by(Collate("name", "backwards"))
                assert [tag.name async for tag in ordered] == ["c", "b", "a"]
                twice = Func(F("name"), function="twice", output_field=TextField())
                found = ordered.annotate(twice=twice).values_list("twice", flat=True)
                assert [text async for text in found] == ["cc", "bb", "aa"]


BLOCKS = """
import asyncio, sys
from django.conf import settings
import django

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": sys.argv[1],
            "OPTIONS": {"timeout": 60, "transaction_mode": "IMMEDIATE"},
        }
    },
    INSTALLED_APPS=["django_async_fast"],
)
django.setup()
from django.db import connection, transaction
from django_async_fast import new_connection, run_sync


def add():
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT name FROM testapp_publisher WHERE id = 1")
        number = int(cursor.fetchone()[0])
        cursor.execute(
            "UPDATE testapp_publisher SET name = %s WHERE id = 1", [str(number + 1)]
        )


async def one():
    for _ in range(5):
        async with new_connection():
            await run_sync(add)


async def main():
    await asyncio.gather(*[one() for _ in range(4)])


asyncio.run(main())
"""

WAL = {"init_command": "PRAGMA journal_mode=WAL"}


@pytest.mark.parametrize("file", [{}, WAL], indirect=True)
async def test_blocks_of_several_processes_lose_nothing(file: str) -> None:
    async with new_connection(file), async_connections[file].acursor() as cursor:
        await cursor.execute("INSERT INTO testapp_publisher (id, name) VALUES (1, '0')")
    path = str(connections.settings[file]["NAME"])
    processes = [
        subprocess.Popen([sys.executable, "-c", BLOCKS, path]) for _ in range(3)
    ]
    try:
        ended = [await asyncio.to_thread(process.wait) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert ended == [0, 0, 0]
    async with new_connection(file), async_connections[file].acursor() as cursor:
        await cursor.execute("SELECT name FROM testapp_publisher")
        assert await cursor.fetchone() == ("60",)

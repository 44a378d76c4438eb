"""What a developer is told: refused queries, and in debug mode threads and stalls.

The numbers are those of the failures in tests/faults.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import SyncToAsync, iscoroutinefunction, sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import InterfaceError
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.signals import post_save
from django.http import HttpResponse
from django.test import AsyncClient
from django.urls import path
from django.utils.functional import cached_property

from django_async_fast import afetch_related, alist, bridge, new_connection, run_sync
from django_async_fast.bridge import stalls, workers
from tests.support.backend_pids import backend_pid
from tests.support.signals import receiving
from tests.testapp.models import Author, Book, Note, Novel, Profile, Publisher, Tag

DJANGOS = "You cannot call this from an async context - use a thread or sync_to_async."

Start = Callable[[], None]
Told = Callable[[str], list[str]]


@pytest.fixture(params=["DEBUG", "the loop's"])
def debug(request: pytest.FixtureRequest, settings_override: Any) -> Iterator[Start]:
    """Call it on the loop, before the block, to be in debug mode."""
    if request.param == "DEBUG":
        settings_override(DEBUG=True)
        start: Start = lambda: None  # noqa: E731
    else:
        start = lambda: asyncio.get_running_loop().set_debug(True)  # noqa: E731
    with mock.patch.object(workers, "timed_step", None):
        yield start


def line_of(function: Callable[..., Any], offset: int) -> str:
    assert isinstance(function, FunctionType)
    return f"{__file__}:{function.__code__.co_firstlineno + offset}"


# ----- F31: threads


def synchronous(request: Any) -> HttpResponse:
    return HttpResponse(str(backend_pid()))


async def asynchronous(request: Any) -> HttpResponse:
    own = await run_sync(backend_pid)
    return HttpResponse(str(own == await sync_to_async(backend_pid)()))


urlpatterns = [path("synchronous", synchronous), path("asynchronous", asynchronous)]


async def test_f31_djangos_handler_keeps_its_threads_connections(
    settings_override: Any,
) -> None:
    middleware = "django_async_fast.middleware.ConnectionMiddleware"
    settings_override(ROOT_URLCONF=__name__, MIDDLEWARE=[middleware])
    settings_override(ALLOWED_HOSTS=["*"])
    stock = str(await sync_to_async(backend_pid)()).encode()
    assert (await AsyncClient().get("/synchronous")).content == stock
    assert (await AsyncClient().get("/asynchronous")).content == b"True"


def test_f31_the_seam_is_a_coroutine_function() -> None:
    # Servers look for one in `__call__` before they call an application.
    assert iscoroutinefunction(SyncToAsync.__call__)
    assert iscoroutinefunction(sync_to_async(len).__call__)


# ----- F34: code that blocks the loop


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    """Return what has been logged about the loop under a line of this file.

    A busy machine can hold up any step: what other tests do is not asked about.
    """
    caplog.set_level(logging.WARNING, "django_async_fast")
    return lambda name: [
        record.getMessage()
        for record in caplog.records
        if record.name == "django_async_fast" and name in record.getMessage()
    ]


def slow() -> None:
    time.sleep(0.25)


def slow_in_a_library() -> None:
    threading.Event().wait(0.25)


async def in_a_block(function: Callable[[], None]) -> None:
    async with new_connection():
        await run_sync(function)


async def test_f34_the_frame_is_named(debug: Start, told: Told) -> None:
    debug()
    await in_a_block(slow)
    (message,) = told("s: slow (")
    assert f"s: slow ({line_of(slow, 1)}), under" in message
    assert f"the await at {line_of(in_a_block, 2)}." in message
    assert "sync_to_async()" in message


async def test_f34_the_users_frame_and_the_librarys(debug: Start, told: Told) -> None:
    debug()
    await in_a_block(slow_in_a_library)
    (message,) = told("slow_in_a_library (")
    assert f": slow_in_a_library ({line_of(slow_in_a_library, 1)}), in " in message
    assert threading.__file__ in message


async def test_f34_a_slow_receiver(debug: Start, told: Told) -> None:
    def mail(**kwargs: Any) -> None:
        time.sleep(0.25)

    debug()
    with receiving(mail, post_save, sender=Tag):
        async with new_connection():
            await Tag.objects.acreate(name="a")
    (message,) = told("mail (")
    assert f"mail ({line_of(mail, 1)})" in message


async def test_f34_what_holds_the_gil_is_timed_too(
    debug: Start, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    debug()
    monkeypatch.setattr(stalls, "_sample", lambda *args: None)
    await in_a_block(slow)
    assert len(told("holds the GIL")) == 1


async def test_f34_waits_are_not_blocking(debug: Start, told: Told) -> None:
    debug()
    asyncio.get_running_loop().slow_callback_duration = 0.4
    async with new_connection() as conn, conn.acursor() as cursor:
        await cursor.execute("SELECT pg_sleep(0.5)")
    assert told("") == []


async def test_f34_the_limit_is_the_loops(debug: Start, told: Told) -> None:
    debug()
    asyncio.get_running_loop().slow_callback_duration = 5.0
    await in_a_block(slow)
    assert told("slow (") == []


async def test_f34_steps_within_steps(debug: Start, told: Told) -> None:
    """A coroutine driven by hand on the bridge begins a step within a step."""

    async def inner() -> None:
        await bridge.run(slow)

    def outer() -> None:
        loop = bridge.current_loop()
        asyncio.events._set_running_loop(loop)
        try:
            with pytest.raises(StopIteration):
                inner().send(None)
        finally:
            asyncio.events._set_running_loop(None)
        slow()

    debug()
    await in_a_block(outer)
    assert len(told("s: slow (")) == 2
    assert stalls._steps == {}


async def test_f34_nothing_is_timed_without_debug_mode(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "timed_step", None)
    await in_a_block(slow)
    assert workers.timed_step is None
    assert told("") == []
    # In a process where another loop is in debug mode.
    monkeypatch.setattr(workers, "timed_step", stalls._timed)
    await in_a_block(slow)
    assert told("") == []


# ----- F35: queries that nobody can await


number = cached_property(lambda author: author.books.count())
number.__set_name__(Author, "number")

# What is read of the world -> what the message names, and its three ways out.
LAZY: dict[str, tuple[Callable[[Any], Any], str, list[str]]] = {}


def lazy(name: str, what: str, *ways: str) -> Callable[[Any], Any]:
    def register(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
        LAZY[name] = read, what, [*ways, "await run_sync("]
        return read

    return register


def joined(name: str) -> tuple[str, str]:
    return f".select_related('{name}')", f"afetch_related(instance, '{name}')"


def prefetched(name: str) -> tuple[str, str]:
    return f".prefetch_related('{name}')", f"afetch_related(instance, '{name}')"


def managed(name: str) -> tuple[str, str]:
    return "`async for`", f"afetch_related(instance, '{name}')"


def deferred(name: str) -> tuple[str, str]:
    return "`defer()`", f"arefresh_from_db(fields=['{name}'])"


PLAIN = "the method that begins with `a`", "alist(queryset)"

lazy("foreign key", "Book.author", *joined("author"))(lambda w: w.book.author)
lazy("inherited", "Novel.author", *joined("author"))(lambda w: w.novel.author)
lazy("one to one", "Profile.author", *joined("author"))(lambda w: w.profile.author)
lazy("reverse one to one", "Author.profile", *joined("profile"))(
    lambda w: w.author.profile
)
lazy("child", "Book.novel", *joined("novel"))(lambda w: w.parent.novel)
lazy("generic", "Note.about", *prefetched("about"))(lambda w: w.note.about)
lazy("deferred", "Book.title", *deferred("title"))(lambda w: w.deferred.title)
lazy("deferred key", "Book.author_id", *deferred("author_id"))(
    lambda w: w.deferred.author
)
lazy("reverse foreign key", "Author.books", *managed("books"))(
    lambda w: list(w.author.books.all())
)
lazy("its filter", "Author.books", *managed("books"))(
    lambda w: w.author.books.filter(pages=1).first()
)
lazy("its count", "Author.books", *managed("books"))(lambda w: w.author.books.count())
lazy("many to many", "Book.tags", *managed("tags"))(lambda w: list(w.book.tags.all()))
lazy("reverse many to many", "Tag.books", *managed("books"))(
    lambda w: w.tag.books.exists()
)
lazy("generic relation", "Note objects", *PLAIN)(lambda w: list(w.book.notes.all()))
lazy("one of two", "Author objects", *PLAIN)(
    lambda w: list(Author.objects.filter(books=w.book))
)
lazy("property", "Author.books", *managed("books"))(lambda w: number.__get__(w.author))
lazy("queryset", "Book objects", *PLAIN)(lambda w: bool(Book.objects.values("pk")))
lazy("stream", "Book objects", *PLAIN)(lambda w: next(Book.objects.iterator()))
lazy("raw", "Book objects", *PLAIN)(
    lambda w: list(Book.objects.raw("SELECT * FROM testapp_book"))
)
lazy("save", "Tag objects", *PLAIN)(lambda w: w.tag.save())


class Targets:
    """One object of each kind, as it comes from the database."""

    def __init__(self) -> None:
        author = Author.objects.create(name="a")
        publisher = Publisher.objects.create(name="p")
        values = {"title": "t", "author": author, "publisher": publisher}
        book = Book.objects.create(**values)
        Novel.objects.create(**values)
        Profile.objects.create(author=author)
        Note.objects.create(text="n", about=book)
        book.tags.create(name="t")
        self.author, self.novel = Author.objects.get(), Novel.objects.get()
        self.book = Book.objects.get(pk=book.pk)
        self.parent = Book.objects.get(pk=self.novel.pk)
        self.deferred = Book.objects.only("pages").get(pk=book.pk)
        self.note, self.profile = Note.objects.get(), Profile.objects.get()
        self.tag = Tag.objects.get()
        _ = self.book.notes  # its content type is read where it is touched first


@pytest.mark.parametrize("name", LAZY)
async def test_f35_a_refused_query_is_named(name: str) -> None:
    read, what, ways = LAZY[name]
    asked: list[Any] = []
    async with new_connection():
        world = await run_sync(Targets)
        with (
            mock.patch("psycopg.Cursor.execute", asked.append),
            pytest.raises(SynchronousOnlyOperation) as refused,
        ):
            read(world)
        assert asked == []
        message = str(refused.value)
        assert f"{what} " in message
        for way in ways:
            assert way in message
        # As a function on the bridge the same is fine.
        await run_sync(read, world)


@pytest.mark.parametrize("name", ["foreign key", "many to many", "deferred"])
async def test_f35_the_ways_out(name: str) -> None:
    read = LAZY[name][0]
    async with new_connection():
        world = await run_sync(Targets)
        expected = await run_sync(read, world)
        book = Book.objects.filter(pk=world.book.pk)
        world.book = await book.aget()
        world.deferred = await book.only("pages").aget()
        await afetch_related(world.book, "author", "tags")
        await world.deferred.arefresh_from_db(fields=["title"])
        assert read(world) == expected
        world.book = await book.select_related("author").aget()
        assert world.book.author == (await alist(Author.objects.all()))[0]


async def test_f35_what_else_is_refused() -> None:
    async with new_connection() as conn:
        with pytest.raises(SynchronousOnlyOperation) as refused:
            MigrationRecorder(conn).has_table()
        assert str(refused.value).startswith(DJANGOS)
        assert "`await run_sync(function, ...)`" in str(refused.value)


async def test_f35_outside_of_a_block_it_is_djangos() -> None:
    async def outlives() -> None:
        await ended.wait()
        with pytest.raises(InterfaceError, match="has ended"):
            Book.objects.count()

    ended = asyncio.Event()
    async with new_connection():
        task = asyncio.create_task(outlives())
    ended.set()
    await task
    with pytest.raises(SynchronousOnlyOperation) as refused:
        Book.objects.count()
    assert str(refused.value) == DJANGOS

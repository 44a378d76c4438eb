"""Where a block ends: outside of it everything is Django's, and misuse is told."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
from django.db import (
    InterfaceError,
    OperationalError,
    connections,
    transaction,
)
from django.db.models.signals import post_save
from django.db.utils import ConnectionDoesNotExist

from django_async_fast import (
    afetch_related,
    async_connections,
    bridge,
    checks,
    new_connection,
    run_sync,
)
from django_async_fast.connections import lazy_wrapper
from django_async_fast.drivers.psycopg import requirements
from tests.support.backend_pids import abackend_pid, backend_pid
from tests.testapp.models import Author, Book, CountsSaves, Publisher, Tag, Unique

# ----- without a block


@pytest.fixture
def _disconnected() -> Iterator[None]:
    yield
    connections.close_all()


@pytest.mark.usefixtures("_disconnected")
class TestWithoutABlock:
    def test_async_calls_use_the_callers_connection(self) -> None:
        assert async_to_sync(run_sync)(backend_pid) == backend_pid()

    def test_async_calls_see_the_callers_transaction(self) -> None:
        async def find() -> tuple[Author, list[Author], list[Author]]:
            one = await Author.objects.aget(name="uncommitted")
            some = [author async for author in Author.objects.all()]
            return one, some, [author async for author in Author.objects.aiterator()]

        async def create() -> None:
            await Author.objects.acreate(name="rolled back too")

        with pytest.raises(ZeroDivisionError), transaction.atomic():
            author = Author.objects.create(name="uncommitted")
            assert async_to_sync(find)() == (author, [author], [author])
            async_to_sync(create)()
            assert Author.objects.count() == 2
            raise ZeroDivisionError
        assert Author.objects.count() == 0

    @pytest.mark.parametrize(("own_connection", "seen"), [(True, 1), (False, 2)])
    def test_the_programs_of_dep_9(self, own_connection: bool, seen: int) -> None:
        row = Unique.objects.create(key="k", value=1)
        printed = []

        async def print_value(m: Unique) -> None:
            if own_connection:
                async with new_connection():
                    await m.arefresh_from_db()
            else:
                await m.arefresh_from_db()
            printed.append(m.value)

        with transaction.atomic():
            Unique.objects.update(value=2)
            async_to_sync(print_value)(row)
        assert printed == [seen]

    def test_on_commit_with_a_coroutine_function(self) -> None:
        seen = []

        async def callback() -> None:
            seen.append(await Author.objects.acount())

        with transaction.atomic():
            transaction.on_commit(callback)
            Author.objects.create(name="a")
            assert seen == []
        assert seen == [1]

    async def test_run_sync_is_a_thread(self) -> None:
        assert await run_sync(backend_pid) == await sync_to_async(backend_pid)()

    async def test_synchronous_code_on_the_loop_is_refused(self) -> None:
        with pytest.raises(SynchronousOnlyOperation):
            Author.objects.count()

    async def test_there_is_no_asynchronous_connection(self) -> None:
        with pytest.raises(InterfaceError, match="async with new_connection"):
            async_connections["default"]

    async def test_async_atomic_needs_a_block(self) -> None:
        with pytest.raises(transaction.TransactionManagementError, match="new_conn"):
            async with transaction.atomic():
                pytest.fail("entered")

    async def test_an_atomic_coroutine_function_needs_a_block(self) -> None:
        @transaction.atomic
        async def work() -> None:
            pytest.fail("called")

        with pytest.raises(transaction.TransactionManagementError, match="new_conn"):
            await work()


# ----- from elsewhere


async def test_a_block_has_a_connection_of_its_own() -> None:
    outer = await sync_to_async(backend_pid)()
    async with new_connection():
        first = await abackend_pid()
        assert await run_sync(backend_pid) == first
        async with new_connection():
            second = await abackend_pid()
        assert await abackend_pid() == first
    assert len({outer, first, second}) == 3
    assert await sync_to_async(backend_pid)() == outer


async def test_a_block_is_invisible_from_other_loops() -> None:
    async def elsewhere() -> tuple[int, int, int]:
        count = await Author.objects.acount()
        with pytest.raises(InterfaceError):
            async_connections["default"]
        async with new_connection():
            await sync_to_async(connections.close_all)()
            return count, await Author.objects.acount(), await abackend_pid()

    async with new_connection(), transaction.atomic():
        await Author.objects.acreate(name="uncommitted")
        # The thread inherits the context variable, but neither loop nor connection.
        context = contextvars.copy_context()
        before, inside, other = await asyncio.to_thread(
            context.run, asyncio.run, elsewhere()
        )
        assert (before, inside) == (0, 0)
        assert other != await abackend_pid()


def test_a_block_is_invisible_from_another_loop_of_its_thread() -> None:
    async def elsewhere() -> int:
        with pytest.raises(InterfaceError, match="async with new_connection"):
            async_connections["default"]
        return await Author.objects.acount()

    context = contextvars.copy_context()
    block = new_connection()
    with asyncio.Runner() as one, asyncio.Runner() as another:
        one.run(block.__aenter__(), context=context)
        used = one.run(abackend_pid(), context=context)
        assert another.run(elsewhere(), context=context) == 0
        assert one.run(abackend_pid(), context=context) == used
        one.run(block.__aexit__(), context=context)
    connections.close_all()


# ----- what users wrote runs


async def test_a_users_save_runs_once() -> None:
    async with new_connection():
        instance = CountsSaves(name="a")
        await instance.asave()
        assert instance.saves == 1
        assert (await CountsSaves.objects.acreate(name="b")).saves == 1
        got, created = await CountsSaves.objects.aget_or_create(name="c")
        assert (got.saves, created) == (1, True)
        got, created = await CountsSaves.objects.aupdate_or_create(
            name="c", defaults={"name": "d"}
        )
        assert (got.saves, created) == (2, False)
        pk = got.pk
        await got.adelete()
        assert CountsSaves.deleted[-1] == pk
        assert await CountsSaves.objects.acount() == 2


@pytest.fixture
def receivers() -> Iterator[list[int]]:
    """Receivers that write: yield the connections that they wrote on."""
    pids: list[int] = []

    def receiver(instance: Any, **kwargs: Any) -> None:
        Tag.objects.create(name=f"sync-{instance.name}")
        pids.append(backend_pid())

    async def areceiver(instance: Any, **kwargs: Any) -> None:
        await Tag.objects.acreate(name=f"async-{instance.name}")
        pids.append(await abackend_pid())

    post_save.connect(receiver, sender=Author)
    post_save.connect(areceiver, sender=Author)
    yield pids
    post_save.disconnect(receiver, sender=Author)
    post_save.disconnect(areceiver, sender=Author)


async def test_receivers_are_in_the_transaction(receivers: list[int]) -> None:
    async with new_connection():
        with pytest.raises(ZeroDivisionError):
            async with transaction.atomic():
                await Author.objects.acreate(name="a")
                names = Tag.objects.order_by("name").values_list("name", flat=True)
                assert [n async for n in names] == ["async-a", "sync-a"]
                raise ZeroDivisionError
        assert receivers == [await abackend_pid()] * 2
        assert not await Tag.objects.aexists()
        assert not await Author.objects.aexists()


async def test_a_failing_asynchronous_receiver_fails_the_save() -> None:
    async def fail(**kwargs: Any) -> None:
        raise ZeroDivisionError

    post_save.connect(fail, sender=Author)
    try:
        async with new_connection():
            with pytest.raises(ZeroDivisionError):
                await Author.objects.acreate(name="a")
            assert await abackend_pid()
    finally:
        post_save.disconnect(fail, sender=Author)


async def test_on_commit() -> None:
    seen: list[Any] = []

    def callback() -> None:
        seen.append(("sync", Author.objects.count(), backend_pid()))

    async def acallback() -> None:
        seen.append(("async", await Author.objects.acount(), await abackend_pid()))

    async with new_connection():
        async with transaction.atomic():
            await Author.objects.acreate(name="a")
            transaction.on_commit(callback)
            transaction.on_commit(acallback)
            async with transaction.atomic():
                transaction.on_commit(acallback)
            assert seen == []
        here = await abackend_pid()
        assert seen == [("sync", 1, here), ("async", 1, here), ("async", 1, here)]
        seen.clear()
        with pytest.raises(ZeroDivisionError):
            async with transaction.atomic():
                transaction.on_commit(callback)
                transaction.on_commit(acallback)
                raise ZeroDivisionError
        assert seen == []


async def test_robust_on_commit_survives_a_failing_coroutine(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = []

    async def fail() -> None:
        raise ZeroDivisionError

    async def succeed() -> None:
        seen.append(True)

    async with new_connection(), transaction.atomic():
        transaction.on_commit(fail, robust=True)
        transaction.on_commit(succeed)
    assert seen == [True]
    assert "fail" in caplog.text


async def test_run_sync_is_ordinary_django() -> None:
    def work(name: str, *, times: int) -> list[str]:
        with transaction.atomic():
            for i in range(times):
                Author.objects.create(name=f"{name}{i}")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Author.objects.all().delete()
            raise ZeroDivisionError
        return [author.name for author in Author.objects.order_by("pk")]

    async with new_connection():
        assert await run_sync(work, "a", times=2) == ["a0", "a1"]
        assert await run_sync(backend_pid) == await abackend_pid()


async def test_async_to_sync_on_the_bridge_shares_the_loop() -> None:
    async def ask() -> tuple[Any, int]:
        return asyncio.get_running_loop(), await abackend_pid()

    async with new_connection():
        loop, used = await run_sync(async_to_sync(ask))
        assert loop is asyncio.get_running_loop()
        assert used == await abackend_pid()


async def make_books() -> None:
    publisher = await Publisher.objects.acreate(name="p")
    mentor = await Author.objects.acreate(name="m")
    author = await Author.objects.acreate(name="a", mentor=mentor)
    for title in ("one", "two"):
        book = await Book.objects.acreate(
            title=title, author=author, publisher=publisher
        )
        await book.tags.acreate(name=title)


async def test_afetch_related_on_an_instance() -> None:
    async with new_connection():
        await make_books()
        book = await Book.objects.afirst()
        assert book is not None
        with pytest.raises(SynchronousOnlyOperation):
            book.author  # noqa: B018 - not loaded yet
        assert await afetch_related(book, "author__mentor", "publisher", "tags") is book
        assert book.author.mentor.name == "m"
        assert book.publisher.name == "p"
        assert [tag.name for tag in book.tags.all()] == ["one"]


async def test_afetch_related_on_a_list() -> None:
    queries: list[str] = []

    def record(execute: Any, sql: str, *args: Any) -> Any:
        queries.append(sql)
        return execute(sql, *args)

    async with new_connection() as conn:
        await make_books()
        books = [book async for book in Book.objects.order_by("pk")]
        with conn.execute_wrapper(record):
            assert await afetch_related(books, "author__mentor") is books
        assert [book.author.mentor.name for book in books] == ["m", "m"]
        assert len(queries) == 2  # one per level
        assert await afetch_related([], "author") == []


async def test_afetch_related_names_a_wrong_lookup() -> None:
    async with new_connection():
        await make_books()
        book = await Book.objects.afirst()
        with pytest.raises(AttributeError, match="nonsense"):
            await afetch_related(book, "nonsense")


# ----- misuse


async def test_a_wrong_alias() -> None:
    with pytest.raises(ConnectionDoesNotExist, match="default, other, pooled"):
        async with new_connection("nonsense"):
            pytest.fail("entered")
    async with new_connection():
        with pytest.raises(ConnectionDoesNotExist, match="default, other, pooled"):
            async_connections["nonsense"]
        with pytest.raises(ConnectionDoesNotExist):
            await Author.objects.using("nonsense").acount()
        assert await Author.objects.acount() == 0


async def test_a_synchronous_with() -> None:
    with pytest.raises(RuntimeError, match="async with new"), new_connection():
        pytest.fail("entered")


def test_no_event_loop() -> None:
    entering = new_connection().__aenter__()
    with pytest.raises(RuntimeError, match="running event loop"):
        entering.send(None)


async def test_a_block_is_entered_once() -> None:
    block = new_connection()
    async with block:
        with pytest.raises(RuntimeError, match="entered already"):
            await block.__aenter__()
        assert await Author.objects.acount() == 0


async def test_a_connection_after_its_block() -> None:
    async with new_connection() as conn:
        assert await abackend_pid()
    with pytest.raises(InterfaceError, match="has ended"):
        conn.acursor()
    with pytest.raises(InterfaceError, match="has ended"):
        await bridge.run(conn.cursor)


async def test_a_cursor_after_its_block() -> None:
    async with new_connection() as conn:
        cursor = conn.acursor()
        await cursor.execute("SELECT 1")
    with pytest.raises(InterfaceError, match="has ended"):
        await cursor.execute("SELECT 1")
    await cursor.close()


async def test_a_cursor_after_it_was_closed() -> None:
    async with new_connection() as conn:
        async with conn.acursor() as cursor:
            await cursor.execute("SELECT 1")
        with pytest.raises(InterfaceError, match="cursor is closed"):
            await cursor.execute("SELECT 1")
        with pytest.raises(InterfaceError, match="cursor is closed"):
            await cursor.fetchall()
        await cursor.close()  # closing twice is fine


@pytest.mark.parametrize("connected", [True, False])
async def test_a_task_that_outlives_its_block(connected: bool) -> None:
    ended = asyncio.Event()

    async def late(work: Any) -> Any:
        await ended.wait()
        return await work()

    async def own_block() -> int:
        async with new_connection():
            return await Author.objects.acount()

    async def iterate() -> list[Author]:
        return [author async for author in Author.objects.all()]

    async with new_connection():
        if connected:
            await abackend_pid()
        refused = [
            asyncio.create_task(late(work))
            for work in (Author.objects.acount, iterate, abackend_pid)
        ]
        fine = asyncio.create_task(late(own_block))
    ended.set()
    for task in refused:
        with pytest.raises(InterfaceError, match="has ended"):
            await task
    assert await fine == 0


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str | None]]:
    """Versions that importlib.metadata is made to tell; None is not installed."""
    versions: dict[str, str | None] = {"psycopg": "3.3.9", "psycopg-pool": "3.3.3"}

    def version(name: str) -> str:
        found = versions[name]
        if found is None:
            raise PackageNotFoundError(name)
        return found

    monkeypatch.setattr(requirements, "version", version)
    forget = (
        requirements.psycopg_problem.cache_clear,
        lazy_wrapper._lazy_class.cache_clear,
    )
    for each in forget:
        each()
    yield versions
    for each in forget:
        each()


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ("psycopg", None),
        ("psycopg", "3.3.8"),
        ("psycopg", "2.9.10"),
        ("psycopg-pool", None),
        ("psycopg-pool", "3.2.6"),
    ],
)
async def test_psycopg_is_missing_or_too_old(
    installed: dict[str, str | None], package: str, version: str | None
) -> None:
    installed[package] = version
    told = f"{package} .* or later, found {version or 'none'}.*pip install"
    with pytest.raises(ImproperlyConfigured, match=told):
        async with new_connection():
            pytest.fail("entered")
    errors = [
        e for e in checks.check_installation() if e.id == "django_async_fast.E001"
    ]
    assert len(errors) == 1
    assert package in errors[0].msg


@pytest.mark.parametrize(
    ("psycopg", "pool"),
    [("3.3.9", "3.3.3"), ("3.4.0.dev1", "4.0"), ("4.0rc1", "3.4b1")],
)
async def test_psycopg_is_new_enough(
    installed: dict[str, str | None], psycopg: str, pool: str
) -> None:
    installed.update({"psycopg": psycopg, "psycopg-pool": pool})
    assert not [e for e in checks.check_installation() if "E001" in e.id]
    async with new_connection():
        assert await Author.objects.acount() == 0


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and never listens
        yield reserved.getsockname()[1]


@pytest.mark.parametrize("alias", ["other", "pooled"])
async def test_a_server_that_refuses_connections(
    alias: str, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = connections.settings[alias]
    with monkeypatch.context() as patch:
        patch.setitem(settings, "PORT", str(closed_port))
        if alias == "pooled":
            pool = {"min_size": 0, "max_size": 1, "timeout": 0.2}
            patch.setitem(settings, "OPTIONS", {"pool": pool})
        async with new_connection(alias) as conn:
            told = "could be opened" if alias == "pooled" else "refused"
            for _ in range(2):
                with pytest.raises(OperationalError, match=told):
                    await Author.objects.using(alias).acount()
            with pytest.raises(OperationalError):
                async with transaction.atomic(using=alias):
                    pytest.fail("entered")
            assert conn.connection is None
            # The other connections of the block are none the worse.
            assert await Author.objects.acount() == 0


async def test_a_database_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(connections.settings["other"], "NAME", "nonsense")
        async with new_connection("other"):
            with pytest.raises(OperationalError, match="nonsense"):
                await Author.objects.using("other").acount()
    async with new_connection("other"):
        assert await Author.objects.using("other").acount() == 0


# ----- I/O where nothing can await it


async def test_a_blocks_connection_on_the_loop_itself() -> None:
    async with new_connection() as conn:
        await abackend_pid()
        with pytest.raises(SynchronousOnlyOperation):
            conn.cursor()
        with pytest.raises(bridge.BridgeError, match="run_sync"):
            conn.connection.execute("SELECT 1")
        assert await abackend_pid()  # the connection is none the worse


async def test_a_blocks_connection_in_a_thread() -> None:
    async with new_connection() as conn:
        with pytest.raises(SynchronousOnlyOperation, match="aensure_connection"):
            await asyncio.to_thread(conn.ensure_connection)
        await abackend_pid()
        with pytest.raises(bridge.BridgeError, match="run_sync"):
            await sync_to_async(conn.connection.execute)("SELECT 1")
        assert await abackend_pid()


async def test_awaiting_where_nobody_can() -> None:
    async def never() -> None:
        pytest.fail("awaited")

    with pytest.raises(bridge.BridgeError, match="run_sync"):
        bridge.await_(never())
    with pytest.raises(bridge.BridgeError, match="run_sync"):
        await sync_to_async(bridge.await_)(never())


def test_awaiting_without_a_loop() -> None:
    with pytest.raises(bridge.BridgeError, match="run_sync"):
        bridge.await_(asyncio.sleep(0))


# ----- the end of a loop


def test_a_loop_ends_while_its_pool_grows() -> None:
    # psycopg_pool's workers take a cancellation for a failed connection and go on;
    # asyncio.run waits for them.
    async def one() -> None:
        async with new_connection("pooled"):
            await abackend_pid(async_connections["pooled"])

    async def many() -> None:
        await asyncio.gather(*(one() for _ in range(20)))

    for _ in range(10):
        asyncio.run(many())

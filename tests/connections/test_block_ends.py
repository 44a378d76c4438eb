"""How blocks end: what was left open in them, and what may still be awaited."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_async_fast import bridge, new_connection
from django_async_fast.bridge.closed_coroutines import being_closed
from django_async_fast.connections import lazy_wrapper
from tests.support.tags import tags
from tests.support.until import until
from tests.testapp.models import Tag

Told = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    """Nothing here waits for anybody else's transaction."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 20, "waited for SCOPE_TIMEOUT"


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Told:
    def told() -> list[str]:
        found = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        caplog.clear()
        return found

    return told


# ----- left open


@pytest.mark.parametrize("alias", ["default", "pooled"])
async def test_an_atomic_block_never_left(alias: str, warnings: Told) -> None:
    async with new_connection(alias):
        await transaction.atomic(alias).__aenter__()
        await Tag.objects.using(alias).acreate(name="gone")
        await transaction.atomic(alias).__aenter__()
        await Tag.objects.using(alias).acreate(name="gone too")
    told = warnings()
    assert len(told) == 2
    for message in told:
        assert message.startswith(f"The block entered at {__file__}:")
        assert f"left a transaction on '{alias}' open" in message
        assert message.count(__file__) == 2
    assert await tags() == []


async def test_autocommit_never_restored(warnings: Told) -> None:
    async with new_connection():
        await transaction.aset_autocommit(False)
        await Tag.objects.acreate(name="gone")
    assert ["left a transaction" in message for message in warnings()] == [True]
    assert await tags() == []


async def test_what_is_meant_to_be_rolled_back_is_no_warning(warnings: Told) -> None:
    async with new_connection(force_rollback=True), transaction.atomic():
        await Tag.objects.acreate(name="gone")
    assert warnings() == []
    assert await tags() == []


async def test_left_open_inside_of_a_forced_rollback(warnings: Told) -> None:
    async with new_connection(force_rollback=True):
        await transaction.atomic().__aenter__()
        await Tag.objects.acreate(name="gone")
    assert len(warnings()) == 1
    assert await tags() == []


@pytest.mark.parametrize("late", [False, True])
async def test_a_child_in_an_atomic_block_is_not_waited_for(
    late: bool, warnings: Told
) -> None:
    inside, ended = asyncio.Event(), asyncio.Event()

    async def child() -> None:
        async with transaction.atomic():
            if not late:
                await Tag.objects.acreate(name="gone")
            inside.set()
            await ended.wait()
            if late:
                await Tag.objects.acreate(name="gone")

    async with new_connection():
        task = asyncio.create_task(child())
        await inside.wait()
    assert len(warnings()) == 1
    ended.set()
    with pytest.raises(Error, match="has ended" if late else "rolled back"):
        await task
    assert await tags() == []


async def test_a_childs_commit_is_waited_for(warnings: Told) -> None:
    """What `on_commit` does belongs to the atomic block that is being left."""
    committed, goes_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        committed.set()
        await goes_on.wait()

    def create() -> None:
        with transaction.atomic():
            Tag.objects.create(name="called back")

    async def child() -> None:
        async with transaction.atomic():
            await Tag.objects.acreate(name="committed")
            transaction.on_commit(wait)
            transaction.on_commit(create)

    async with new_connection():
        task = asyncio.create_task(child())
        await committed.wait()
        asyncio.get_running_loop().call_later(0.05, goes_on.set)
    await task
    assert warnings() == []
    assert await tags() == ["called back", "committed"]


async def test_a_childs_statement_in_flight_is_waited_for(warnings: Told) -> None:
    async def child(conn: Any) -> None:
        async with transaction.atomic(), conn.acursor() as cursor:
            await cursor.execute("SELECT pg_sleep(0.2)")
            await cursor.execute("SELECT 1")

    async with new_connection("pooled") as conn:
        task = asyncio.create_task(child(conn))
        await until(lambda: conn.connection and conn.gate.busy)
    with pytest.raises(Error, match="has ended"):
        await task
    async with new_connection("pooled"):
        assert await Tag.objects.using("pooled").acount() == 0
    # The transaction was on the default alias, which the child never used.
    assert warnings() == []


async def test_tasks_in_line_are_refused() -> None:
    inside = asyncio.Event()

    async def holder() -> None:
        async with transaction.atomic():
            inside.set()
            await asyncio.sleep(60)

    async with new_connection():
        holding = asyncio.create_task(holder())
        await inside.wait()
        waiting = asyncio.create_task(Tag.objects.acreate(name="gone"))
        await asyncio.sleep(0.05)
    with pytest.raises(Error, match="has ended"):
        await waiting
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert await tags() == []


# ----- what the context has entered


async def test_the_transaction_around_a_nested_block_goes_on() -> None:
    async with new_connection(), transaction.atomic():
        await Tag.objects.acreate(name="before")
        async with new_connection(), transaction.atomic():
            assert await Tag.objects.acount() == 0
        await Tag.objects.acreate(name="after")
    assert await tags() == ["after", "before"]


async def test_the_transaction_around_a_block_that_left_one_open() -> None:
    async with new_connection(), transaction.atomic():
        async with new_connection():
            await transaction.atomic().__aenter__()
            await Tag.objects.acount()
        await Tag.objects.acreate(name="kept")
    assert await tags() == ["kept"]


# ----- closed


class Leaves:
    """An asynchronous context manager that notes whether it may await."""

    def __init__(self) -> None:
        self.closed: bool | None = None

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, exc_type: Any, exc: Any, traceback: Any) -> None:
        self.closed = being_closed(exc)


@contextlib.asynccontextmanager
async def around(leaves: Leaves) -> AsyncIterator[None]:
    async with leaves:
        yield


either_manager = pytest.mark.parametrize(
    "manager_of", [lambda leaves: leaves, around], ids=["its own", "somebody else's"]
)


@either_manager
async def test_a_coroutine_closed(manager_of: Any) -> None:
    leaves = Leaves()

    async def work() -> None:
        async with manager_of(leaves):
            await asyncio.Event().wait()

    coroutine = work()
    coroutine.send(None)
    with contextlib.suppress(RuntimeError):  # a manager of contextlib's would await
        coroutine.close()
    assert leaves.closed is True


@either_manager
async def test_an_asynchronous_generator_closed(manager_of: Any) -> None:
    leaves = Leaves()

    async def numbers() -> AsyncIterator[int]:
        async with manager_of(leaves):
            yield 1

    iterator = numbers()
    await anext(iterator)
    await iterator.aclose()  # type: ignore[attr-defined]
    assert leaves.closed is False


async def test_generator_exit_raised_by_hand() -> None:
    leaves = Leaves()
    with pytest.raises(GeneratorExit):
        async with leaves:
            raise GeneratorExit
    assert leaves.closed is False


async def test_a_generators_atomic_block_is_left_by_aclose() -> None:
    """The transaction around it goes on: nothing has been dropped."""

    async def numbers() -> AsyncIterator[int]:
        async with transaction.atomic():
            await Tag.objects.acreate(name="undone")
            yield 1

    async with new_connection(), transaction.atomic():
        await Tag.objects.acreate(name="kept")
        iterator = numbers()
        await anext(iterator)
        await iterator.aclose()  # type: ignore[attr-defined]
    assert await tags() == ["kept"]


# ----- an unused block


async def test_a_wrapper_nobody_looks_at_is_not_made() -> None:
    async with new_connection() as conn:
        assert not lazy_wrapper.is_built(conn)
    assert conn.alias == "default"
    assert lazy_wrapper.is_built(conn)
    with pytest.raises(Error, match="has ended"):
        await conn.aensure_connection()


async def test_the_first_look_may_be_an_assignment() -> None:
    async with new_connection() as conn:
        conn.force_debug_cursor = True
        await Tag.objects.acount()
        assert len(conn.queries) == 1
        assert conn is connections["default"] or conn.block is not None


async def test_a_wrapper_first_seen_in_a_thread_is_the_loops() -> None:
    async with new_connection() as conn:
        with pytest.raises(Error, match="same thread"):
            await asyncio.to_thread(conn.validate_thread_sharing)


# ----- an end with nothing to wait for


@pytest.mark.core
async def test_a_block_at_rest_ends_without_the_bridge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
        raw, session = conn.connection, conn.connection.session
        monkeypatch.setattr(bridge, "run", None)
    monkeypatch.undo()
    assert conn.connection is None
    assert raw.returned
    assert session._pool is None
    with pytest.raises(Error, match="has ended"):
        await conn.aensure_connection()


@pytest.mark.parametrize("where", ["the block's class", "the backend's", "Django's"])
async def test_a_backends_own_close_is_called(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Any] = []
    django_close = BaseDatabaseWrapper.close

    def close(self: Any) -> None:
        closed.append(self)
        django_close(self)

    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
        kind = {"the block's class": type(conn), "the backend's": conn.backend}
        monkeypatch.setattr(kind.get(where, BaseDatabaseWrapper), "close", close)
    assert closed == [conn]
    assert conn.connection is None


async def test_callbacks_of_a_commit_end_with_the_block() -> None:
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
        conn.run_on_commit = [(set(), print, False)]
    assert conn.run_on_commit == []

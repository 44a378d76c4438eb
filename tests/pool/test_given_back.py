"""A connection goes back to its pool at rest, whoever is in the middle of its rows."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from typing import Any

import psycopg
import pytest
from django.db import Error, InterfaceError, connections, transaction

from django_async_fast import new_connection, run_sync
from django_async_fast.drivers.psycopg import held_transaction
from tests.support.until import until
from tests.testapp.models import Author

pytestmark = [pytest.mark.keep_rows, pytest.mark.core]

ROWS = 20


@pytest.fixture(scope="module", autouse=True)
def _authors(_databases: object, _clean_tables_of_module: object) -> None:
    Author.objects.bulk_create([Author(name=f"a{i:02}") for i in range(ROWS)])


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever is next gets the same session."""
    for each in (connections.settings["pooled"], connections["pooled"].settings_dict):
        pool = {"min_size": 1, "max_size": 1, "timeout": 5}
        monkeypatch.setitem(each, "OPTIONS", {**each["OPTIONS"], "pool": pool})
    connections["pooled"].close_pool()
    yield
    connections["pooled"].close()
    connections["pooled"].close_pool()


def authors() -> Any:
    return Author.objects.using("pooled").order_by("name")


async def session(conn: Any) -> tuple[int, int]:
    """Return the session's process, and how many cursors are open in it."""
    async with conn.acursor() as cursor:
        await cursor.execute("SELECT pg_backend_pid(), count(*) FROM pg_cursors")
        return tuple(await cursor.fetchone())  # type: ignore[return-value]


async def begun(count: int = 1) -> Any:
    """Return an iterator in the middle of its rows."""
    rows = aiter(authors().aiterator(3))
    for _ in range(count):
        await anext(rows)
    return rows


async def check_session(pid: int) -> None:
    for _ in range(2):
        async with new_connection("pooled") as conn:
            assert await session(conn) == (pid, 0)
            assert len([row async for row in authors().aiterator(3)]) == ROWS


@pytest.mark.parametrize("chunks", [1, 2])
async def test_an_iterator_in_a_variable(chunks: int) -> None:
    async with new_connection("pooled") as conn:
        pid, _ = await session(conn)
        rows = await begun(3 * chunks)
    await check_session(pid)
    with pytest.raises(InterfaceError, match="given back"):
        await anext(rows)
    with pytest.raises(StopAsyncIteration):
        await anext(rows)
    await check_session(pid)


async def test_while_another_block_has_the_session() -> None:
    async with new_connection("pooled"):
        rows = await begun(3)
    async with new_connection("pooled"):
        others = aiter(authors().aiterator(3))
        names = [(await anext(others)).name]
        with pytest.raises(InterfaceError, match="given back"):
            await anext(rows)
        names += [row.name async for row in others]
    assert names == [f"a{i:02}" for i in range(ROWS)]


async def test_rows_that_have_arrived_are_handed_out() -> None:
    async with new_connection("pooled"):
        rows = aiter(authors().aiterator(100))
        await anext(rows)
    assert len([row async for row in rows]) == ROWS - 1


async def test_an_iterator_of_a_paused_generator() -> None:
    async def names() -> AsyncIterator[str]:
        async for row in authors().aiterator(3):
            yield row.name

    async with new_connection("pooled") as conn:
        pid, _ = await session(conn)
        generator = names()
        assert await anext(generator) == "a00"
    await check_session(pid)
    with pytest.raises(InterfaceError, match="given back"):
        [name async for name in generator]


async def test_a_synchronous_iterator(without_core: Any) -> None:
    """The core's, and Django's own."""
    for context in (nullcontext, without_core):
        async with new_connection("pooled") as conn:
            pid, _ = await session(conn)
            with context():
                rows = await run_sync(lambda: authors().iterator(3))
                await run_sync(next, rows)
        await check_session(pid)
        with pytest.raises(InterfaceError):
            await run_sync(list, rows)


async def test_in_a_transaction_that_fails() -> None:
    async with new_connection("pooled") as conn:
        pid, _ = await session(conn)
        with pytest.raises(ZeroDivisionError):
            async with transaction.atomic("pooled"):
                rows = await begun()
                raise ZeroDivisionError
    await check_session(pid)
    with pytest.raises(InterfaceError, match="given back"):
        [row async for row in rows]


async def test_the_connection_is_given_back_in_the_block() -> None:
    async with new_connection("pooled") as conn:
        pid, _ = await session(conn)
        rows = await begun()
        await conn.aclose()
        assert await session(conn) == (pid, 0)
        with pytest.raises(InterfaceError, match="given back"):
            [row async for row in rows]


async def test_without_a_pool() -> None:
    async with new_connection():
        rows = aiter(Author.objects.order_by("name").aiterator(3))
        await anext(rows)
    with pytest.raises(InterfaceError, match="has ended"):
        [row async for row in rows]


async def test_the_session_is_lost(server_dsn: str) -> None:
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        async with new_connection("pooled") as conn:
            pid, _ = await session(conn)
            rows = await begun()
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with pytest.raises(InterfaceError, match="given back"):
        [row async for row in rows]
    async with new_connection("pooled") as conn:
        assert (await session(conn))[0] != pid


# ----- in synchronous code


@pytest.fixture(params=["autocommit", "atomic", "failed"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def begin_and_close(mode: str) -> tuple[int, Any]:
    """Leave an iterator in the middle, and give its connection back."""
    connection = connections["pooled"]
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    rows = authors().iterator(3)
    if mode == "autocommit":
        next(rows)
        connection.close()
        return pid, rows
    with transaction.atomic("pooled"):
        next(rows)
        if mode == "failed":
            with pytest.raises(Error), connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        connection.close()
    connection.close()
    return pid, rows


def test_a_synchronous_connection(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    pid, rows = begin_and_close(mode)
    told = [record.getMessage() for record in caplog.records]
    assert not any("ACTIVE" in each for each in told)
    assert mode != "autocommit" or told == []
    with connections["pooled"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), count(*) FROM pg_cursors")
        assert cursor.fetchone() == (pid, 0)
    with pytest.raises(InterfaceError, match="given back"):
        list(rows)
    assert list(rows) == []
    assert len(list(authors().iterator(3))) == ROWS


def test_a_synchronous_session_is_lost(server_dsn: str) -> None:
    connection = connections["pooled"]
    rows = authors().iterator(3)
    next(rows)
    pid = connection.connection.info.backend_pid
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    connection.close()
    with pytest.raises(InterfaceError, match="given back"):
        list(rows)
    assert authors().count() == ROWS


# ----- held transactions


async def in_transaction(conn: Any) -> bool:
    status: int = conn.connection.pgconn.transaction_status
    return status in (
        held_transaction.pq.TransactionStatus.INTRANS,
        held_transaction.pq.TransactionStatus.ACTIVE,
    )


def is_held(conn: Any) -> bool:
    kind = held_transaction.HeldTransaction
    return any(isinstance(each, kind) for each in conn.connection.unsettled)


async def test_a_hold_ends_with_the_last_row() -> None:
    async with new_connection("pooled") as conn:
        async for _ in authors().aiterator(ROWS + 1):
            assert not await in_transaction(conn)
            assert await session(conn) == (conn.connection.info.backend_pid, 0)


async def test_a_hold_ends_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """However quick its reader is, and whether or not the loop has a turn."""
    monkeypatch.setattr(held_transaction, "LONGEST", 0.0)
    async with new_connection("pooled") as conn:
        rows = await begun()
        async with new_connection() as other, other.acursor() as cursor:
            await cursor.execute(
                "SELECT xact_start IS NULL OR state = 'active' "
                "FROM pg_stat_activity WHERE pid = %s",
                [conn.connection.info.backend_pid],
            )
            assert await cursor.fetchone() == (True,)
        assert not is_held(conn)
        assert len([row async for row in rows]) == ROWS - 1


async def is_settled(conn: Any) -> bool:
    return not await in_transaction(conn)


async def test_a_hold_is_as_patient_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_transaction, "PATIENCE", 0.02)
    async with new_connection("pooled") as conn:
        rows = await begun()
        assert await in_transaction(conn)
        await until(lambda: is_settled(conn))
        assert len([row async for row in rows]) == ROWS - 1


async def test_nothing_is_held_where_nobody_yields() -> None:
    def states(conn: Any) -> set[bool]:
        return {is_held(conn) for _ in authors().iterator(3)}

    async with new_connection("pooled") as conn:
        assert await run_sync(states, conn) == {False}


async def test_an_error_at_the_end_of_a_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is Django's, with psycopg's as its cause."""

    def commit(pgconn: Any, first: bytes) -> Any:
        return made(pgconn, b"SELECT 1 / 0;" + first)

    made = held_transaction._commit
    monkeypatch.setattr(held_transaction, "_commit", commit)
    async with new_connection("pooled") as conn:
        with pytest.raises(Error) as raised:
            [row async for row in authors().aiterator(ROWS + 1)]
        assert isinstance(raised.value.__cause__, psycopg.errors.DivisionByZero)
    monkeypatch.undo()
    async with new_connection("pooled") as conn:
        assert (await session(conn))[1] == 0

"""What somebody keeps of a block, or has left in its connection, is not the next block's."""

import asyncio
import weakref
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import InterfaceError
from django.db.backends.postgresql.base import Cursor

from django_async_fast import run_sync
from tests.support.signals import receiving
from tests.support.sql import execute

from .warm_pool import block, its_wrapper, known_block, state_of, warm

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("tag")]


KEPT: dict[str, Callable[[Any], Any]] = {
    "the wrapper": lambda conn: conn,
    "its psycopg connection": lambda conn: conn.connection,
    "its cursor": lambda conn: conn.connection.cursor(),
    "a helper": lambda conn: conn.ops,
    "its attributes": vars,
    "the connection's attributes": lambda conn: vars(conn.connection),
    "its execute wrappers": lambda conn: conn.execute_wrappers,
    "its log": lambda conn: conn.queries_log,
    "its functions on commit": lambda conn: conn.run_on_commit,
    "its gate": lambda conn: conn.gate,
    "its pool": lambda conn: conn.pool,
    "notice handlers": lambda conn: conn.connection._notice_handlers,
}


@pytest.mark.parametrize("which", KEPT)
async def test_what_somebody_keeps_is_not_the_next_blocks(which: str) -> None:
    session = await warm()
    async with known_block():
        kept = KEPT[which](its_wrapper())
    async with known_block():
        conn = its_wrapper()
        assert conn.connection.session is session
        assert KEPT[which](conn) is not kept


async def test_a_wrapper_that_somebody_keeps_is_of_an_ended_block() -> None:
    await warm()
    kept = await block()
    assert kept.connection is None
    assert kept.alias == "pooled"
    async with known_block():
        with pytest.raises(InterfaceError, match="has ended"):
            await run_sync(lambda: kept.cursor().execute("SELECT 1"))


async def test_the_handle_of_a_block_is_enough_to_reach_its_connection() -> None:
    """Kept from the beginning, and not looked at until the block has ended."""
    await warm()
    async with known_block() as conn:
        pass
    async with known_block():
        assert conn.connection is None
        with pytest.raises(InterfaceError, match="has ended"):
            await conn.aensure_connection()


REACHES: dict[str, Callable[[Any, Any], Any]] = {
    "executes": lambda raw, cursor: raw.execute("SELECT 1"),
    "executes on a cursor": lambda raw, cursor: cursor.execute("SELECT 1"),
    "commits": lambda raw, cursor: raw.commit(),
    "switches autocommit": lambda raw, cursor: raw.set_autocommit(False),
    "closes": lambda raw, cursor: raw.close(),
    "drops": lambda raw, cursor: raw.drop(),
    "cancels": lambda raw, cursor: raw.cancel_safe(),
    "cancels at once": lambda raw, cursor: raw.cancel(),
}


@pytest.mark.parametrize("reach", REACHES)
async def test_a_connection_that_somebody_keeps_reaches_no_session(reach: str) -> None:
    session = await warm()
    async with known_block():
        raw = its_wrapper().connection
        cursor = raw.cursor()

    def sleep() -> Any:
        return execute("SELECT pg_sleep(0.05), 7", using="pooled")[0][1]

    async with known_block():
        asleep = asyncio.create_task(run_sync(sleep))
        await asyncio.sleep(0.02)
        try:
            await run_sync(REACHES[reach], raw, cursor)
        except InterfaceError as exc:
            assert "has ended" in str(exc)
        assert await asleep == 7
        assert its_wrapper().connection.session is session
        assert its_wrapper().connection.autocommit


MARKS = {
    "an execute wrapper": lambda conn: conn.execute_wrappers.append(print),
    "a debug cursor": lambda conn: setattr(conn, "force_debug_cursor", True),
    "an attribute": lambda conn: setattr(conn, "tenant", 7),
    "a callback": lambda conn: conn.run_on_commit.append((set(), print, False)),
    "thread sharing": lambda conn: conn.inc_thread_sharing(),
    "an error": lambda conn: setattr(conn, "errors_occurred", True),
    "a notice handler": lambda conn: conn.connection.add_notice_handler(print),
    "a row factory": lambda conn: setattr(conn.connection, "row_factory", print),
    "a cursor factory": lambda conn: setattr(conn.connection, "cursor_factory", print),
    "a read-only session": lambda conn: setattr(conn.connection, "_read_only", True),
}


@pytest.mark.parametrize("mark", MARKS)
async def test_what_has_been_left_in_it_is_not_seen_again(mark: str) -> None:
    session = await warm()
    async with known_block():
        conn = its_wrapper()
        before = state_of(conn), state_of(conn.connection)
        MARKS[mark](conn)
    async with known_block():
        conn = its_wrapper()
        assert conn.connection.session is session
        assert conn.connection.cursor_factory is Cursor
        assert conn.connection.row_factory is psycopg.rows.tuple_row
        assert (state_of(conn), state_of(conn.connection)) == before


async def test_a_wrapper_that_somebody_knows_weakly_is_not_met_again() -> None:
    await warm()
    seen: weakref.WeakSet[Any] = weakref.WeakSet()
    told: list[bool] = []

    def receiver(connection: Any, **kwargs: Any) -> None:
        told.append(connection in seen)
        seen.add(connection)

    with receiving(receiver):
        await block()
        await block()
    assert told == [False, False]


def left_in_a_list(conn: Any) -> Callable[[], None]:
    held = conn.execute_wrappers
    return lambda: held.append(print)


def left_in_libpq(conn: Any) -> Callable[[], None]:
    conn.connection.pgconn.notice_handler = print
    return lambda: None


@pytest.mark.parametrize("leave", [left_in_a_list, left_in_libpq])
async def test_what_reaches_into_it_later_does_not(leave: Callable[..., Any]) -> None:
    await warm()
    async with known_block():
        reach = leave(its_wrapper())
    reach()
    async with known_block():
        conn = its_wrapper()
        assert conn.execute_wrappers == []
        assert conn.connection.pgconn.notice_handler is not print

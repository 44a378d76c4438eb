"""The pool: per loop and alias, psycopg's own."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from django.db import InterfaceError, connections

from django_async_fast import new_connection, run_sync
from django_async_fast.pool import fast_checkout, loop_pool
from tests.support.backend_pids import abackend_pid
from tests.support.until import until
from tests.testapp.models import Tag

SIZE = 4  # as tests/settings.py configures it


async def one_request(seen: set[int]) -> None:
    async with new_connection("pooled") as conn:
        seen.add(await abackend_pid(conn))


def stats() -> dict[str, int]:
    (entry,) = loop_pool._pools[asyncio.get_running_loop()].values()
    return entry.pool.get_stats()


async def test_connections_are_reused_and_bounded() -> None:
    seen: set[int] = set()
    await asyncio.gather(*(one_request(seen) for _ in range(50)))
    assert 1 <= len(seen) <= SIZE
    # The pool may still be growing.
    await until(lambda: stats()["pool_available"] == stats()["pool_size"])


@pytest.mark.core
async def test_the_last_that_has_come_back_is_taken_and_none_rests_for_ever() -> None:
    await asyncio.gather(*(one_request(set()) for _ in range(50)))
    await until(lambda: stats()["pool_available"] == stats()["pool_size"])
    sessions: list[int] = []
    for _ in range(20 * SIZE):
        async with new_connection("pooled") as conn:
            sessions.append(await abackend_pid(conn))
    assert sum(a != b for a, b in pairwise(sessions)) <= 2 * SIZE
    assert len(set(sessions)) == stats()["pool_size"]


async def test_nothing_is_taken_before_the_first_query() -> None:
    async with new_connection("pooled"):
        assert not loop_pool._pools.get(asyncio.get_running_loop())


async def test_a_session_is_clean_for_the_next_block() -> None:
    async with new_connection("pooled") as conn, conn.acursor() as cursor:
        await cursor.execute("BEGIN")
        await cursor.execute("INSERT INTO testapp_tag (name) VALUES ('a')")
    async with new_connection("pooled"):
        assert await Tag.objects.using("pooled").acount() == 0


async def test_the_time_zone_is_djangos() -> None:
    async with new_connection("pooled") as conn, conn.acursor() as cursor:
        await cursor.execute("SHOW timezone")
        assert await cursor.fetchone() == ("UTC",)


@pytest.mark.parametrize("taken", [False, True])
async def test_a_closed_pool_leaves_nothing_behind(taken: bool) -> None:
    async with new_connection("pooled") as conn:
        await abackend_pid(conn)
    (entry,) = loop_pool._pools[asyncio.get_running_loop()].values()
    assert entry.keeper is not None
    async with new_connection("pooled") as conn:
        if taken:
            await abackend_pid(conn)
        await run_sync(lambda: connections["pooled"].close_pool())
        assert entry.keeper.done() == (not taken)
        if taken:
            await abackend_pid(conn)  # it is the block's until the block ends


@pytest.mark.parametrize("ticks", range(1, 8))
async def test_to_close_a_pool_is_broken_off(ticks: int) -> None:
    async with new_connection("pooled") as conn:
        await abackend_pid(conn)
    (entry,) = loop_pool._pools[asyncio.get_running_loop()].values()

    async def close() -> None:
        async with new_connection("pooled"):
            await run_sync(lambda: connections["pooled"].close_pool())

    closing = asyncio.create_task(close())
    for _ in range(ticks):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    async with new_connection("pooled") as conn:
        await abackend_pid(conn)
    (other,) = loop_pool._pools[asyncio.get_running_loop()].values()
    assert other is not entry
    assert entry.pool.closed


# ----- what outlives a block, and what does not


async def test_a_cursor_ends_with_its_connection() -> None:
    async with new_connection("pooled") as conn, conn.acursor() as cursor:
        await cursor.execute("SELECT 1")
        await conn.aclose()
        with pytest.raises(InterfaceError, match="given back to its pool"):
            await cursor.execute("SELECT 2")
        assert await abackend_pid(conn)


async def test_in_line_for_a_connection_that_is_given_back() -> None:
    async with (
        new_connection("pooled") as conn,
        conn.acursor() as cursor,
        conn.acursor() as other,
    ):
        slow = asyncio.create_task(cursor.execute("SELECT pg_sleep(0.1)"))
        await asyncio.sleep(0.02)
        closing = asyncio.create_task(conn.aclose())
        await asyncio.sleep(0.02)
        late = asyncio.create_task(other.execute("SELECT 1"))
        await asyncio.gather(slow, closing)
        with pytest.raises(InterfaceError, match="given back to its pool"):
            await late


async def test_the_socket_stays_with_the_loop() -> None:
    """Not to register it for each block is what makes a block cheap."""
    loop = asyncio.get_running_loop()
    for _ in range(2):
        async with new_connection("pooled") as conn:
            pid = await abackend_pid(conn)
            session = conn.connection.session
        assert session.channel._reading
    assert loop.remove_reader(session.pgconn.socket)
    loop.add_reader(session.pgconn.socket, session.channel.readable)
    (entry,) = loop_pool._pools[loop].values()
    await entry.pool.check()  # psycopg registers, and unregisters, it itself
    async with new_connection("pooled") as conn:
        assert await abackend_pid(conn) == pid


async def test_what_the_server_says_unasked_wakes_nobody_twice(admin: Any) -> None:
    async with new_connection("pooled") as conn, conn.acursor() as cursor:
        await cursor.execute("LISTEN news")
        channel = conn.connection.session.channel
    admin.execute("NOTIFY news")
    await until(lambda: not channel._reading)
    async with new_connection("pooled") as conn:
        assert await abackend_pid(conn)
        assert channel._reading


@pytest.mark.core
async def test_an_idle_connection_is_taken_and_given_back_as_psycopg_does() -> None:
    await asyncio.gather(*(one_request(set()) for _ in range(SIZE)))
    (entry,) = loop_pool._pools[asyncio.get_running_loop()].values()
    theirs = entry.pool

    def state() -> Any:
        return theirs.get_stats(), set(theirs._pool), theirs._nconns_min

    theirs._nconns_min = len(theirs._pool)
    before = state()
    session = await theirs.getconn()
    taken = state()
    await theirs.putconn(session)
    given = state()
    theirs._stats.clear()
    theirs._stats.update(before[0])
    theirs._nconns_min = before[2]
    assert theirs._pool[-1] is session
    assert fast_checkout.take(theirs) is session
    assert session._pool is theirs
    assert state() == taken
    assert fast_checkout.give(theirs, session)
    assert session._pool is None
    assert state() == given


@pytest.mark.core
@pytest.mark.parametrize(
    "spoil",
    [
        lambda session, theirs: session.pgconn.finish(),
        lambda session, theirs: session.pgconn.exec_(b"BEGIN"),
        lambda session, theirs: setattr(session, "_expire_at", 0.0),
        lambda session, theirs: setattr(theirs, "_drained_at", session._created_at),
        lambda session, theirs: setattr(theirs, "_reset", _nothing),
        lambda session, theirs: theirs._waiting.append(_nothing),
        lambda session, theirs: setattr(theirs, "_closed", True),
    ],
)
async def test_whatever_else_is_psycopgs(spoil: Callable[[Any, Any], None]) -> None:
    await one_request(set())
    (entry,) = loop_pool._pools[asyncio.get_running_loop()].values()
    session = fast_checkout.take(entry.pool)
    assert session is not None
    spoil(session, entry.pool)
    assert not fast_checkout.give(entry.pool, session)
    assert session not in entry.pool._pool
    entry.pool._waiting.clear()
    entry.pool._closed = False
    await entry.pool.putconn(session)


async def _nothing(connection: object) -> None:
    pass


async def test_psycopgs_log_is_complete(caplog: pytest.LogCaptureFixture) -> None:
    await one_request(set())
    with caplog.at_level("INFO", "psycopg.pool"):
        await one_request(set())
    told = [record.getMessage().split(" ")[:2] for record in caplog.records]
    for line in ("connection requested", "connection given", "returning connection"):
        assert line.split(" ") in told


@pytest.mark.core
async def test_blocks_make_few_calls() -> None:
    """Counted, not timed: most of what a block costs is calls of Python functions."""

    async def connecting() -> None:
        async with new_connection("pooled") as conn:
            await conn.aensure_connection()

    async def unused() -> None:
        async with new_connection("pooled"):
            pass

    await connecting()
    assert await _calls(connecting) < 130
    assert await _calls(unused) < 30


async def _calls(work: Callable[[], Awaitable[None]]) -> int:
    count = 0

    def note(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event == "call"

    await work()
    sys.setprofile(note)
    try:
        await work()
    finally:
        sys.setprofile(None)
    return count

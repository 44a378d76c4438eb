"""F27: PgBouncer in transaction mode, where a session is a transaction long."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.db import DatabaseError, connections, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from psycopg.conninfo import conninfo_to_dict

from django_async_fast import new_connection
from tests.support.pgbouncer import PROGRAM, pgbouncer
from tests.testapp.models import Author, Tag, Unique

from .conftest import POOL_SIZE, Watch, configured, pool_is_whole, pool_options
from .every_await import broken_off, run
from .scenarios import nested
from .test_every_await import HOWS, at_every_await

Case = Callable[[Watch], Coroutine[Any, Any, None]]

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no PgBouncer: install it (apt-get install pgbouncer)"
)
SERVERS = 3
ROWS = 20


@pytest.fixture(scope="module")
def pooler(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pgbouncer(dsn, tmp_path_factory.mktemp("pgbouncer"), SERVERS) as pooled:
        params = conninfo_to_dict(pooled)
        yield {"HOST": params["host"], "PORT": params["port"]}


async def on_every_server(query: str) -> list[Any]:
    """Return what `query` gives in each of the pooler's sessions."""

    async def ask() -> Any:
        async with (
            new_connection() as conn,
            transaction.atomic(),
            conn.acursor() as cursor,
        ):
            await cursor.execute(query)
            answer = await cursor.fetchone() if cursor.description else [None]
            await everybody.wait()
            return answer[0]

    everybody = asyncio.Barrier(SERVERS)
    return await asyncio.gather(*(ask() for _ in range(SERVERS)))


async def _fill() -> None:
    async with new_connection():
        await Author.objects.abulk_create(Author(name=str(i)) for i in range(ROWS))


async def _read(between: Callable[[], Coroutine[Any, Any, Any]]) -> int:
    rows = 0
    async for _ in Author.objects.aiterator(chunk_size=3):
        rows += 1
        if rows % 5 == 0:
            await between()
    return rows


def named(captured: CaptureQueriesContext) -> list[str]:
    return [q["sql"] for q in captured if "DECLARE" in q["sql"]]


# ----- with DISABLE_SERVER_SIDE_CURSORS, as Django asks for


async def streams(watch: Watch) -> None:
    """However many tasks read, and whatever they do between two rows."""

    async def read() -> int:
        async with new_connection():
            return await _read(Tag.objects.acount) + await _read(
                partial(asyncio.sleep, 0.05)
            )

    await _fill()
    tasks = [read() for _ in range(2 * SERVERS)]
    assert await asyncio.gather(*tasks) == [2 * ROWS] * len(tasks)
    async with new_connection() as conn:
        await conn.aensure_connection()
        with CaptureQueriesContext(conn) as captured:
            await _read(Tag.objects.acount)
            async with transaction.atomic():
                await _read(Tag.objects.acount)
        assert not named(captured)


async def nothing_is_left_in_a_session(watch: Watch) -> None:
    await _fill()
    async with new_connection():
        for _ in range(10):
            await Author.objects.afirst()
        await _read(Tag.objects.acount)
    for view in ("pg_prepared_statements", "pg_cursors"):
        assert not any(await on_every_server(f"SELECT count(*) FROM {view}"))


# ----- without


async def a_stream_in_a_transaction(watch: Watch) -> None:
    """It keeps its server, so a cursor of the server's does no harm."""
    await _fill()
    async with new_connection() as conn:
        await conn.aensure_connection()
        with CaptureQueriesContext(conn) as captured:
            async with transaction.atomic():
                assert await _read(Tag.objects.acount) == ROWS
        assert named(captured)
    assert not any(await on_every_server("SELECT count(*) FROM pg_cursors"))


async def a_stream_at_one_go(watch: Watch) -> None:
    """Its transaction lasts as long as nobody else needs the connection."""
    await _fill()
    async with new_connection():
        assert await _read(partial(asyncio.sleep, 0)) == ROWS
    assert not any(await on_every_server("SELECT count(*) FROM pg_cursors"))


async def a_stream_that_is_interrupted(watch: Watch) -> None:
    """Its cursor is on another server now: never fewer rows without an error."""
    await on_every_server("SELECT 1")  # the pooler takes them in turn from here
    await _fill()
    async with new_connection():
        with pytest.raises(DatabaseError, match="does not exist") as raised:
            await _read(Tag.objects.acount)
        notes = getattr(raised.value.__cause__, "__notes__", [])
        assert any("DISABLE_SERVER_SIDE_CURSORS" in note for note in notes)
        assert await Author.objects.acount() == ROWS


async def streams_of_many_tasks(watch: Watch) -> None:
    """F36: each gets its own query's rows, or an error."""

    async def read(group: int) -> None:
        mine = Author.objects.filter(name__startswith=f"{group}-").order_by("pk")
        with contextlib.suppress(DatabaseError):
            async with new_connection():
                async for author in mine.aiterator(chunk_size=3):
                    names[group].append(author.name)
                    if len(names[group]) % 5 == 0:
                        await Tag.objects.acount()

    groups = range(4 * SERVERS)
    rows = [f"{group}-{i:02}" for i in range(ROWS) for group in groups]
    async with new_connection():
        await Author.objects.abulk_create(Author(name=name) for name in rows)
    for _ in range(5):
        names: list[list[str]] = [[] for _ in groups]
        await asyncio.gather(*map(read, groups))
        for group, found in enumerate(names):
            assert found == [f"{group}-{i:02}" for i in range(len(found))]
    await on_every_server("CLOSE ALL")


async def statements_prepared_by_many_tasks(watch: Watch) -> None:
    """Each gets its own query's answer, or an error."""

    async def ask(number: int) -> None:
        with contextlib.suppress(DatabaseError):
            async with new_connection() as conn, conn.acursor() as cursor:
                for _ in range(20):
                    await cursor.execute(f"SELECT {number}, %s::int", [number])
                    answers.append((number, await cursor.fetchone()))

    answers: list[tuple[int, Any]] = []
    with configured(OPTIONS={"prepare_threshold": 0, "server_side_binding": True}):
        await asyncio.gather(*(ask(number) for number in range(4 * SERVERS)))
    await on_every_server("DEALLOCATE ALL")
    assert [each for each in answers if each[1] != (each[0],) * 2] == []


# ----- either way


async def transactions(watch: Watch) -> None:
    async def increment() -> None:
        async with new_connection(), transaction.atomic():
            one = await Unique.objects.select_for_update().aget(key="counter")
            await Unique.objects.filter(pk=one.pk).aupdate(value=F("value") + 1)

    async with new_connection():
        await Unique.objects.acreate(key="counter")
    await asyncio.gather(*(increment() for _ in range(4 * SERVERS)))
    assert watch.value("SELECT value FROM testapp_unique") == 4 * SERVERS


async def a_cancelled_statement(watch: Watch) -> None:
    async with new_connection() as conn, conn.acursor() as cursor:
        for timeout in (0.2, 0.3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(timeout):
                    await cursor.execute("SELECT pg_sleep(30)")
            assert not watch.working()
            await cursor.execute("SELECT 1")
        assert not conn.connection_lost()


async def the_sessions_time_zone(watch: Watch) -> None:
    """PgBouncer takes along what the server reports, and that alone."""
    params = connections["default"].get_connection_params()
    with ExitStack() as others:
        for _ in range(SERVERS):  # their sessions are ours next
            others.enter_context(psycopg.connect(**params)).execute("SELECT 1")
    zones: Counter[str] = Counter()
    with mock.patch.dict(connections.settings["default"], TIME_ZONE="Asia/Tokyo"):
        async with new_connection() as conn, conn.acursor() as cursor:
            for _ in range(2 * SERVERS):
                await cursor.execute("SHOW timezone")
                zones.update(await cursor.fetchone())
    assert zones == {"Asia/Tokyo": 2 * SERVERS}


async def set_in_a_transaction(watch: Watch) -> None:
    show = "SELECT current_setting('statement_timeout')"
    async with new_connection() as conn, transaction.atomic(), conn.acursor() as cursor:
        await cursor.execute("SET LOCAL statement_timeout = '1min'")
        await cursor.execute(show)
        assert await cursor.fetchone() == ("1min",)
    assert await on_every_server(show) == ["0"] * SERVERS


DISABLED = (streams, nothing_is_left_in_a_session)
ENABLED = (
    a_stream_in_a_transaction,
    a_stream_at_one_go,
    a_stream_that_is_interrupted,
    streams_of_many_tasks,
    statements_prepared_by_many_tasks,
)
EITHER = (
    transactions,
    a_cancelled_statement,
    the_sessions_time_zone,
    set_in_a_transaction,
)


def _cases() -> Iterator[Any]:
    for case in DISABLED + EITHER:
        yield pytest.param(case, True, id=f"{case.__name__}-disabled")
    for case in ENABLED + EITHER:
        yield pytest.param(case, False, id=f"{case.__name__}-enabled")


@pytest.mark.parametrize("pool", [None, POOL_SIZE], ids=["direct", "pooled"])
@pytest.mark.parametrize(("case", "disabled"), list(_cases()))
def test_f27_behind_a_transaction_pooler(
    case: Case,
    disabled: bool,
    pool: int | None,
    watch: Watch,
    pooler: Any,
    pytestconfig: pytest.Config,
) -> None:
    async def main() -> None:
        await case(watch)
        await watch.idle()

    options = {} if pool is None else pool_options(max_size=4 * SERVERS)
    with configured(**pooler, OPTIONS=options, DISABLE_SERVER_SIDE_CURSORS=disabled):
        run(pytestconfig.option.loop, main())


@pytest.mark.parametrize("how", HOWS)
def test_f27_broken_off_at_every_await(watch: Watch, pooler: Any, how: str) -> None:
    break_off = partial(broken_off, how=how)
    with configured(**pooler, OPTIONS=pool_options()):
        run("asyncio", at_every_await(watch, nested, break_off, pool_is_whole))

"""F13: the server is restarted, and the pool goes on with new connections."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from django.db import OperationalError, transaction

from django_async_fast import new_connection
from tests.support.backend_pids import abackend_pid
from tests.support.configured import POOL_SIZE, configured, pool_is_whole, pool_options
from tests.support.every_await import run
from tools.postgres import Server, django_database, server

from .conftest import Watch

Case = Callable[[Server], Coroutine[Any, Any, None]]

# psycopg's pool tries again after a second, then after two.
UNTIL_RECONNECTED = 20.0


@pytest.fixture(scope="module")
def private() -> Iterator[Server]:
    with server() as started:
        yield started


async def pid() -> int:
    async with new_connection():
        return await abackend_pid()


async def pids(count: int) -> list[Any]:
    return await asyncio.gather(*(pid() for _ in range(count)), return_exceptions=True)


def failures(results: list[Any]) -> int:
    failed = [each for each in results if isinstance(each, BaseException)]
    assert all(isinstance(each, OperationalError) for each in failed), failed
    return len(failed)


async def restart(private: Server) -> None:
    await asyncio.to_thread(private.restart)


async def at_rest(private: Server) -> None:
    await pids(POOL_SIZE)
    await pool_is_whole()
    await restart(private)
    assert failures(await pids(4 * POOL_SIZE)) <= POOL_SIZE
    assert not failures(await pids(4 * POOL_SIZE))


async def checked_before_use(private: Server) -> None:
    await pids(POOL_SIZE)
    await restart(private)
    assert not failures(await pids(4 * POOL_SIZE))


async def at_work(private: Server) -> None:
    """Whoever waits for the server learns of it at once."""

    async def statement() -> None:
        async with new_connection() as conn, conn.acursor() as cursor:
            await cursor.execute("SELECT pg_sleep(60)")

    async def between_two() -> None:
        async with (
            new_connection() as conn,
            transaction.atomic(),
            conn.acursor() as cursor,
        ):
            await cursor.execute("SELECT 1")
            await restarted.wait()
            await cursor.execute("SELECT 1")

    restarted = asyncio.Event()
    tasks = [asyncio.ensure_future(work()) for work in (statement, between_two)]
    await asyncio.sleep(0.5)
    await restart(private)
    restarted.set()
    async with asyncio.timeout(20):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert failures(results) == 2
    assert failures(await pids(POOL_SIZE)) <= POOL_SIZE - 2  # those at rest


async def while_requests_come(private: Server) -> None:
    """Nothing but database errors, and none once the server is back."""
    await pids(POOL_SIZE)
    restarting = asyncio.ensure_future(restart(private))
    while not restarting.done():
        failures(await pids(2 * POOL_SIZE))
    failures(await pids(POOL_SIZE))
    assert not failures(await pids(4 * POOL_SIZE))


CASES: dict[Case, dict[str, Any]] = {
    at_rest: {},
    checked_before_use: {"CONN_HEALTH_CHECKS": True},
    at_work: {},
    while_requests_come: {},
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_f13_the_server_is_restarted(
    case: Case, private: Server, pytestconfig: pytest.Config
) -> None:
    async def main() -> None:
        await case(private)
        await pool_is_whole(grace=UNTIL_RECONNECTED)
        watch = Watch(private.dsn)
        await watch.idle()
        assert len(watch.sessions()) == POOL_SIZE
        watch.connection.close()

    database = django_database(private.dsn)
    options = pool_options(timeout=UNTIL_RECONNECTED)
    with configured(**database, OPTIONS=options, **CASES[case]):
        run(pytestconfig.option.loop, main())

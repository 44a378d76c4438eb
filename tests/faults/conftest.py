"""Databases that can be broken, and what must be true after each fault."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from django_async_fast import new_connection
from tests.support.proxy import Proxy

NAME = "faults"
# Whoever waits for what must come soon gives up after that many seconds: a busy machine
# has time enough, and what never comes is noticed.
GRACE = 20.0
POOL_SIZE = 3


class Watch:
    """The server's own view of the test's sessions, over a connection apart."""

    def __init__(self, dsn: str) -> None:
        self.dsn = conninfo_to_dict(dsn)
        self.connection = psycopg.connect(dsn, autocommit=True)

    def sessions(self) -> list[tuple[int, str, str]]:
        return self.connection.execute(
            "SELECT pid, state, query FROM pg_stat_activity WHERE application_name = %s",
            [NAME],
        ).fetchall()

    def working(self) -> list[tuple[int, str, str]]:
        return [row for row in self.sessions() if row[1] != "idle"]

    def value(self, query: str, *params: Any) -> Any:
        row = self.connection.execute(query, params).fetchone()
        return row and row[0]

    def terminate(self, *pids: int) -> None:
        """End sessions of the test on the server; without pids, all."""
        for pid in pids or [pid for pid, *_ in self.sessions()]:
            self.connection.execute("SELECT pg_terminate_backend(%s)", [pid])

    async def idle(self, grace: float = GRACE) -> None:
        """Assert that soon no session runs a query or has a transaction open."""
        deadline = time.monotonic() + grace
        while working := self.working():
            assert time.monotonic() < deadline, f"not idle: {working}"
            await asyncio.sleep(0.005)

    async def gone(self, grace: float = GRACE) -> None:
        """Assert that soon no session is left."""
        deadline = time.monotonic() + grace
        while left := self.sessions():
            assert time.monotonic() < deadline, f"still connected: {left}"
            await asyncio.sleep(0.005)


@pytest.fixture(scope="session")
def watch(dsn: str) -> Iterator[Watch]:
    watch = Watch(dsn)
    yield watch
    watch.connection.close()


@contextmanager
def configured(alias: str = "default", **changes: Any) -> Iterator[None]:
    """Let the blocks opened inside connect to `alias` with other settings."""
    settings = connections.settings[alias]
    options = {"application_name": NAME, **changes.pop("OPTIONS", {})}
    with mock.patch.dict(settings, OPTIONS=options, **changes):
        yield


@pytest.fixture
def configure() -> Iterator[Callable[..., None]]:
    """`configure(OPTIONS=..., PORT=...)`: other settings for the blocks to come."""
    with ExitStack() as stack:
        yield lambda alias="default", **changes: stack.enter_context(
            configured(alias, **changes)
        )


def pool_options(**options: Any) -> dict[str, Any]:
    size = {"min_size": POOL_SIZE, "max_size": POOL_SIZE, "timeout": 10}
    return {"pool": size | options}


def connected(watch: Watch, where: str) -> tuple[str, dict[str, Any], Any]:
    """Return the loop, OPTIONS, and what is awaited in the end: "direct" has no pool."""
    if where == "direct":
        return "asyncio", {}, watch.gone
    return where, pool_options(), pool_is_whole


def the_pool(alias: str = "default") -> Any:
    """The psycopg pool of the running loop."""
    from django_async_fast.pool import loop_pool

    pools = loop_pool._pools.get(asyncio.get_running_loop(), {})
    (found,) = [entry for (_, name), entry in pools.items() if name == alias]
    return found.pool


async def pool_is_whole(alias: str = "default", grace: float = GRACE) -> None:
    """Assert that every slot is back, and serves a connection that is idle."""
    pool = the_pool(alias)
    deadline = time.monotonic() + grace
    while True:
        figures = pool.get_stats()
        if figures["pool_available"] == figures["pool_size"] and not figures.get(
            "requests_waiting"
        ):
            break
        assert time.monotonic() < deadline, f"slots are out: {figures}"
        await asyncio.sleep(0.005)
    async with asyncio.timeout(10):
        await _take_all(alias, figures["pool_max"])


async def _take_all(alias: str, count: int) -> None:
    taken = asyncio.Barrier(count)

    async def take() -> int:
        async with new_connection(alias) as conn:
            async with conn.acursor() as cursor:
                await cursor.execute(
                    "SELECT now() = statement_timestamp() "
                    "AND pg_current_xact_id_if_assigned() IS NULL"
                )
                (fresh,) = await cursor.fetchone()
            assert fresh, "the connection is in a transaction"
            await taken.wait()
            # As it was told when it connected, behind a pooler too.
            return conn.connection.info.backend_pid

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(take()) for _ in range(count)]
    assert len({task.result() for task in tasks}) == count


@asynccontextmanager
async def through_proxy(watch: Watch, **changes: Any) -> AsyncIterator[Proxy]:
    """Blocks opened inside reach the server through the proxy."""
    if psycopg.pq.version() < 170000:
        # The proxy runs in this process.
        pytest.skip("libpq before 17 cancels in one call, and keeps the GIL meanwhile")
    host, port = watch.dsn["host"], int(watch.dsn["port"])
    async with Proxy(str(host), port) as proxy:
        with configured(HOST="127.0.0.1", PORT=str(proxy.port), **changes):
            yield proxy

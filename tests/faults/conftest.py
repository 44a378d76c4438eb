"""Databases that can be broken, and what must be true after each fault."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from django_async_fast.drivers.psycopg.read_pipelines import ReadPipeline
from tests.support.configured import (
    GRACE,
    NAME,
    configured,
    pool_is_whole,
    pool_options,
)
from tests.support.proxy import Proxy


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


@pytest.fixture
def configure() -> Iterator[Callable[..., None]]:
    """`configure(OPTIONS=..., PORT=...)`: other settings for the blocks to come."""
    with ExitStack() as stack:
        yield lambda alias="default", **changes: stack.enter_context(
            configured(alias, **changes)
        )


def connected(watch: Watch, where: str) -> tuple[str, dict[str, Any], Any]:
    """Return the loop, OPTIONS, and what is awaited in the end: "direct" has no pool."""
    if where == "direct":
        return "asyncio", {}, watch.gone
    return where, pool_options(), pool_is_whole


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


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many reads each pipeline has been sent with."""
    counts: list[int] = []

    def counting(self: ReadPipeline, reads: list[Any]) -> Any:
        counts.append(len(reads))
        return exchange(self, reads)

    exchange = ReadPipeline._exchange
    monkeypatch.setattr(ReadPipeline, "_exchange", counting)
    return counts

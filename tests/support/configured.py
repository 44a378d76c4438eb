"""Blocks that connect with other settings, and pools that are whole again after them."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db import connections

from django_async_fast import new_connection

NAME = "faults"
# Whoever waits for what must come soon gives up after that many seconds: a busy machine
# has time enough, and what never comes is noticed.
GRACE = 20.0
POOL_SIZE = 3


@contextmanager
def configured(alias: str = "default", **changes: Any) -> Iterator[None]:
    """Let the blocks opened inside connect to `alias` with other settings."""
    settings = connections.settings[alias]
    options = {"application_name": NAME, **changes.pop("OPTIONS", {})}
    with mock.patch.dict(settings, OPTIONS=options, **changes):
        yield


def pool_options(**options: Any) -> dict[str, Any]:
    size = {"min_size": POOL_SIZE, "max_size": POOL_SIZE, "timeout": 10}
    return {"pool": size | options}


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

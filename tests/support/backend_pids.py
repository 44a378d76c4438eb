"""Which of the server's processes a connection has: two that differ are two sessions."""

from typing import Any

from django_async_fast import async_connections

from .sql import execute

PID = "SELECT pg_backend_pid()"


def backend_pid() -> int:
    """Return that of the connection which synchronous code uses here."""
    return int(execute(PID)[0][0])


async def abackend_pid(conn: Any = None) -> int:
    """Return that of a block's connection, of `default`'s if none is given."""
    async with (conn or async_connections["default"]).acursor() as cursor:
        await cursor.execute(PID)
        return int((await cursor.fetchone())[0])

"""What the event loop has of a connection: its socket, for as long as it is one."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import psycopg
import pytest
from django.db import connection

from django_async_fast import new_connection, run_sync
from tests.support.backend_pids import abackend_pid
from tests.testapp.models import Tag


def watched(fd: int) -> bool:
    """Tell whether the loop watches the file of that number."""
    loop: Any = asyncio.get_running_loop()
    try:
        return loop._selector.get_map().get(fd) is not None
    except AttributeError:
        pytest.skip("the loop does not tell what it watches")


def copy_in(kill: Callable[[], None]) -> None:
    """COPY in with a session that is lost on the way, until somebody notices."""
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY testapp_tag (name) FROM STDIN") as copy,
    ):
        kill()
        while True:
            copy.write(b"x" * 100_000 + b"\n")


async def test_a_closed_socket_is_forgotten_where_an_operation_cannot_begin(
    admin: psycopg.Connection,
) -> None:
    async with new_connection() as conn:
        pid = await abackend_pid(conn)
        pgconn = conn.connection.pgconn
        fd = pgconn.socket
        assert watched(fd)

        def kill() -> None:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

        with pytest.raises(psycopg.OperationalError):
            await run_sync(copy_in, kill)
        assert pgconn.status == psycopg.pq.ConnStatus.BAD
        assert not watched(fd)
        assert await Tag.objects.acount() == 0


request: ContextVar[Any] = ContextVar("request", default=None)


async def test_a_notice_is_handled_in_the_context_of_who_waits() -> None:
    seen: list[Any] = []

    async def ask(value: str) -> None:
        request.set(value)
        async with new_connection("pooled") as conn:
            await conn.aensure_connection()
            raw = conn.connection
            raw.add_notice_handler(lambda diagnostic: seen.append(request.get()))
            async with conn.acursor() as cursor:
                await cursor.execute("DO $$ BEGIN RAISE WARNING 'a'; END $$")

    for value in ("first", "second"):
        await asyncio.create_task(ask(value))
    assert seen == ["first", "second"]


@pytest.mark.parametrize("alias", ["default", "pooled"])
async def test_a_socket_keeps_nothing_of_who_opened_it(alias: str) -> None:
    class Request:
        pass

    async def ask() -> Any:
        request.set(here := Request())
        await conn.aensure_connection()
        return weakref.ref(here)

    async with new_connection(alias) as conn:
        found = await asyncio.create_task(ask())
        await asyncio.sleep(0)  # what the loop itself had of the task
        gc.collect()
        assert conn.connection.session.channel is not None
        assert found() is None

"""A pool that Django has connected, and blocks whose first statement is known."""

import asyncio
import copy
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest import mock

from django_async_fast import new_connection
from django_async_fast.connections import wrapper
from django_async_fast.connections.blocks import current_block
from django_async_fast.pool import loop_pool
from tests.support.until import until
from tests.testapp.models import Tag


async def get() -> Tag:
    return await Tag.objects.using("pooled").aget(pk=1)


@asynccontextmanager
async def known_block(**options: Any) -> AsyncIterator[Any]:
    """Begin a block with a known get()."""
    async with new_connection("pooled", **options) as conn:
        await get()
        yield conn


async def warm() -> Any:
    """Let Django connect once; return the origin that the next block will have."""
    for _ in range(3):
        await origin_of_a_block()
    return await origin_of_a_block()


async def origin_of_a_block() -> Any:
    async with known_block():
        return its_wrapper().connection.session


async def block() -> Any:
    """Return the wrapper of a block that has ended."""
    async with known_block():
        return its_wrapper()


def its_wrapper() -> Any:
    return current_block().wrapper("pooled")


@contextmanager
def not_connecting() -> Iterator[None]:
    """Fail where a wrapper is connected in Django's way."""
    with mock.patch.object(wrapper.BlockWrapper, "_connect") as connect:
        yield
    assert not connect.called


def state_of(thing: Any) -> dict[str, Any]:
    mutable = (list, dict, set, deque)
    shown = (type(None), bool, int, float, str, bytes, *mutable)
    # Of the class too: some attributes are there until one is set.
    names = [name for name in dir(thing) if name in STATE or name in vars(thing)]
    values = ((name, getattr(thing, name)) for name in names)
    return {
        name: copy.copy(value)
        for name, value in values
        if isinstance(value, shown)
        and name not in ("_thread_ident", "settings_dict", "timezone_name")
    }


# Of a psycopg connection that no cursor has been made of.
STATE = {
    *("_autocommit", "_closed", "_isolation_level", "_num_transactions", "_pipeline"),
    *("_read_only", "_deferrable", "_begin_statement", "_tpc"),
}


def pool_connections_out() -> list[Any]:
    (entry,) = loop_pool._pools[asyncio.get_running_loop()].values()
    # An error's frames may have one that was closed.
    opened = [each for each in entry.connections if not each.closed]
    return [each for each in opened if each not in entry.pool._pool]


async def all_taken(release: asyncio.Event) -> None:
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
        await release.wait()


async def crowd() -> tuple[asyncio.Event, list[asyncio.Task[None]]]:
    """Have all of a warm pool's connections taken until the event is set."""
    await warm()
    release = asyncio.Event()
    tasks = [asyncio.create_task(all_taken(release)) for _ in range(4)]
    await until(lambda: len(pool_connections_out()) == 4)
    return release, tasks


async def later(what: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    await asyncio.sleep(0.02)
    return await what()

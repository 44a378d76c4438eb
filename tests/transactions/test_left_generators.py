"""Generators left in `atomic()`, that end wherever the last reference to them does."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from django_async_fast import new_connection, run_sync
from tests.support.tags import tags
from tests.testapp.models import Tag


def in_atomic() -> Iterator[None]:
    with transaction.atomic():
        Tag.objects.create(name="left")
        yield


async def in_async_atomic() -> AsyncIterator[None]:
    async with transaction.atomic():
        await Tag.objects.acreate(name="left")
        yield


def leave(held: list[Any]) -> None:
    held.append(in_atomic())
    next(held[0])


class Other:
    """A task that has left `held` in a transaction of its block, and goes on later."""

    def __init__(self) -> None:
        self.held: list[Any] = []
        self.left, self.go_on = asyncio.Event(), asyncio.Event()

    async def run(self, leave: Callable[[list[Any]], Any]) -> None:
        async with new_connection():
            await leave(self.held)
            self.left.set()
            await self.go_on.wait()
            # What it believes to be in the transaction is not done outside of it.
            with pytest.raises(DatabaseError):
                await Tag.objects.acreate(name="later")


async def leave_async(held: list[Any]) -> None:
    held.append(in_async_atomic())
    await anext(held[0])


async def leave_on_bridge(held: list[Any]) -> None:
    await run_sync(leave, held)


async def on_bridge(held: list[Any]) -> None:
    await run_sync(held.clear)


async def in_coroutine(held: list[Any]) -> None:
    held.clear()


async def in_thread(held: list[Any]) -> None:
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()


@pytest.mark.parametrize("collect", [on_bridge, in_coroutine, in_thread])
@pytest.mark.parametrize("leave", [leave_on_bridge, leave_async])
async def test_nobody_elses_transaction_ends(leave: Any, collect: Any) -> None:
    other = Other()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(other.run(leave))
        await other.left.wait()
        async with new_connection() as conn, transaction.atomic():
            await Tag.objects.acreate(name="ours")
            await collect(other.held)
            await asyncio.sleep(0.05)
            assert conn.in_atomic_block
            await Tag.objects.acreate(name="ours too")
            assert await tags() == []
        other.go_on.set()
    assert await tags() == ["ours", "ours too"]


async def test_an_atomic_block_ends_where_it_began() -> None:
    async def in_a_block_of_its_own() -> AsyncIterator[None]:
        async with new_connection():
            yield

    async with new_connection():
        steps = in_a_block_of_its_own()
        async with transaction.atomic():
            await Tag.objects.acreate(name="kept")
            await anext(steps)
        assert await tags() == ["kept"]
        await steps.aclose()


async def test_closed_in_another_block_of_its_own_task() -> None:
    held: list[Any] = []
    async with new_connection():
        await run_sync(leave, held)
        async with new_connection():
            await run_sync(held[0].close)
        await asyncio.sleep(0)
        assert await Tag.objects.acount() == 0
        async with transaction.atomic():
            await Tag.objects.acreate(name="later")
    assert await tags() == ["later"]

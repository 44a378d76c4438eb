"""Atomic blocks that are left in another order than they were entered: Django's stack."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.db import connection, connections, transaction

from django_async_fast import new_connection, run_sync
from tests.support.tags import tags
from tests.testapp.models import Tag

ORDERS = [*itertools.permutations(range(3)), (0,), (1,), (2, 0), (0, 1), ()]


def run(order: tuple[int, ...], fails: int | None, savepoint: bool) -> list[Any]:
    """Enter three, leave those of `order`; return Django's state after each step."""
    blocks = [transaction.atomic(savepoint=savepoint or i == 0) for i in range(3)]
    states: list[Any] = []

    def note() -> None:
        has = len(connection.savepoint_ids), len(connection.atomic_blocks)
        rolls_back = connection.in_atomic_block and connection.needs_rollback
        states.append((*has, connection.in_atomic_block, rolls_back))

    for i, block in enumerate(blocks):
        block.__enter__()
        Tag.objects.create(name=f"in {i}")
        note()
    for i in order:
        error = ValueError(f"{i}") if i == fails else None
        blocks[i].__exit__(error and ValueError, error, None)
        note()
    return states


@pytest.mark.parametrize("savepoint", [True, False])
@pytest.mark.parametrize("fails", [None, 0, 1, 2])
@pytest.mark.parametrize("order", ORDERS)
async def test_any_order(order: Any, fails: int | None, savepoint: bool) -> None:
    def stock() -> list[Any]:
        try:
            return run(order, fails, savepoint)
        finally:
            connection.close()
            del connections["default"]  # which takes itself for in a transaction

    wanted = await asyncio.to_thread(stock)
    kept = await tags()
    async with new_connection():
        await Tag.objects.all().adelete()
        assert await run_sync(run, order, fails, savepoint) == wanted
    assert await tags() == kept


def in_atomic(name: str) -> Iterator[None]:
    with transaction.atomic():
        Tag.objects.create(name=name)
        yield


async def in_async_atomic(name: str) -> AsyncIterator[None]:
    async with transaction.atomic():
        await Tag.objects.acreate(name=name)
        yield


async def test_generators_that_end_in_the_order_of_their_making() -> None:
    def begin_and_end() -> None:
        made = [in_atomic("a"), in_atomic("b")]
        for each in made + made:
            next(each, None)

    async with new_connection() as conn:
        await run_sync(begin_and_end)
        made = [in_async_atomic("c"), in_async_atomic("d")]
        for each in made + made:
            await anext(each, None)
        assert not conn.in_atomic_block
    assert await tags() == ["a", "b", "c", "d"]


async def test_the_transaction_waits_for_another_tasks() -> None:
    """Who has not entered the inner one himself is not to end it."""
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def inner() -> None:
        async with transaction.atomic():
            inside.set()
            await go_on.wait()
            await Tag.objects.acreate(name="inner")

    async with new_connection():
        async with transaction.atomic():
            task = asyncio.create_task(inner())
            await inside.wait()
            asyncio.get_running_loop().call_later(0.05, go_on.set)
        assert task.done()
        await task
    assert await tags() == ["inner"]

"""Scenarios of transactions that each kind of database has to stand."""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from django_async_fast import new_connection, transaction
from tests.support.every_await import MOST, broken_off
from tests.support.other_databases import names, threads
from tests.testapp.models import Tag

Scenario = Callable[[str], Coroutine[Any, Any, None]]


async def add_two(using: str, number: int) -> None:
    """Add two tags in a transaction; roll it back if `number` is odd.

    Several tasks do so on one connection, whose transactions must not mix.
    """
    tags = Tag.objects.using(using)
    async with transaction.atomic(using=using):
        await tags.acreate(name=f"{number}-1")
        await asyncio.sleep(0)
        assert await tags.filter(name__startswith=f"{number}-").acount() == 1
        await tags.acreate(name=f"{number}-2")
        if number % 2:
            transaction.set_rollback(True, using=using)


async def nested_transactions(using: str) -> None:
    """Commit the tags a and b, in a block of its own."""
    tags = Tag.objects.using(using)
    async with new_connection(using):
        async with transaction.atomic(using=using):
            await tags.acreate(name="a")
            async with transaction.atomic(using=using):
                await tags.abulk_create([Tag(name="b"), Tag(name="c")])
            assert await names(using) == ["a", "b", "c"]
            await tags.filter(name="c").adelete()
        assert [tag.name async for tag in tags.order_by("name").aiterator(1)]


async def single_statements(using: str) -> None:
    """Commit the tag a, then call it b, in a block of its own."""
    async with new_connection(using):
        await Tag.objects.using(using).acreate(name="a")
        await Tag.objects.using(using).filter(name="a").aupdate(name="b")


# Scenario -> the tags that it may leave wherever it is broken off; the last are those of
# its end.
SCENARIOS: dict[Scenario, Sequence[list[str]]] = {
    nested_transactions: ([], ["a", "b"]),
    single_statements: ([], ["a"], ["b"]),
}


async def break_off_at_every_await(
    using: str,
    scenario: Scenario,
    how: str,
    server_is_done: Callable[[str], Awaitable[None]] | None = None,
) -> None:
    """Assert that a scenario, broken off anywhere, leaves whole transactions.

    `server_is_done` waits in a block for what a connection has left to its server.
    """
    allowed = SCENARIOS[scenario]
    for at in range(1, MOST):
        happened, _ = await broken_off(partial(scenario, using), at, how)
        if how == "close" and sys.version_info < (3, 13):
            gc.collect()  # an asynchronous generator keeps the step that was closed
        # Whatever was left open would have the rows locked.
        async with asyncio.timeout(20), new_connection(using):
            if server_is_done is not None:
                await server_is_done(using)
            left = await names(using)
            assert left in allowed, f"at await {at}: {left}"
            await Tag.objects.using(using).all().adelete()
        for thread in threads():
            await asyncio.to_thread(thread.join, 20)
        if not happened:
            assert left == allowed[-1]
            return
    raise AssertionError("the scenario has no end")

"""A bridged call is a unit: what was one in the thread of stock Django stays one."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import InterfaceError, connection, connections, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from django_async_fast import bridge, new_connection, run_sync
from django_async_fast.bridge import driving
from django_async_fast.tasks.gate_errors import ScopeDeadlock
from django_async_fast.test import TestCase
from tests.testapp.models import Author, Book, Tag, Unique

from .counters import COUNTERS, increment, twice, two_increments, value


async def test_updates_are_not_lost() -> None:
    async with new_connection():
        await Unique.objects.acreate(key="k")
        await asyncio.gather(*(run_sync(increment) for _ in range(COUNTERS)))
        assert await value() == COUNTERS


async def test_a_queryset_is_evaluated_once() -> None:
    async with new_connection():
        author = await Author.objects.acreate(name="a")
        await Book.objects.acreate(title="b", author=author)
        shared = Author.objects.prefetch_related("books")

        async def read() -> list[tuple[Any, list[str]]]:
            return [
                (each, [b.title for b in each.books.all()]) async for each in shared
            ]

        first, *others = await asyncio.gather(*(read() for _ in range(3)))
        assert first == [(author, ["b"])]
        assert all(other[0][0] is first[0][0] for other in others)


class Log(list[str]):
    """An execute wrapper."""

    def __call__(self, execute: Any, sql: str, *rest: Any) -> Any:
        self.append(sql)
        return execute(sql, *rest)


async def test_what_is_put_around_queries_sees_the_unit_s_only() -> None:
    def logged(count: int) -> int:
        log = Log()
        with connection.execute_wrapper(log):
            for _ in range(count):
                Tag.objects.count()
        return len(log)

    def captured(count: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            for _ in range(count):
                Tag.objects.count()
        return len(queries)

    async with new_connection():
        for function in (logged, captured):
            counts = [run_sync(function, count) for count in (2, 3, 4)]
            assert await asyncio.gather(*counts) == [2, 3, 4]
        assert await run_sync(lambda: connection.execute_wrappers) == []


async def test_what_a_unit_awaits_is_part_of_it() -> None:
    order: list[str] = []

    async def inner() -> None:
        await asyncio.gather(*(run_sync(increment) for _ in range(COUNTERS)))
        order.append("inner")

    def outer() -> None:
        increment()
        async_to_sync(inner)()
        order.append("outer")

    async def sibling() -> None:
        await asyncio.sleep(0)
        await Tag.objects.acount()
        order.append("sibling")

    async with new_connection():
        await Unique.objects.acreate(key="k")
        await asyncio.gather(run_sync(outer), sibling())
        assert await value() == COUNTERS + 1
    assert order == ["inner", "outer", "sibling"]


async def test_a_unit_in_a_transaction() -> None:
    async def add() -> None:
        async with transaction.atomic():
            await asyncio.gather(*(run_sync(increment) for _ in range(COUNTERS)))

    async with new_connection():
        await Unique.objects.acreate(key="k")
        await asyncio.gather(add(), add(), run_sync(increment))
        assert await value() == 2 * COUNTERS + 1


async def test_one_that_waits_for_its_own_turn_is_told() -> None:
    async with new_connection():

        async def ask(asked: asyncio.Event) -> int:
            await asked.wait()
            return await Tag.objects.acount()

        def unit(task: asyncio.Task[int], asked: asyncio.Event) -> None:
            Tag.objects.count()
            asked.set()

            async def wait() -> None:
                await task

            async_to_sync(wait)()

        asked = asyncio.Event()
        task = asyncio.create_task(ask(asked))
        with pytest.raises(ScopeDeadlock) as told:
            await asyncio.wait_for(run_sync(unit, task, asked), 20)
        assert str(told.value).count(Path(__file__).name) == 2
        assert await Tag.objects.acount() == 0


async def test_two_connections_in_opposite_order() -> None:
    """The second does not begin before the first is over: no deadlock."""

    def counts(*aliases: str) -> list[int]:
        return [Tag.objects.using(alias).count() for alias in aliases]

    async with new_connection():
        both = (
            run_sync(counts, "default", "other"),
            run_sync(counts, "other", "default"),
        )
        assert await asyncio.gather(*both) == [[0, 0], [0, 0]]


@pytest.mark.parametrize("steps", range(1, 8))
async def test_a_unit_that_is_cancelled_gives_the_turn_on(steps: int) -> None:
    async with new_connection():
        first, second = await two_increments()
        for _ in range(steps):
            await asyncio.sleep(0.0005)
        first.cancel()
        await asyncio.wait_for(second, 10)
        done = (await asyncio.gather(first, return_exceptions=True))[0] is None
        # Cancelled, its update may have been sent all the same.
        assert await value() in ({2} if done else {1, 2})


async def test_one_that_waits_to_begin_outlives_its_block() -> None:
    async with new_connection():
        task, late = await two_increments()
        await asyncio.sleep(0)
    results = await asyncio.gather(task, late, return_exceptions=True)
    assert all(r is None or isinstance(r, InterfaceError) for r in results), results


async def test_waiting_long_is_fine_while_others_go_on(settings_override: Any) -> None:
    settings_override(DJANGO_ASYNC_FAST={"SCOPE_TIMEOUT": 0.2})
    async with new_connection():
        sleep = "SELECT pg_sleep(0.02)"
        async with asyncio.TaskGroup() as group:
            for _ in range(30):
                group.create_task(run_sync(lambda: connection.cursor().execute(sleep)))


async def test_a_coroutine_is_no_unit() -> None:
    """Statements of two coroutines alternate, as stock's thread would take them."""
    order: list[int] = []

    async def steps(number: int) -> None:
        for _ in range(3):
            await Tag.objects.acount()
            order.append(number)

    async with new_connection():
        await asyncio.gather(steps(1), steps(2))
    assert order == [1, 2] * 3


async def test_a_failed_unit_gives_the_turn_on() -> None:
    def fail() -> None:
        Tag.objects.count()
        raise TransactionManagementError("ours")

    async with new_connection():
        failed, count = await asyncio.gather(
            run_sync(fail), Tag.objects.acount(), return_exceptions=True
        )
        assert (str(failed), count) == ("ours", 0)
        assert not connections["default"].gate.units.calls


@pytest.mark.parametrize("wait", [bridge.drive, bridge.await_, driving.await_driven])
async def test_coroutines_that_a_unit_waits_for(wait: Callable[[Any], Any]) -> None:
    def unit() -> Any:
        Tag.objects.count()
        return wait(twice())

    async with new_connection(), asyncio.timeout(10):
        assert await asyncio.gather(run_sync(unit), twice()) == [[0] * 4] * 2


async def test_what_a_driven_coroutine_calls_is_a_unit() -> None:
    async def driven() -> None:
        for _ in range(COUNTERS):
            increment()  # not awaited

    async with new_connection():
        await Unique.objects.acreate(key="k")
        await asyncio.gather(
            driving.driven(driven()), *(run_sync(increment) for _ in range(COUNTERS))
        )
        assert await value() == 2 * COUNTERS


async def test_a_driven_coroutine_is_no_unit() -> None:
    order: list[int] = []

    async def steps(number: int) -> None:
        for _ in range(3):
            await Tag.objects.acount()
            Tag.objects.count()
            order.append(number)
            await asyncio.sleep(0)

    async with new_connection():
        await asyncio.gather(driving.driven(steps(1)), driving.driven(steps(2)))
    assert sorted(order) == [1, 1, 1, 2, 2, 2]
    assert order not in ([1, 1, 1, 2, 2, 2], [2, 2, 2, 1, 1, 1])


class Tests(TestCase):
    """In a test, which is a bridged call."""

    def test_what_is_counted_follows_queries_of_the_test(self) -> None:
        Tag.objects.create(name="a")
        self.assertNumQueries(1, Tag.objects.count)

    async def test_its_tasks_use_its_connection(self) -> None:
        await Tag.objects.acreate(name="a")
        counts = await asyncio.gather(*(Tag.objects.acount() for _ in range(3)))
        assert counts == [1, 1, 1]

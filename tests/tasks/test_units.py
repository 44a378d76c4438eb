"""A bridged call is a unit: what was one in the thread of stock Django stays one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import InterfaceError, connection, connections, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from django.utils.functional import SimpleLazyObject

from django_async_fast import bridge, new_connection, run_sync
from django_async_fast.bridge import driving
from django_async_fast.tasks.gate_errors import ScopeDeadlock, ScopeTimeout
from django_async_fast.test import TestCase
from tests.testapp.models import Author, Book, Tag, Unique

COUNTERS = 5

Run = Callable[..., Awaitable[Any]]


def increment(key: str = "k") -> None:
    row = Unique.objects.get(key=key)
    row.value += 1
    row.save()


async def two_increments() -> tuple[asyncio.Task[None], asyncio.Task[None]]:
    await Unique.objects.acreate(key="k")
    first = asyncio.create_task(run_sync(increment))
    return first, asyncio.create_task(run_sync(increment))


async def value(key: str = "k") -> int:
    return int((await Unique.objects.aget(key=key)).value)


async def test_updates_are_not_lost() -> None:
    async with new_connection():
        await Unique.objects.acreate(key="k")
        await asyncio.gather(*(run_sync(increment) for _ in range(COUNTERS)))
        assert await value() == COUNTERS


async def test_a_row_is_made_once() -> None:
    async with new_connection():
        made = await asyncio.gather(
            *(Author.objects.aget_or_create(name="same") for _ in range(COUNTERS)),
            *(
                Author.objects.aupdate_or_create(
                    name="other", defaults={"mentor": None}
                )
                for _ in range(COUNTERS)
            ),
        )
        assert sum(created for _, created in made) == 2
        assert await Author.objects.acount() == 2


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
        assert str(told.value).count("test_units.py") == 2
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


async def test_one_that_waits_to_begin_is_cancelled() -> None:
    async with new_connection():
        first, second = await two_increments()
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait_for(run_sync(increment), 10)
        await first
        assert second.cancelled()
        assert await value() == 2


async def test_one_that_waits_to_begin_outlives_its_block() -> None:
    async with new_connection():
        task, late = await two_increments()
        await asyncio.sleep(0)
    results = await asyncio.gather(task, late, return_exceptions=True)
    assert all(r is None or isinstance(r, InterfaceError) for r in results), results


async def test_waiting_long_is_fine_while_others_go_on(
    settings_override: Callable[..., None],
) -> None:
    settings_override(DJANGO_ASYNC_FAST={"SCOPE_TIMEOUT": 0.2})
    async with new_connection():
        sleep = "SELECT pg_sleep(0.02)"
        async with asyncio.TaskGroup() as group:
            for _ in range(30):
                group.create_task(run_sync(lambda: connection.cursor().execute(sleep)))


async def test_waiting_in_vain_ends(settings_override: Callable[..., None]) -> None:
    settings_override(DJANGO_ASYNC_FAST={"SCOPE_TIMEOUT": 0.2})
    async with new_connection():
        entered = asyncio.Event()

        async def hold() -> None:
            async with transaction.atomic():
                await Tag.objects.acount()
                entered.set()
                await asyncio.sleep(1)

        task = asyncio.create_task(hold())
        await entered.wait()
        with pytest.raises(ScopeTimeout, match=r"This statement: .*test_units\.py"):
            await Tag.objects.acount()
        await task


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


# ----- as in stock's thread: the same program there has the same outcome


async def in_both(program: Callable[[Run], Awaitable[Any]]) -> Any:
    """Return what `program` returns in a block; in stock's thread it must be equal."""

    async def stock(func: Callable[..., Any], *args: Any) -> Any:
        return await sync_to_async(func)(*args)

    expected = await program(stock)
    await sync_to_async(_clean)()
    async with new_connection():
        found = await program(run_sync)
    assert found == expected
    return found


def _clean() -> None:
    Book.objects.all().delete()
    Author.objects.all().delete()
    connections.close_all()


async def test_what_is_looked_for_is_made_once() -> None:
    def get_or_create() -> bool:
        return Author.objects.get_or_create(name="same")[1]

    def update_or_create() -> bool:
        return Author.objects.update_or_create(
            defaults={"name": "other"}, name="other"
        )[1]

    async def program(run: Run) -> list[int]:
        made = [
            sum(await asyncio.gather(*(run(function) for _ in range(5))))
            for function in (get_or_create, update_or_create)
        ]
        return [*made, await run(Author.objects.count)]

    assert await in_both(program) == [1, 1, 2]


async def test_the_asynchronous_methods_are_units_too() -> None:
    async with new_connection():
        got = await asyncio.gather(
            *(Author.objects.aget_or_create(name="same") for _ in range(5))
        )
        put = await asyncio.gather(
            *(
                Author.objects.aupdate_or_create(defaults={"name": "b"}, name="b")
                for _ in range(5)
            )
        )
        assert sum(made for _, made in got) == sum(made for _, made in put) == 1
        author = Author(name="saved by all")
        await asyncio.gather(*(author.asave() for _ in range(3)))
        assert await Author.objects.filter(name=author.name).acount() == 1


async def test_a_lazy_object_is_made_once() -> None:
    made: list[Author] = []

    def make() -> Author:
        made.append(Author.objects.get())
        return made[-1]

    async with new_connection():
        await Author.objects.acreate(name="a")
        user = SimpleLazyObject(make)
        await asyncio.gather(*(run_sync(getattr, user, "name") for _ in range(3)))
    assert len(made) == 1


async def test_what_a_call_awaits_before_its_first_statement_begins_its_unit() -> None:
    def work(pk: int) -> None:
        author = async_to_sync(Author.objects.all().aget)(pk=pk)
        author.name = str(int(author.name) + 1)
        author.save()

    async with new_connection():
        author = await Author.objects.acreate(name="0")
        await asyncio.gather(*(run_sync(work, author.pk) for _ in range(4)))
        assert (await Author.objects.aget()).name == "4"


async def test_a_task_that_outlives_its_unit_goes_on_as_others_do() -> None:
    tasks: list[asyncio.Task[int]] = []

    async def later() -> int:
        await asyncio.sleep(0.02)
        return await Tag.objects.acount()

    async def begin() -> None:
        tasks.append(asyncio.create_task(later()))

    def work() -> None:
        Tag.objects.create(name="a")
        async_to_sync(begin)()

    async with new_connection():
        await run_sync(work)
        assert await asyncio.gather(tasks[0], Tag.objects.acount()) == [1, 1]


async def test_an_atomic_block_is_left_when_a_units_work_is_whole() -> None:
    """A child's function that has begun is not cut in two by the commit."""
    begun = asyncio.Event()

    def work() -> None:
        Tag.objects.create(name="a")
        begun.set()
        async_to_sync(asyncio.sleep)(0.02)
        Tag.objects.create(name="b")

    async with new_connection():
        async with transaction.atomic():
            task = asyncio.create_task(run_sync(work))
            await begun.wait()
        await task
        assert await Tag.objects.acount() == 2


async def test_statements_go_between_the_chunks_of_a_stream() -> None:
    async with new_connection():
        await Tag.objects.abulk_create(Tag(name=str(i)) for i in range(6))
        seen = [
            (tag.name, await Tag.objects.acount())
            async for tag in Tag.objects.order_by("pk").aiterator(2)
        ]
    assert seen == [(str(i), 6) for i in range(6)]


async def test_a_call_without_statements_holds_up_nobody() -> None:
    event = asyncio.Event()

    async with new_connection():
        waiting = asyncio.create_task(run_sync(async_to_sync(event.wait)))
        await asyncio.sleep(0)
        assert await Tag.objects.acount() == 0
        event.set()
        assert await waiting


def slow(seconds: float = 0.05) -> None:
    Tag.objects.count()
    async_to_sync(asyncio.sleep)(seconds)
    Tag.objects.count()


@pytest.mark.parametrize("steps", range(9))
@pytest.mark.parametrize("who", range(3))
async def test_whoever_is_cancelled_the_turn_goes_on(who: int, steps: int) -> None:
    async with new_connection() as conn:
        await Tag.objects.acount()
        tasks = [asyncio.create_task(run_sync(slow, 0.005)) for _ in range(3)]
        for _ in range(steps):
            await asyncio.sleep(0.001)
        tasks[who].cancel()
        async with asyncio.timeout(10):
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert await Tag.objects.acount() == 0
        results.pop(who)
        assert results == [None, None]
        assert not conn.gate.units.calls
        assert not conn.gate.units.waiting
        assert not conn.gate.waiting


async def test_closed_in_the_middle_the_turn_goes_on() -> None:
    async with new_connection() as conn:
        await Tag.objects.acount()
        coroutine = bridge.run(slow)
        coroutine.send(None)
        waiting = asyncio.create_task(Tag.objects.acount())
        await asyncio.sleep(0)
        coroutine.close()
        assert await waiting == 0
        assert not conn.gate.units.calls


async def test_a_unit_whose_block_ends_is_refused() -> None:
    begun = asyncio.Event()

    def work() -> None:
        Tag.objects.count()
        begun.set()
        async_to_sync(asyncio.sleep)(0.02)
        Tag.objects.count()

    async with new_connection():
        task = asyncio.create_task(run_sync(work))
        await begun.wait()
        waiting = asyncio.create_task(run_sync(Tag.objects.count))
        await asyncio.sleep(0)
    for each in (waiting, task):
        with pytest.raises(InterfaceError, match="has ended"):
            await each


async def test_what_cannot_be_seen_ends_with_the_timeout(settings_override) -> None:
    settings_override(DJANGO_ASYNC_FAST={"SCOPE_TIMEOUT": 0.2})
    async with new_connection():
        done = asyncio.Event()

        async def other() -> None:
            try:
                await Tag.objects.acount()
            finally:
                done.set()

        def work() -> None:
            Tag.objects.count()
            async_to_sync(done.wait)()

        working = asyncio.create_task(run_sync(work))
        await asyncio.sleep(0.02)
        with pytest.raises(ScopeTimeout) as caught:
            await other()
        assert str(caught.value).count("test_units.py:") == 2
        await working


async def test_units_that_want_each_others_connection_do_not_hang() -> None:
    """Two that have begun before either had a connection."""

    def work(first: str, second: str) -> None:
        async_to_sync(asyncio.sleep)(0)
        Tag.objects.using(first).count()
        Tag.objects.using(second).count()

    async with new_connection():
        results = await asyncio.gather(
            run_sync(work, "default", "other"),
            run_sync(work, "other", "default"),
            return_exceptions=True,
        )
        assert [type(each) for each in results if each] == [ScopeDeadlock]
        assert await Tag.objects.using("other").acount() == 0


async def test_the_clock_counts_while_nobody_gets_on(settings_override) -> None:
    """Each gets its turn soon; the last has waited much longer than the timeout."""
    settings_override(DJANGO_ASYNC_FAST={"SCOPE_TIMEOUT": 0.2})

    async def add(name: str) -> None:
        async with transaction.atomic():
            await Tag.objects.acreate(name=name)
            await asyncio.sleep(0.02)

    async with new_connection():
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(add(str(i)) for i in range(30)))
        assert loop.time() - began > 0.4
        assert await Tag.objects.acount() == 30


async def test_no_timer_is_left() -> None:
    async with new_connection() as conn:
        await asyncio.gather(*(Tag.objects.acreate(name=str(i)) for i in range(4)))
        assert conn.gate._timer is None
        assert conn.gate.units._timer is None


# ----- what a call awaits, in whatever way, is part of it


async def twice() -> list[int]:
    counts = [await Tag.objects.acount()]
    await asyncio.sleep(0)
    counts += await asyncio.gather(*(Tag.objects.acount() for _ in range(3)))
    return counts


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

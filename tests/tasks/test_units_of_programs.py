"""Programs that tasks run at once have in a block the outcome that they have in stock Django."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import InterfaceError, connections, transaction
from django.utils.functional import SimpleLazyObject

from django_async_fast import bridge, new_connection, run_sync
from django_async_fast.tasks.gate_errors import ScopeDeadlock, ScopeTimeout
from tests.testapp.models import Author, Book, Tag

Run = Callable[..., Awaitable[Any]]


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
        assert str(caught.value).count(f"{Path(__file__).name}:") == 2
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

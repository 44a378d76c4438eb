"""Tasks whose first statements wait: for the pool, and for one connection of a block."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from django_async_fast import bridge, new_connection, run_sync
from django_async_fast.pool import loop_pool
from tests.support.signals import receiving
from tests.support.until import until
from tests.testapp.models import Tag

from .warm_pool import block, crowd, get, later, pool_connections_out, warm

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("tag")]


async def get_in_djangos_way() -> Tag:
    return await Tag.objects.using("pooled").extra(where=["TRUE"]).aget(pk=1)


async def test_two_tasks_ask_first_in_one_block() -> None:
    await warm()
    async with new_connection("pooled"):
        tags = await asyncio.gather(*(get() for _ in range(6)))
        assert {each.pk for each in tags} == {1}
        assert len(pool_connections_out()) == 1


async def test_two_tasks_of_a_block_wait_in_line() -> None:
    release, tasks = await crowd()
    async with new_connection("pooled"):
        asked = [asyncio.create_task(get()) for _ in range(3)]
        await asyncio.sleep(0.05)
        release.set()
        assert {each.pk for each in await asyncio.gather(*asked)} == {1}
        await asyncio.gather(*tasks)
        assert len(pool_connections_out()) == 1
    assert not pool_connections_out()


@pytest.mark.parametrize("late", [False, True])
async def test_cancelled_in_line(late: bool) -> None:
    release, tasks = await crowd()
    waiting = asyncio.create_task(block())
    await asyncio.sleep(0.05)
    if late:
        release.set()
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    release.set()
    await asyncio.gather(*tasks)
    await until(lambda: not pool_connections_out())
    await block()


async def test_a_full_pool_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    release, tasks = await crowd()
    (entry,) = loop_pool._pools[asyncio.get_running_loop()].values()
    monkeypatch.setattr(entry.pool, "timeout", 0.1)
    with pytest.raises(OperationalError, match="all 4 of at most 4 connections"):
        await block()
    release.set()
    await asyncio.gather(*tasks)


async def test_blocks_take_what_others_have_had() -> None:
    release, tasks = await crowd()
    waiting = [asyncio.create_task(block()) for _ in range(8)]
    await asyncio.sleep(0.05)
    release.set()
    await asyncio.gather(*tasks, *waiting)
    assert not pool_connections_out()


OTHERS: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
    "one like it": get,
    "another query": lambda: Tag.objects.using("pooled").acount(),
}


@pytest.mark.parametrize("other", OTHERS)
async def test_tasks_of_a_block_wait_for_one_connection(other: str) -> None:
    # With one more for each, every block would have one and wait for another.
    release, tasks = await crowd()

    async def two() -> None:
        async with new_connection("pooled"):
            await asyncio.gather(get(), later(OTHERS[other]), later(get))

    blocks = [asyncio.create_task(two()) for _ in range(5)]
    await asyncio.sleep(0.05)
    release.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks, *blocks)
    assert not pool_connections_out()


async def test_the_second_goes_on_when_the_first_is_cancelled() -> None:
    release, tasks = await crowd()
    async with new_connection("pooled"):
        first, second = (asyncio.create_task(get()) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.sleep(0.05)
        release.set()
        async with asyncio.timeout(20):
            assert (await second).pk == 1
        await asyncio.gather(*tasks)
    assert first.cancelled()
    assert not pool_connections_out()


async def test_a_task_that_outlives_its_block_takes_none() -> None:
    await warm()
    left = new_connection("pooled")
    await left.__aenter__()
    ended = asyncio.Event()

    def late() -> Any:
        bridge.await_(ended.wait())
        return Tag.objects.using("pooled").get(pk=1)

    task = asyncio.create_task(run_sync(late))
    await asyncio.sleep(0)
    await left.__aexit__(GeneratorExit, GeneratorExit(), None)
    ended.set()
    with pytest.raises(InterfaceError, match="has ended"):
        await task
    assert not pool_connections_out()


async def test_nobody_comes_between_the_statements_of_a_receiver() -> None:
    await warm()
    said: list[str] = []

    def receiver(connection: Any, **kwargs: Any) -> None:
        with connection.cursor() as cursor:
            for each in ("one", "two"):
                cursor.execute("SELECT pg_sleep(0.05)")
                said.append(each)

    async def second() -> None:
        await later(get)
        said.append("get")

    with receiving(receiver):
        async with new_connection("pooled"):
            await asyncio.gather(get(), second())
    assert said == ["one", "two", "get"]


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("ask", [get, get_in_djangos_way])
async def test_a_block_that_ends_while_its_task_is_in_line(
    ask: Callable[[], Coroutine[Any, Any, Any]], closed: bool
) -> None:
    release, tasks = await crowd()
    left = new_connection("pooled")
    await left.__aenter__()
    child = asyncio.create_task(ask())
    await asyncio.sleep(0.03)
    error = GeneratorExit() if closed else None
    await left.__aexit__(error and type(error), error, None)
    release.set()
    with pytest.raises(InterfaceError, match="has ended"):
        await child
    await asyncio.gather(*tasks)
    await until(lambda: not pool_connections_out())
    await block()

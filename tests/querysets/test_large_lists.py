"""A large list that is built on the loop gives the loop its turn."""

import asyncio
from functools import partial
from typing import Any

import pytest

from django_async_fast import alist, new_connection, run_sync
from django_async_fast.querysets import streams
from tests.testapp.models import Tag

pytestmark = pytest.mark.core

MANY = streams.PART * 4 + 1


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every part takes too long; return what the loop's turns were asked for."""
    given: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        given.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(streams, "TURN", 0.0)
    monkeypatch.setattr(asyncio, "sleep", noted)
    return given


async def make() -> None:
    await Tag.objects.abulk_create(Tag(name=str(i)) for i in range(MANY))


async def by_async_for(rows: Any) -> list[Any]:
    return [row async for row in rows]


@pytest.mark.parametrize("read", [partial(run_sync, list), alist, by_async_for])
async def test_the_loop_has_its_turn(turns: list[float], read: Any) -> None:
    async with new_connection():
        await make()
        found = await read(Tag.objects.all())
        assert {tag.name for tag in found} == {str(i) for i in range(MANY)}
        assert turns == [0] * 5
        assert len(await alist(Tag.objects.all()[: streams.PART])) == streams.PART
        assert turns == [0] * 5
        assert len([tag async for tag in Tag.objects.aiterator()]) == MANY
    assert turns == [0] * 5


def test_synchronous_code_has_the_thread_to_itself(turns: list[float]) -> None:
    Tag.objects.bulk_create(Tag(name=str(i)) for i in range(MANY))
    assert len(Tag.objects.all()) == MANY
    assert turns == []


async def test_it_is_quick_enough_to_go_on(
    turns: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "TURN", 60.0)
    async with new_connection():
        await make()
        assert len(await alist(Tag.objects.all())) == MANY
    assert turns == []


async def test_it_is_cancelled_while_it_is_built(turns: list[float]) -> None:
    async with new_connection():
        await make()
        task = asyncio.create_task(alist(Tag.objects.all()))
        loop = asyncio.get_running_loop()

        def cancel() -> None:
            if len(turns) == 2:
                task.cancel()
            elif not task.done():
                loop.call_soon(cancel)

        cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert await Tag.objects.acount() == MANY

"""Counters that a unit reads and writes, as programs do that lose updates."""

import asyncio

from django_async_fast import run_sync
from tests.testapp.models import Tag, Unique

COUNTERS = 5


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


async def twice() -> list[int]:
    counts = [await Tag.objects.acount()]
    await asyncio.sleep(0)
    counts += await asyncio.gather(*(Tag.objects.acount() for _ in range(3)))
    return counts

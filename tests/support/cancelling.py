"""Work that is cancelled while it waits."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

from django.db import transaction

from tests.testapp.models import Tag


async def cancelled(
    work: Awaitable[Any], after: float = 0.1, again: float = 0
) -> float:
    """Cancel `work` once, or twice; return how long it then took to end."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(after)
    began = time.monotonic()
    task.cancel()
    if again:
        await asyncio.sleep(again)
        began = time.monotonic()
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), task
    return time.monotonic() - began


async def tag_in_atomic(name: str, inside: asyncio.Event) -> None:
    """Create a tag in a transaction, and stay there."""
    async with transaction.atomic():
        await Tag.objects.acreate(name=name)
        inside.set()
        await asyncio.sleep(30)

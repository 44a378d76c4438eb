"""Waiting for what comes soon: a busy machine has time enough, what never comes fails."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until `condition()` is true, awaited if it has to be."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.005)
